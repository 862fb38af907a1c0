"""Backups that scan only what has changed: what they say, when they scan everything, and what checks the rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from permafrost.config.models import Configuration
from permafrost.engines import scan_scope
from permafrost.errors import OverlookedRowsError
from permafrost.events import Event, Note
from permafrost.findings import FindingKind
from permafrost.operations.backup import BackupResult, back_up
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.postgres.wal_summaries import TouchedFile, summarize_until
from permafrost.runs import RunRecords
from permafrost.status.server_findings import about_runs
from tests.fixtures.backups import contents_of, drop, make_restore
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import MakeServer, Server

NOW = datetime(2026, 11, 22, 0, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)
RESTORED = "restored_blocks"


@pytest.fixture(scope="module", params=NEWER_MAJORS[-1:])
def summarizing(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[ScratchCluster]:
    """A server that summarizes its WAL, with a role that may read everything and start checkpoints.

    Only of the newest major: what depends on it is tested in tests/segments, on all.
    """
    settings = {"autovacuum": "off", "max_prepared_transactions": "5"}
    folder = server_folder / f"scope-{request.param}"
    with ScratchCluster(folder, binaries=binaries_or_skip(request.param), settings=settings) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            for statement in (
                "ALTER SYSTEM SET summarize_wal = on",
                "SELECT pg_reload_conf()",
                "CREATE ROLE keeper LOGIN; GRANT pg_read_all_data, pg_checkpoint TO keeper",
                "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader",
            ):
                connection.execute(statement)
        yield cluster


class Backups:
    """Backups of one database, an hour apart."""

    def __init__(self, server: Server, admin: str) -> None:
        self.server = server
        self.admin = admin
        self.notes: list[str] = []
        self.first_notes: list[str] = []
        self.now = NOW

    def do(self, *statements: str) -> None:
        """Change the database as its owner."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def back_up(self, *, is_audited: bool = False, is_full: bool = False, after: timedelta = HOUR) -> BackupResult:
        """Back up, an hour after the last time."""
        self.now += after
        self.notes = []

        def report(event: Event) -> None:
            if isinstance(event, Note):
                self.notes.append(event.message)

        configuration = self.server.configuration
        return back_up(configuration, is_audited=is_audited, is_full=is_full, report=report, now=self.now)

    def findings(self) -> list[FindingKind]:
        """What status says of the last run."""
        records = RunRecords(self.server.configuration.state.path, is_read_only=True)
        return [finding.kind for finding in about_runs(records)]

    def configured(self, change: Callable[[Configuration], Configuration]) -> None:
        """Go on with another configuration."""
        self.server = replace(self.server, configuration=change(self.server.configuration))

    def as_role(self, role: str) -> None:
        """Go on as another role."""
        database = self.server.configuration.database.model_copy(update={"url": make_conninfo(self.admin, user=role)})
        self.configured(lambda configuration: configuration.model_copy(update={"database": database}))

    def check(self) -> None:
        """The newest snapshot restores as the database is now."""
        configuration = self.server.configuration
        database = configuration.database.model_copy(update={"url": self.admin})
        server = replace(self.server, configuration=configuration.model_copy(update={"database": database}))
        try:
            make_restore(server, RESTORED)
            assert contents_of(conninfo_for(self.admin, dbname=RESTORED)) == contents_of(self.admin)
        finally:
            drop(self.admin, RESTORED)


