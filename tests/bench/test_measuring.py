from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest

from bench.changes import ChangeMeasure
from bench.data import check_equal, rows_for
from bench.measuring import Measurement, Taken, measure, median, take
from bench.memory import PeakMemory
from bench.programs import BenchError, pipe


def test_the_median_is_of_each_quantity_by_itself() -> None:
    """Time, processor time and size each have their own median; without runs there is none."""
    runs = (Measurement(9.0, 8.0, 100), Measurement(12.0, 7.0, 100), Measurement(10.0, 9.0, 100))
    assert median(runs) == Measurement(10.0, 8.0, 100)
    with pytest.raises(ValueError, match="no runs"):
        median(())


def test_processor_time_is_that_of_the_programs() -> None:
    """A child that works counts; what this process does itself does not."""
    busy = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"

    def work() -> int:
        subprocess.run((sys.executable, "-c", busy), check=True)
        return 7

    measured = measure(work)
    assert measured.size_bytes == 7
    assert 0.3 <= measured.cpu_s <= measured.wall_s + 0.1


def test_peak_memory_is_seen() -> None:
    """What a process once had counts, though it has given it back."""
    greedy = "import sys\nx = bytearray(80_000_000)\ndel x\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen((sys.executable, "-c", greedy), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        memory = PeakMemory(running.pid)
        while not memory.peak_bytes:
            pass
        memory.stop()
    assert 80_000_000 <= memory.peak_bytes < 120_000_000


def _greedy_work(folder: Path) -> Taken:
    greedy = f"import time; x = bytearray(80_000_000); open({str(folder / 'new')!r}, 'w').write('abc'); time.sleep(1)"
    return take(
        lambda: pipe(("sh", "-c", '"$@"; true', "sh", sys.executable, "-c", greedy)),
        server_pid=lambda: None,
        stored=folder,
    )


def test_memory_of_all_programs_and_new_files_are_seen(tmp_path: Path) -> None:
    """A grandchild's memory counts, and only files that are new or changed are sent."""
    (tmp_path / "old").write_bytes(b"x" * 10)
    with ProcessPoolExecutor(1, get_context("spawn")) as own:  # the session's servers are programs of ours, too
        took = own.submit(_greedy_work, tmp_path).result()
    assert 80_000_000 <= took.peak_bytes < 150_000_000
    assert (took.sent_bytes, took.stored_bytes, took.files_new, took.files) == (3, 13, 1, 2)


def test_the_servers_work_counts_after_the_session_has_ended(database: str) -> None:
    """What a session computes is in its server's processor time when it has been closed."""
    with psycopg.connect(database) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row
    pid = int(Path(row[0], "postmaster.pid").read_text().split()[0])

    def work() -> None:
        with psycopg.connect(database) as connection:
            connection.execute("SELECT sum(sqrt(n)) FROM generate_series(1, 2000000) AS n")

    assert take(work, server_pid=lambda: pid).server_cpu_s > 0.1


def test_sizes_become_rows() -> None:
    """A bigger database gets more statuses, in proportion; the smallest still has enough to be loaded."""
    assert rows_for(1) == (20, 400)
    accounts, statuses = rows_for(1_000_000_000)
    assert 600_000 < statuses < 750_000
    assert accounts == statuses // 20


def test_a_failing_program_is_an_error_with_what_it_said() -> None:
    """Whichever program of a chain fails, its words are in the error."""
    pipe(("printf", "x"), ("cat",))
    with pytest.raises(BenchError, match="No such file or directory"):
        pipe(("cat", "/nonexistent"), ("cat",))
    with pytest.raises(BenchError, match=r"yes \| false ended with"):
        pipe(("yes",), ("false",))


def test_changes_are_the_row_versions_that_are_new_and_gone(database: str) -> None:
    """A new row counts once; a changed one as new and as gone; what came and went meanwhile does not count."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS n")
        measured = ChangeMeasure(database)
        connection.execute("INSERT INTO t SELECT generate_series(1001, 1003)")
        connection.execute("UPDATE t SET n = 555 WHERE n = 55")
        connection.execute("UPDATE t SET n = 556 WHERE n = 555")
        connection.execute("DELETE FROM t WHERE n IN (1, 2, 1003)")
        connection.execute("VACUUM FREEZE t")
        changes = measured.since()
    assert (changes.rows, changes.gone) == (3, 3)
    assert changes.text_bytes == len("1001\n1002\n556\n")
    assert 0 < changes.zstd_bytes < 40


def test_a_row_that_differs_is_named_by_its_table(mastodon_database: str, database: str) -> None:
    """Equal databases give their counts; one other row, and the comparison fails with the table's name."""
    tables, rows = check_equal(mastodon_database, mastodon_database)
    assert tables > 100
    assert rows > 1500
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE odd ()")
    with pytest.raises(BenchError, match="odd"):
        check_equal(mastodon_database, database)
