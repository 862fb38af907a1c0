"""Positions in the WAL: which transactions have written before them, also when 32 bits have been counted through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.postgres.wal_position import lowest_running, read_positions, widened
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.replication import ask, execute, give_to_server, run
from tests.segments.logged_runs import LoggedRuns, use_small_segments

LAST = (1 << 32) - 20
_CLOG_PAGE_TRANSACTIONS = 1 << 20  # of a file of pg_xact


@pytest.fixture(scope="module", params=NEWER_MAJORS)
def wrapping(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[ScratchCluster]:
    """A server about to count its 32 bits of transaction numbers through for the third time."""
    settings = {"autovacuum": "off", "summarize_wal": "on"}
    folder = server_folder / f"wrapping-{request.param}"
    with ScratchCluster(folder, binaries=binaries_or_skip(request.param), settings=settings) as cluster:
        let_numbers_end(cluster, epoch=2)
        yield cluster


def let_numbers_end(cluster: ScratchCluster, epoch: int) -> None:
    """Restart the server with its 32 bits of transaction numbers nearly counted through, `epoch` times before."""
    execute(cluster, "postgres", "VACUUM FREEZE")  # or half of the catalog would be of the future
    cluster.stop()
    name = f"{LAST // _CLOG_PAGE_TRANSACTIONS:04X}"
    if not (cluster.data_folder / "pg_xact" / name).exists():
        (cluster.data_folder / "pg_xact" / name).write_bytes(bytes(1 << 18))
        give_to_server(cluster, cluster.data_folder / "pg_xact")
    reset = str(cluster.binaries / "pg_resetwal")
    run(reset, "-D", str(cluster.data_folder), "-e", str(epoch), "-x", str(LAST), as_server=True)
    cluster.start()


def test_positions_count_on(wrapping: ScratchCluster) -> None:
    """A position's number is above that of every transaction that has one, before and after the wrap of 32 bits."""
    conninfo = wrapping.conninfo("postgres")
    with psycopg.connect(conninfo, autocommit=True) as reader, psycopg.connect(conninfo, autocommit=True) as other:
        for _ in range(40):
            other.execute("BEGIN")
            row = other.execute("SELECT pg_current_xact_id()::text::int8").fetchone()
            assert row is not None
            here, checkpoint = read_positions(reader)
            assert here.next_xid - row[0] in (1, 4)  # 0, 1 and 2 are no numbers
            assert lowest_running(reader) == row[0]
            assert checkpoint.next_xid <= here.next_xid
            assert checkpoint.lsn <= here.lsn
            other.execute("COMMIT")
        assert here.next_xid > 3 << 32
        reader.execute("CHECKPOINT")
        assert read_positions(reader)[1].next_xid == here.next_xid


def test_changed_blocks_over_the_wrap(
    wrapping: ScratchCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that rely on positions from before the wrap of 32 bits store what their snapshots see after it."""
    let_numbers_end(wrapping, epoch=3)
    use_small_segments(monkeypatch)
    execute(wrapping, "postgres", "CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 5000) i")
    with closing(LoggedRuns(wrapping.conninfo("postgres"), tmp_path / "state", scans_changed=True)) as runs:
        for number in range(4):
            before = ask(wrapping, "SELECT pg_current_xact_id()::text::int8 >> 32")
            execute(wrapping, "postgres", f"UPDATE t SET id = -{number} WHERE id = 2000")
            execute(wrapping, "postgres", f"UPDATE t SET id = 2000 WHERE id = -{number}")
            outcome = runs.run()
            assert outcome.wrong == ()
            assert (outcome.scope.files is None) == (number == 0), outcome.scope.reason
            assert before == (3 if number == 0 else 4)  # the first run's mark counts past the end


def test_not_in_a_transaction(wrapping: ScratchCluster) -> None:
    """Inside a transaction, where the server answers with an older number, no position is read."""
    with psycopg.connect(wrapping.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("BEGIN")
        with pytest.raises(AssertionError):
            read_positions(connection)


@pytest.mark.parametrize(
    ("number", "earlier", "wide"),
    [(7, 7, 7), (9, 7, 9), (5, (1 << 32) - 2, (1 << 32) + 5), (3, (5 << 32) - 1, (5 << 32) + 3)],
)
def test_widened(number: int, earlier: int, wide: int) -> None:
    """A number of 32 bits is the next one of 64 bits that ends in it."""
    assert widened(number, earlier) == wide
