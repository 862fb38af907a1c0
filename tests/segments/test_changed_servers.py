"""Scanning only changed blocks on a server to which much happens: many writers, its settings, its disks, its role."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event

import psycopg
import pytest

from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.segments.scan_start import ScanStart, read_start
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.replication import (
    PRIMARY_SETTINGS,
    base_backup,
    execute,
    follow,
    give_to_server,
    promote,
    wait_until_replayed,
)
from tests.segments.logged_runs import use_small_segments
from tests.segments.summarized_history import History

WRITERS = 3
WRITES = (
    "UPDATE t SET text = left(text || random()::text, 600) WHERE id % 40 = {0}",
    "DELETE FROM t WHERE id % 90 = {0}",
    "INSERT INTO t SELECT {0}, repeat('y', 200) FROM generate_series(1, 6)",
    (
        "BEGIN; UPDATE t SET text = 'first' WHERE id % 50 = {0}; SAVEPOINT s; DELETE FROM t WHERE id % 45 = {0}; "
        "ROLLBACK TO s; INSERT INTO t VALUES ({0}, 'second'); COMMIT"
    ),
    "BEGIN; UPDATE t SET text = 'undone' WHERE id % 30 = {0}; ROLLBACK",
    "BEGIN; UPDATE t SET text = 'prepared' WHERE id % 70 = {0}; PREPARE TRANSACTION 'p{1}'",
    "COMMIT PREPARED 'p{1}'",
    "UPDATE t SET text = (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 150)) WHERE id % 60 = {0}",
    "SELECT count(*) FROM (SELECT FROM t WHERE id % 20 = {0} FOR UPDATE) l",
    "VACUUM (TRUNCATE ON) t",
    "CHECKPOINT",
)


@pytest.fixture(scope="module", params=NEWER_MAJORS)
def troubled(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[ScratchCluster]:
    """A server that summarizes its WAL, as its own settings say, and that may be restarted."""
    settings = {**PRIMARY_SETTINGS, "wal_log_hints": "off", "max_prepared_transactions": "5"}
    del settings["wal_level"]  # or it could not be changed
    folder = server_folder / f"troubled-{request.param}"
    with ScratchCluster(folder, binaries=binaries_or_skip(request.param), settings=settings) as cluster:
        execute(cluster, "postgres", "ALTER SYSTEM SET summarize_wal = on", "SELECT pg_reload_conf()")
        execute(cluster, "postgres", "CREATE DATABASE blocks", "CHECKPOINT")
        yield cluster


@pytest.fixture
def history(troubled: ScratchCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    """A database with a table of some pages, whose changed blocks are relied on."""
    use_small_segments(monkeypatch)
    with ExitStack() as stack:
        made = History(troubled, tmp_path / "state", stack)
        made.settle()
        yield made


def _write(conninfo: str, number: int, is_over: Event) -> int:
    """Write without a pause until it is over; return how often that worked."""
    dice = random.Random(number)
    done = 0
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '50ms'; SET deadlock_timeout = '20ms'")
        while not is_over.is_set():
            try:
                connection.execute(dice.choice(WRITES).format(dice.randrange(30), number))
                done += 1
            except psycopg.Error:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
    return done


def test_many_writers(history: History, request: pytest.FixtureRequest) -> None:
    """While others write, commit and clean up at every moment of a run, each run stores what its snapshot sees."""
    is_over = Event()
    conninfo = history.cluster.conninfo("blocks")
    with ThreadPoolExecutor(WRITERS) as executor:
        writing = [executor.submit(_write, conninfo, number, is_over) for number in range(WRITERS)]
        try:
            runs = max(6, request.config.getoption("--model-examples") // 3)
            outcomes = [history.runs.run(why_check="once a day" if run % 6 == 5 else "") for run in range(runs)]
        finally:
            is_over.set()
        assert all(future.result() > 0 for future in writing)
    for number in range(WRITERS):
        with suppress(psycopg.errors.UndefinedObject):
            history.session.execute(f"ROLLBACK PREPARED 'p{number}'")
    outcomes.append(history.runs.run())
    assert [outcome.wrong for outcome in outcomes] == [()] * len(outcomes)
    assert not sum(outcome.overlooked for outcome in outcomes)
    assert sum(outcome.scope.files is not None and not outcome.scope.is_idle for outcome in outcomes) > 3


def _with_little_wal(history: History) -> str:
    """For a while the server writes as little WAL as it can, which cannot be summarized."""
    for level, senders, summarizes in (("minimal", 0, "off"), ("replica", 10, "on")):
        execute(
            history.cluster,
            "postgres",
            f"ALTER SYSTEM SET summarize_wal = {summarizes}",
            f"ALTER SYSTEM SET max_wal_senders = {senders}",
            f"ALTER SYSTEM SET wal_level = {level}",
        )
        history.restart()
        history.session.execute(f"UPDATE t SET text = '{level}' WHERE id = 250")
    return "without a gap"


def _off_for_a_while(history: History) -> str:
    """Summaries are switched off and on again; the server makes up for what it has the WAL of."""
    for is_on in ("off", "on"):
        execute(history.cluster, "postgres", f"ALTER SYSTEM SET summarize_wal = {is_on}", "SELECT pg_reload_conf()")
        history.session.execute(f"CHECKPOINT; UPDATE t SET text = '{is_on}' WHERE id = 251")
    return ""


def _crash(history: History) -> str:
    """The server crashes, after which an unlogged table is empty."""
    history.session.execute("UPDATE t SET text = 'crashed' WHERE id = 252; INSERT INTO loose VALUES (2)")
    history.restart("immediate")
    return ""


def _moved_database(history: History) -> str:
    """The database moves to another tablespace and back: its files keep their numbers, and no block is listed."""
    folder = history.cluster.folder / "space"
    folder.mkdir(exist_ok=True)
    give_to_server(history.cluster, folder)
    execute(history.cluster, "postgres", f"CREATE TABLESPACE other LOCATION '{folder}'")
    history.leave()
    for name in ("other", "pg_default"):
        execute(history.cluster, "postgres", f"ALTER DATABASE blocks SET TABLESPACE {name}")
    execute(history.cluster, "postgres", "DROP TABLESPACE other")
    history.enter()
    history.session.execute("UPDATE t SET text = 'moved' WHERE id = 253")
    return "the whole database was copied or moved"


@pytest.mark.parametrize("happens", [_with_little_wal, _off_for_a_while, _crash, _moved_database])
def test_what_an_admin_does(history: History, happens: Callable[[History], str]) -> None:
    """Whatever is done to the server, the next run stores what its snapshot sees, and the one after it is quick."""
    history.session.execute("CREATE UNLOGGED TABLE loose (id int); INSERT INTO loose VALUES (1)")
    history.runs.run()
    reason = happens(history)
    outcome = history.runs.run()
    assert outcome.wrong == ()
    assert reason in outcome.scope.reason
    assert (outcome.scope.files is None) == bool(reason)
    history.session.execute("UPDATE t SET text = 'after' WHERE id = 260")
    outcome = history.runs.run()
    assert outcome.wrong == ()
    assert outcome.scope.files is not None, outcome.scope.reason


def test_moved_table(history: History) -> None:
    """What gives a table another file makes it be read whole, while other tables stay quick."""
    history.session.execute("CREATE TABLE other AS SELECT i AS id FROM generate_series(1, 20000) i")
    history.session.execute("SELECT count(*) FROM other")  # with checksums, the first look writes to the WAL
    history.runs.run()
    for statement in ("VACUUM FULL t", "TRUNCATE t", "ALTER TABLE t SET UNLOGGED", "ALTER TABLE t SET LOGGED"):
        history.session.execute("INSERT INTO t VALUES (1000, 'new')")
        history.session.execute(statement)
        outcome = history.runs.run()
        assert outcome.wrong == ()
        assert outcome.scope.files is not None, outcome.scope.reason
        assert outcome.pages_scanned < 40


def test_promotion(
    history: History, server_folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby is scanned whole; so is what it becomes and the old primary, once; after that changes are relied on."""
    primary = history.cluster
    monkeypatch.setenv("PATH", f"{primary.binaries}{os.pathsep}{os.environ['PATH']}")
    settings = {**PRIMARY_SETTINGS, "max_prepared_transactions": "5"}
    standby = base_backup(primary, server_folder / f"standby-{primary.folder.name}", settings)
    request.addfinalizer(standby.destroy)
    follow(standby, primary)
    standby.start()
    history.session.execute("UPDATE t SET text = 'replicated' WHERE id = 20")
    wait_until_replayed(standby, primary)
    here, there = primary.conninfo("blocks"), standby.conninfo("blocks")
    outcome = history.runs.run_on(there)
    assert "standby" in outcome.scope.reason
    assert outcome.wrong == ()
    promote(standby)
    for number, conninfo in enumerate([there, there, here, here, there]):
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(f"UPDATE t SET text = 'turn {number}' WHERE id % 90 = {number}")
        outcome = history.runs.run_on(conninfo)
        assert outcome.wrong == ()
        assert (outcome.scope.files is None) == (number not in (1, 3))


def test_nothing_left_of_another_history(history: History) -> None:
    """A state that starts again has no position that an earlier history had."""
    with history.runs.state.changing():
        assert read_start(history.runs.state).positions
        history.runs.state.forget_everything()
        assert read_start(history.runs.state) == ScanStart()
