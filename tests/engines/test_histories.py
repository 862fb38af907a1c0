"""Whatever becomes of a server - crash, promotion, rewind, recovery - a backup stores the rows that it has now."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.events import Event, Note
from permafrost.operations.backup import BackupResult, back_up
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.backups import contents_of, drop, make_restore
from tests.fixtures.replication import (
    PRIMARY_SETTINGS,
    ask,
    base_backup,
    execute,
    follow,
    follow_now,
    promote,
    run,
    wait_until,
    wait_until_replayed,
)
from tests.fixtures.server import MakeServer, Server

DATABASE, RESTORED = "fediverse", "fediverse_restored"
COMMON_ROWS = 1000


class Estate:
    """A primary with a table, copies of it below one folder, and a permafrost whose address may move between them."""

    def __init__(self, primary: ScratchCluster, folder: Path, server: Server, stack: ExitStack) -> None:
        self.primary = primary
        self._folder = folder
        self._server = server
        self._stack = stack
        self.notes: list[str] = []

    def copy(self, source: ScratchCluster, name: str, *, settings: dict[str, str] | None = None) -> ScratchCluster:
        """Return a base backup of `source` as a server that is not started."""
        made = base_backup(source, self._folder / name, {**PRIMARY_SETTINGS, **(settings or {})})
        self._stack.callback(made.destroy)
        return made

    def standby(self, source: ScratchCluster, name: str) -> ScratchCluster:
        """Return a running standby of `source` that has replayed everything."""
        made = self.copy(source, name)
        follow(made, source)
        made.start()
        wait_until_replayed(made, source)
        return made

    def back_up(self, cluster: ScratchCluster) -> BackupResult:
        """Back up from `cluster`, as when its address is the one in the configuration now."""
        configuration = self._server.configuration
        database = configuration.database.model_copy(update={"url": cluster.conninfo(DATABASE)})
        self.notes = []

        def report(event: Event) -> None:
            if isinstance(event, Note):
                self.notes.append(event.message)

        moved = configuration.model_copy(update={"database": database})
        self._server = replace(self._server, configuration=moved)
        return back_up(moved, is_audited=True, report=report, now=datetime.now(UTC))

    def has_new_bases(self) -> bool:
        """Return whether the last backup read every table in full."""
        return any("reading every table in full" in note for note in self.notes)

    def check(self, cluster: ScratchCluster, onto: ScratchCluster | None = None) -> None:
        """Restore the newest snapshot `onto` a primary, and compare every row with what `cluster` has."""
        target = onto or cluster
        url = target.conninfo(DATABASE)
        configuration = self._server.configuration
        database = configuration.database.model_copy(update={"url": url})
        server = replace(self._server, configuration=configuration.model_copy(update={"database": database}))
        expected = contents_of(cluster.conninfo(DATABASE))
        assert expected
        assert expected[0].rows >= COMMON_ROWS
        make_restore(server, RESTORED)
        assert contents_of(conninfo_for(url, dbname=RESTORED)) == expected
        drop(url, RESTORED)


def add_rows(cluster: ScratchCluster, kind: str) -> None:
    """Insert rows, in three transactions, that differ by their kind alone."""
    for start in (2000, 2100, 2200):
        execute(
            cluster,
            DATABASE,
            f"INSERT INTO statuses SELECT {start} + i, '{kind} ' || i FROM generate_series(1, 60) i",
        )


def write_past(cluster: ScratchCluster, lsn: object, next_xid: object) -> None:
    """Write until the server's WAL and transaction numbers are past another history's."""
    execute(cluster, DATABASE, "CREATE TABLE more (x text)")
    for _ in range(1000):
        execute(cluster, DATABASE, "INSERT INTO more SELECT repeat('x', 500) FROM generate_series(1, 500)")
        if ask(cluster, f"SELECT pg_current_wal_lsn() > '{lsn}'") and next_xid_of(cluster) > int(str(next_xid)):
            return
    raise AssertionError("it never got past")


def next_xid_of(cluster: ScratchCluster) -> int:
    """Return the next transaction number."""
    return int(str(ask(cluster, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")))


@pytest.fixture
def estate(server_folder: Path, tmp_path: Path, make_server: MakeServer) -> Iterator[Estate]:
    """A primary of the test's own, backed up by the log engine."""
    folder = server_folder / f"h{abs(hash(tmp_path)) % 10**8}"
    folder.mkdir()
    folder.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        primary = stack.enter_context(ScratchCluster(folder / "p", settings=PRIMARY_SETTINGS))
        execute(primary, "postgres", f"CREATE DATABASE {DATABASE}")
        execute(
            primary,
            DATABASE,
            "CREATE TABLE statuses (id int PRIMARY KEY, text text)",
            f"INSERT INTO statuses SELECT i, 'common ' || i FROM generate_series(1, {COMMON_ROWS}) i",
            "CHECKPOINT",
        )
        yield Estate(primary, folder, make_server(primary.conninfo(DATABASE), engine="log"), stack)


def test_a_crash_is_the_same_history(estate: Estate) -> None:
    """After a crash and after a clean restart a backup goes on where the last one left it."""
    estate.back_up(estate.primary)
    for mode in ("immediate", "fast"):
        estate.primary.restart(mode)
        execute(estate.primary, DATABASE, "UPDATE statuses SET text = text || '!' WHERE id <= 5")
        assert estate.back_up(estate.primary).rows_new == 5
        assert not estate.has_new_bases()
    estate.check(estate.primary)