@pytest.fixture
def backups(summarizing: ScratchCluster, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backups]:
    """Backups of a database with a table of some 800 pages, by a role with the two grants, after the first two."""
    monkeypatch.setenv("PATH", f"{summarizing.binaries}{os.pathsep}{os.environ['PATH']}")
    with temporary_database(summarizing, "template0") as admin:
        made = Backups(make_server(make_conninfo(admin, user="keeper"), engine="log"), admin)
        made.do(
            "CREATE TABLE big (id int PRIMARY KEY, text text) WITH (fillfactor = 80)",
            "INSERT INTO big SELECT i, repeat('x', 220) FROM generate_series(1, 20000) i",
            "CREATE UNLOGGED TABLE loose (id int)",
            "INSERT INTO loose VALUES (1)",
            "CHECKPOINT",
        )
        made.back_up()
        # a server with checksums, as 18 is by default, writes the first look at each page to its WAL
        made.do("CHECKPOINT", "UPDATE big SET text = 'first' WHERE id = 1")
        made.back_up()
        made.first_notes = [note for note in made.notes if "scanned" in note]
        yield made


def test_only_changed_blocks(backups: Backups) -> None:
    """A run scans only the blocks that have changed, says so once, and stores what a scan of everything would."""
    backups.do(
        "UPDATE big SET text = 'a' WHERE id % 4000 = 1", "DELETE FROM big WHERE id = 77", "INSERT INTO loose VALUES (2)"
    )
    changed = backups.back_up().document()
    assert (changed.scan, changed.rows_new, changed.rows_gone) == ("changed", 6, 6)
    assert 0 < changed.scanned_pages < changed.total_pages / 10
    assert backups.first_notes == ["only blocks that have changed are scanned"]
    backups.do("UPDATE big SET text = 'b' WHERE id % 4000 = 2")
    assert backups.back_up().rows_new == 5
    assert not [note for note in backups.notes if "scanned" in note]
    backups.check()


def test_idle_server(backups: Backups, summarizing: ScratchCluster) -> None:
    """If no transaction has written since the last run, no page of a logged table is scanned, and none is asked for.

    Then nobody has to connect but the snapshot's holder, and a worker that scans what is not logged.
    """
    query = "SELECT redo_lsn FROM pg_control_checkpoint()"
    backups.do("ALTER SYSTEM SET log_connections = on", "SELECT pg_reload_conf()")
    name = conninfo_to_dict(backups.admin)["dbname"]

    def connections() -> int:
        said = summarizing.log_file.read_text(errors="replace")
        return said.count(f"connection authorized: user=keeper database={name}")

    backups.back_up()
    at_first = connections()
    with psycopg.connect(backups.admin, autocommit=True) as connection:
        before = connection.execute(query).fetchone()
        for _ in range(3):
            result = backups.back_up().document()
            assert (result.scan, result.scanned_pages, result.rows_new) == (
                "changed",
                1,
                0,
            )  # the unlogged table's page
        assert connection.execute(query).fetchone() == before
    assert connections() == at_first + 3 * 2
    backups.do("ALTER SYSTEM RESET log_connections", "SELECT pg_reload_conf()")
    backups.do("UPDATE big SET text = 'c' WHERE id = 5")
    assert backups.back_up().rows_new == 1
    backups.check()


def _switched_off(backups: Backups, _: ScratchCluster) -> None:
    backups.do("ALTER SYSTEM SET summarize_wal = off", "SELECT pg_reload_conf()")


def _without_grant(backups: Backups, _: ScratchCluster) -> None:
    backups.as_role("reader")


def _summaries_removed(backups: Backups, cluster: ScratchCluster) -> None:
    backups.do("UPDATE big SET text = 'c' WHERE id = 3")
    with psycopg.connect(backups.admin, autocommit=True) as connection:
        row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        summarize_until(connection, int(row[0]))
    for file in (cluster.data_folder / "pg_wal" / "summaries").glob("*.summary"):
        file.unlink()


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (_switched_off, "does not summarize its WAL"),
        (_without_grant, "may not start a checkpoint"),
        (_summaries_removed, "without a gap"),
    ],
)
def test_fallback(
    backups: Backups, summarizing: ScratchCluster, happens: Callable[[Backups, ScratchCluster], None], reason: str
) -> None:
    """Where the server cannot say what has changed, everything is scanned, the reason is said once, and no row lost."""
    try:
        backups.back_up()
        happens(backups, summarizing)
        backups.do("UPDATE big SET text = 'd' WHERE id % 5000 = 3")
        result = backups.back_up().document()
        assert (result.scan, result.rows_new) == ("all", 4)
        assert reason in result.scan_reason
        assert any(reason in note for note in backups.notes)
        assert result.scanned_pages == result.total_pages
        backups.check()
    finally:
        backups.do("ALTER SYSTEM SET summarize_wal = on", "SELECT pg_reload_conf()")