def test_promoted_standby_without_the_last_commits(estate: Estate) -> None:
    """A standby promoted without the primary's last commits is read in full, at once, before its first checkpoint."""
    standby = estate.standby(estate.primary, "s")
    follow_now(standby, None)
    add_rows(estate.primary, "lost")
    estate.back_up(estate.primary)
    lsn, xid = ask(estate.primary, "SELECT pg_current_wal_lsn()"), next_xid_of(estate.primary)
    estate.primary.stop("immediate")
    promote(standby)
    add_rows(standby, "kept")
    write_past(standby, lsn, xid)
    estate.back_up(standby)
    assert estate.has_new_bases()
    estate.check(standby)


def test_cascading_standby(estate: Estate) -> None:
    """A running standby is followed through the promotion of the one above it; once restarted it is read in full."""
    middle = estate.standby(estate.primary, "m")
    last = estate.standby(middle, "l")
    estate.back_up(last)
    execute(estate.primary, DATABASE, "UPDATE statuses SET text = text || '!' WHERE id <= 5")
    wait_until_replayed(middle, estate.primary)
    wait_until_replayed(last, middle)
    assert estate.back_up(last).rows_new == 5
    estate.primary.stop("immediate")
    promote(middle)
    add_rows(middle, "kept")
    lsn = ask(middle, "SELECT pg_current_wal_lsn()")
    wait_until(lambda: ask(last, f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") is True, "the new timeline")
    assert estate.back_up(last).rows_new == 180
    assert not estate.has_new_bases()
    estate.check(last, onto=middle)
    last.restart()
    estate.back_up(last)
    assert estate.has_new_bases()
    estate.check(last, onto=middle)


def test_rewound_primary(estate: Estate) -> None:
    """An old primary that pg_rewind has put behind the new one is read in full, as a standby and as a primary."""
    standby = estate.standby(estate.primary, "s")
    follow_now(standby, None)
    add_rows(estate.primary, "lost")
    estate.back_up(estate.primary)
    lsn, xid = ask(estate.primary, "SELECT pg_current_wal_lsn()"), next_xid_of(estate.primary)
    estate.primary.stop()
    promote(standby)
    add_rows(standby, "kept")
    write_past(standby, lsn, xid)
    execute(standby, "postgres", "CHECKPOINT")
    source = f"--source-server={standby.conninfo('postgres')}"
    run("pg_rewind", f"--target-pgdata={estate.primary.data_folder}", source, as_server=True)
    follow(estate.primary, standby)
    estate.primary.start()
    wait_until_replayed(estate.primary, standby)
    estate.back_up(estate.primary)
    assert estate.has_new_bases()
    estate.check(estate.primary, onto=standby)
    promote(estate.primary)
    estate.back_up(estate.primary)
    estate.check(estate.primary)


def test_base_backup_put_in_the_primarys_place(estate: Estate) -> None:
    """A base backup started without recovery has the same system identifier and timeline, and soon a later WAL
    position and transaction number: it is still not the history that was backed up."""
    old = estate.copy(estate.primary, "o")
    add_rows(estate.primary, "lost")
    estate.back_up(estate.primary)
    lsn, xid = ask(estate.primary, "SELECT pg_current_wal_lsn()"), next_xid_of(estate.primary)
    estate.primary.stop()
    old.start()
    add_rows(old, "kept")
    write_past(old, lsn, xid)
    estate.back_up(old)
    assert "does not contain the last run" in " ".join(estate.notes)
    estate.check(old)


def test_two_recoveries_to_points_in_time(estate: Estate) -> None:
    """Two recoveries from one base backup both get timeline 2; the second is not taken for the first."""
    archive = estate.primary.folder / "archive"
    archive.mkdir(mode=0o777)
    archive.chmod(0o777)
    estate.primary.stop()
    with (estate.primary.data_folder / "postgresql.conf").open("a") as file:
        file.write(f"archive_mode = on\narchive_command = 'cp %p {archive}/%f'\n")
    estate.primary.start()
    recovery = {"restore_command": f"cp {archive}/%f %p", "recovery_target_action": "promote", "archive_mode": "off"}
    copies = [estate.copy(estate.primary, name, settings=recovery) for name in ("a", "b")]
    add_rows(estate.primary, "undone")
    target = ask(estate.primary, "SELECT pg_create_restore_point('here')")
    assert target is not None
    file_name = ask(estate.primary, "SELECT pg_walfile_name(pg_switch_wal())")
    wait_until((archive / str(file_name)).exists, "the WAL to be archived")
    execute(estate.primary, DATABASE, "DELETE FROM statuses")
    past: tuple[object, object] | None = None
    for copy, kind in zip(copies, ("first", "second"), strict=True):
        with (copy.data_folder / "postgresql.auto.conf").open("a") as file:
            file.write("recovery_target_name = 'here'\n")
        (copy.data_folder / "recovery.signal").touch()
        copy.start()
        wait_until(lambda copy=copy: ask(copy, "SELECT pg_is_in_recovery()") is False, "recovery to end")  # type: ignore[misc]
        execute(copy, DATABASE, f"INSERT INTO statuses SELECT 3000 + i, '{kind} ' || i FROM generate_series(1, 60) i")
        if past is not None:
            write_past(copy, *past)
        estate.back_up(copy)
        assert estate.has_new_bases()
        estate.check(copy)
        past = (ask(copy, "SELECT pg_current_wal_lsn()"), next_xid_of(copy))
        timeline = ask(copy, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")
        assert timeline == "00000002"
    shutil.rmtree(archive)