def test_forgotten_prepared_transaction(backups: Backups) -> None:
    """A prepared transaction from before all that is known makes runs scan everything, with the query that finds it."""
    backups.do("BEGIN; UPDATE big SET text = 'p' WHERE id = 9; PREPARE TRANSACTION 'forgotten'")
    try:
        (backups.server.configuration.state.path / "segments.sqlite").unlink()
        backups.do("CHECKPOINT")
        backups.back_up()
        backups.do("UPDATE big SET text = 'q' WHERE id = 10")
        result = backups.back_up().document()
        assert result.scan == "all"
        assert "pg_prepared_xacts" in result.scan_reason
        assert backups.findings() == [FindingKind.OLD_TRANSACTION]
        assert result.rows_new == 1
    finally:
        backups.do("COMMIT PREPARED 'forgotten'")
    assert backups.back_up().rows_new == 1
    backups.back_up()
    assert not backups.findings()
    backups.check()


def test_switched_off(backups: Backups) -> None:
    """With changed_blocks = "off" everything is scanned, without a word."""
    off = backups.server.configuration.database.model_copy(update={"changed_blocks": "off"})
    backups.configured(lambda configuration: configuration.model_copy(update={"database": off}))
    assert backups.back_up().document().scan == "all"
    assert not [note for note in backups.notes if "scanned" in note]


def test_check_once_a_day(backups: Backups) -> None:
    """Once a day, and in an audit, everything is scanned all the same."""
    backups.back_up()
    backups.do("UPDATE big SET text = 'e' WHERE id = 11")
    assert backups.back_up(is_audited=True).document().scan_reason == "an audit scans everything"
    backups.do("UPDATE big SET text = 'f' WHERE id = 11")
    assert backups.back_up(after=timedelta(hours=22)).document().scan == "changed"
    backups.do("UPDATE big SET text = 'g' WHERE id = 11")
    assert backups.back_up(after=2 * HOUR).document().scan_reason == "once a day everything is scanned"


@contextmanager
def _block_missing() -> Iterator[None]:
    """Let the server's summaries leave out what they say of every file."""

    def tampered(*_: object, **__: object) -> Mapping[int, TouchedFile]:
        return {}

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(scan_scope, "touched_files", tampered)
        yield


def test_overlooked_rows_are_found(backups: Backups) -> None:
    """If summaries leave a block out, the next audit finds it, fails, and leaves a right snapshot; the rule is not
    relied on again until --full."""
    backups.back_up()
    backups.do("UPDATE big SET text = 'h' WHERE id = 12")
    with _block_missing():
        assert backups.back_up().rows_new == 0
    backups.do("UPDATE big SET text = 'i' WHERE id = 18000")
    with pytest.raises(OverlookedRowsError, match="row versions came or went") as caught:
        backups.back_up(is_audited=True)
    assert caught.value.exit_code == 14
    assert backups.findings() == [FindingKind.ROWS_OVERLOOKED]
    backups.check()
    backups.do("UPDATE big SET text = 'j' WHERE id = 13")
    assert "would have overlooked" in backups.back_up().document().scan_reason
    assert backups.findings() == [FindingKind.ROWS_OVERLOOKED]
    backups.back_up(is_full=True)
    assert not backups.findings()
    backups.do("UPDATE big SET text = 'k' WHERE id = 13")
    assert backups.back_up().document().scan == "changed"
    backups.check()
