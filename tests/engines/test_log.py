"""engine = "log" on a real server: hours of changes, each snapshot restorable, and what can go wrong in between."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from permafrost.errors import DatabaseError, PermafrostError
from permafrost.events import Event, Note, Progress, Reporter, StepStarted, ignore_events
from permafrost.operations.backup import BackupResult, back_up
from permafrost.operations.prune import prune
from permafrost.operations.rekey import rekey
from permafrost.operations.verify import verify
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.digest import TableContents
from permafrost.postgres.locked_snapshot import locked_snapshot
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.layout import SnapshotId
from permafrost.repository.snapshots import list_snapshots, read_object_list
from permafrost.runs import DAMAGED, RunRecords
from tests.fixtures.backups import contents_of, drop, make_restore
from tests.fixtures.commands import python
from tests.fixtures.proxy import CuttableProxy
from tests.fixtures.replication import base_backup, follow, wait_until_replayed
from tests.fixtures.server import MakeServer, Server, free_port

HOURS = 27
NAME = "restored_log"
MIDNIGHT = datetime(2026, 11, 22, 0, 40, tzinfo=UTC)
BIG = "INSERT INTO big SELECT i, md5(i::text) || repeat('x', 200), now() FROM generate_series({}, {}) i"


@pytest.fixture
def server(database: str, make_server: MakeServer) -> Server:
    """A server with a table of some 5 MB (a base of its own), a small one, a view, a sequence and a large object."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE big (id bigint PRIMARY KEY, text text, at timestamptz) WITH (fillfactor = 80)")
        connection.execute(BIG.format(1, 20_000))
        connection.execute(
            "CREATE TABLE small (id serial PRIMARY KEY, note text, twice int GENERATED ALWAYS AS (2) STORED)"
        )
        connection.execute("INSERT INTO small (note) SELECT 'note ' || i FROM generate_series(1, 30) i")
        connection.execute("CREATE TABLE names (relation regclass)")  # its text depends on names: pg_dump's
        connection.execute("INSERT INTO names VALUES ('big'), ('small')")
        connection.execute("CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM big")
        connection.execute("SELECT lo_from_bytea(4711, 'large object')")
    return make_server(database, engine="log")


def run(
    server: Server,
    *,
    report: Reporter = ignore_events,
    is_audited: bool = True,
    is_full: bool = False,
    now: datetime | None = None,
) -> BackupResult:
    """Back up."""
    now = now or datetime.now(UTC)
    return back_up(server.configuration, is_audited=is_audited, is_full=is_full, report=report, now=now)


def restored(server: Server, snapshot: SnapshotId | None = None) -> list[TableContents]:
    """Restore a snapshot from the folder alone, and return every table's count and digest."""
    url = server.configuration.database.url
    try:
        make_restore(server, NAME, snapshot=snapshot)
        return contents_of(conninfo_for(url, dbname=NAME))
    finally:
        drop(url, NAME)


def do(server: Server, *statements: str) -> None:
    """Change the database."""
    with psycopg.connect(server.configuration.database.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def assert_sound(server: Server) -> None:
    """Every byte of the repository is right."""
    assert verify(server.path, None, patience=timedelta(0), report=ignore_events, now=datetime.now(UTC)).findings == ()


def test_hours_of_changes(server: Server) -> None:
    """A day and more of hours with vacuums between: every snapshot restores as the database was then, and each
    costs what changed, but for the one that merges the day before."""
    url = server.configuration.database.url
    first = run(server, now=MIDNIGHT)
    moments = {first.snapshot: contents_of(url)}
    for hour in range(HOURS):
        do(
            server,
            BIG.format(100_000 + hour * 20, 100_000 + hour * 20 + 19),
            f"UPDATE big SET text = 'hour {hour}' WHERE id % 997 = {hour}",
            f"DELETE FROM big WHERE id % 1999 = {hour}",
            f"UPDATE small SET note = 'hour {hour}' WHERE id = {hour + 1}",
            "VACUUM big" if hour % 3 else "VACUUM FREEZE",
        )
        result = run(server, now=MIDNIGHT + timedelta(hours=hour + 1))
        if hour % 9 == 8 or hour >= HOURS - 2:
            moments[result.snapshot] = contents_of(url)
        assert result.bytes_new < first.bytes_new / (10 if hour != 22 else 2)
        assert result.rows_new >= 35
        assert result.segments_changed == 2
        assert result.files_new <= 5
    assert_sound(server)
    for snapshot, contents in moments.items():
        assert restored(server, snapshot) == contents
    config = server.configuration.model_copy(
        update={
            "retention": server.configuration.retention.model_copy(
                update={"last": 2, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0}
            )
        }
    )
    kept = prune(config, is_dry_run=False, report=ignore_events, now=datetime.now(UTC)).kept
    assert restored(server, kept[0]) == moments[kept[0]]
    assert_sound(server)


def test_everything_else_comes_back_too(server: Server) -> None:
    """What is not logged is in the frame: rows that depend on names, large objects, views, sequences, indexes."""
    url = server.configuration.database.url
    do(server, "SELECT nextval('small_id_seq') FROM generate_series(1, 12)")
    run(server)
    dump = ["pg_dump", "--schema-only", "--no-comments", "-d"]
    before = subprocess.run([*dump, url], check=True, capture_output=True, text=True).stdout
    try:
        make_restore(server, NAME)
        there = conninfo_for(url, dbname=NAME)
        after = subprocess.run([*dump, there], check=True, capture_output=True, text=True).stdout
        with psycopg.connect(there) as connection:
            found = connection.execute(
                "SELECT lo_get(4711), (SELECT last_value FROM small_id_seq), (SELECT count FROM summary), "
                "(SELECT array_agg(relation::text ORDER BY 1) FROM names), (SELECT sum(twice) FROM small)"
            ).fetchone()
    finally:
        drop(url, NAME)

    def without_keys(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("\\")]

    assert without_keys(after) == without_keys(before)
    assert found == (b"large object", 42, 20_000, ["big", "small"], 60)


def test_unchanged(server: Server) -> None:
    """A run on an unchanged database stores no object at all, only the snapshot's own three files."""
    run(server)
    before = sorted(server.repository.layout.objects.rglob("*.gpg"))
    result = run(server, is_audited=False)
    assert sorted(server.repository.layout.objects.rglob("*.gpg")) == before
    assert (result.rows_new, result.rows_gone, result.segments_changed, result.files_new) == (0, 0, 0, 3)
    assert result.bytes_new < 65536
    do(server, "SELECT nextval('small_id_seq')")
    assert run(server).files_new == 3  # a sequence's value is in the manifest


def test_full(server: Server) -> None:
    """--full reads every row again."""
    first = run(server)
    again = run(server, is_full=True)
    assert again.rows_new == first.rows_new
    assert again.bytes_new > first.bytes_new * 0.9
    assert restored(server) == contents_of(server.configuration.database.url)


@pytest.mark.parametrize("harm", ["lost", "damaged", "old", "object missing"])
def test_state_is_only_a_cache(server: Server, harm: str) -> None:
    """A state that is lost, damaged, old, or refers to what is gone costs bytes, never rows."""
    state = server.configuration.state.path / "segments.sqlite"
    run(server)
    old = state.read_bytes()
    do(server, "UPDATE big SET text = 'b' WHERE id < 300", "DELETE FROM big WHERE id > 19900", "VACUUM big")
    run(server)
    match harm:
        case "lost":
            state.unlink()
        case "damaged":
            state.write_bytes(b"this is no database" * 1000)
        case "old":  # as after a crash between publishing and the state's commit
            state.write_bytes(old)
        case _:
            for file in server.repository.layout.objects.rglob("*.gpg"):
                file.unlink()
    do(server, "UPDATE big SET text = 'c' WHERE id BETWEEN 200 AND 400", BIG.format(50_000, 50_100))
    newest = run(server).snapshot
    assert restored(server, newest) == contents_of(server.configuration.database.url)


def test_a_state_of_another_version_is_no_damage(server: Server) -> None:
    """Whoever goes back to an older version is told that all is read again, and not to look at a disk."""
    folder = server.configuration.state.path
    run(server)
    with sqlite3.connect(folder / "segments.sqlite") as database:
        database.execute("UPDATE facts SET value = '99' WHERE name = 'version'")
    notes: list[str] = []
    run(server, report=lambda event: notes.append(event.message) if isinstance(event, Note) else None)
    assert "reading every table in full: the state was written by another version of permafrost" in notes
    records = RunRecords(folder)
    assert records.newest("backup") is not None
    assert records.newest(DAMAGED) is None
    assert restored(server) == contents_of(server.configuration.database.url)


def test_changed_passphrase_starts_anew(server: Server) -> None:
    """After the passphrase was changed a snapshot needs only the new one."""
    first = run(server)
    server.passphrase_file.write_text("ANOTHER-PASSPHRASE-OF-THE-ADMIN\n")
    notes: list[str] = []

    def report(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.message)

    rekey(server.configuration, as_configured=True, report=report, now=datetime.now(UTC))
    assert any("passphrase" in note for note in notes)
    before, after = (
        {stored.name for stored in read_object_list(server.repository.layout, one)[0].objects}
        for one in (first.snapshot, max(list_snapshots(server.repository.layout)))
    )
    assert not before & after
    assert restored(server) == contents_of(server.configuration.database.url)


CRASH = """
import os, signal, sys
limit, seen = int(sys.argv[1]), 0
def hook(event, arguments):
    global seen
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & writing
    changes = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "sqlite3.connect")
    if (event in changes or is_write) and armed:
        seen += 1
        if seen == limit:
            os.kill(os.getpid(), signal.SIGKILL)
armed = False
sys.addaudithook(hook)
import permafrost.cli.main as main
sys.argv[1:] = ["backup", "--config", sys.argv[2]]
armed = True
try:
    main.run()
finally:
    armed = False
    print(seen, file=sys.stderr)
"""


def test_killed_before_every_change(server: Server, *, is_long: bool) -> None:
    """Killed with -9 before its n-th change of the disk, for every n (every second, if it is to be quick): old
    snapshots restore, and the next run is right."""
    config = str(server.write_configuration())
    url = server.configuration.database.url

    run(server)
    outcomes = []
    for limit in range(1, 200, 1 if is_long else 2):
        do(
            server,
            f"UPDATE big SET text = 'crash {limit}' WHERE id % 499 = {limit}",
            f"DELETE FROM big WHERE id = {limit}",
        )
        outcomes.append(python(CRASH, str(limit), config).returncode)
        if outcomes[-1] == 0:
            break
    assert outcomes[-1] == 0
    assert set(outcomes[:-1]) == {-9}
    assert len(outcomes) > (12 if is_long else 6), "there are more changes than that in a run"
    assert_sound(server)
    assert restored(server) == contents_of(url)
    do(server, "UPDATE big SET text = 'after' WHERE id % 7 = 0")
    run(server)
    assert_sound(server)
    assert restored(server) == contents_of(url)


def at(kind: type[Event], fault: Callable[[], None], number: int = 1) -> Reporter:
    """Return a reporter that causes `fault` once, at the n-th event of that kind."""
    seen = 0

    def report(event: Event) -> None:
        nonlocal seen
        if isinstance(event, kind):
            seen += 1
            if seen == number:
                fault()

    return report


def fail(server: Server, report: Reporter = ignore_events) -> PermafrostError:
    """Run a backup that must fail with a database error."""
    with pytest.raises(DatabaseError) as caught:
        run(server, report=report)
    return caught.value


def test_ddl_during_the_scan(server: Server) -> None:
    """A migration that comes while rows are read waits for the run; the snapshot is as it was before, the next as
    after."""
    url = server.configuration.database.url
    run(server)
    before = contents_of(url)
    threads: list[threading.Thread] = []

    def migrate() -> None:
        do(server, "ALTER TABLE big ADD COLUMN added int DEFAULT 5", "TRUNCATE small", "DROP TABLE names")

    def start() -> None:
        with psycopg.connect(url, autocommit=True) as watcher:
            locked = (
                "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE a.application_name = 'pg_dump' AND l.relation = 'names'::regclass"
            )
            deadline = time.monotonic() + 5  # if pg_dump is so quick that its locks are never seen
            while watcher.execute(locked).fetchone() == (0,) and time.monotonic() < deadline:
                pass
            threads.append(threading.Thread(target=migrate))
            threads[0].start()
            blocked = "SELECT count(*) FROM pg_locks WHERE relation = 'big'::regclass AND NOT granted"
            while threads[0].is_alive() and watcher.execute(blocked).fetchone() == (0,):
                pass

    middle = run(server, report=at(Progress, start)).snapshot
    threads[0].join()
    assert restored(server, middle) == before
    after = run(server).snapshot
    assert restored(server, after) == contents_of(url) != before


def test_migration_that_comes_before_everybody_has_locked(server: Server) -> None:
    """A migration that queues between the snapshot's locks and pg_dump's is let through, and the run starts again."""
    url = server.configuration.database.url
    threads: list[threading.Thread] = []
    notes: list[str] = []

    def start() -> None:
        threads.append(threading.Thread(target=do, args=(server, "ALTER TABLE big ADD COLUMN added int DEFAULT 5")))
        threads[0].start()
        with psycopg.connect(url, autocommit=True) as watcher:
            blocked = "SELECT count(*) FROM pg_locks WHERE relation = 'big'::regclass AND NOT granted"
            while threads[0].is_alive() and watcher.execute(blocked).fetchone() == (0,):
                pass

    at_reading = at(StepStarted, start, number=3)

    def report(event: Event) -> None:
        at_reading(event)
        if isinstance(event, Note):
            notes.append(event.message)

    result = run(server, report=report)
    threads[0].join()
    assert any("starting again" in note for note in notes)
    assert restored(server, result.snapshot) == contents_of(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM big WHERE added = 5").fetchone() == (20_000,)


def test_tables_that_come_and_go(server: Server) -> None:
    """While another session makes and drops tables all the time, runs succeed, or say so; none is wrong."""
    is_over = threading.Event()

    def churn() -> None:
        with psycopg.connect(server.configuration.database.url, autocommit=True) as connection:
            number = 0
            while not is_over.is_set():
                connection.execute(f"CREATE TABLE fleeting_{number % 5} AS SELECT {number} AS i")
                connection.execute(f"ALTER TABLE fleeting_{number % 5} RENAME TO other_{number % 5}")
                connection.execute(f"DROP TABLE other_{number % 5}")
                number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    succeeded = 0
    try:
        for _ in range(6):
            try:
                run(server, is_audited=False)
                succeeded += 1
            except DatabaseError as error:
                assert error.hint  # noqa: PT017 - either outcome is right
    finally:
        is_over.set()
        thread.join()
    run(server)
    assert_sound(server)
    assert restored(server) == contents_of(server.configuration.database.url)


def test_lock_timeout(server: Server) -> None:
    """A table that somebody holds for himself is told as such, with what to do, after the timeout."""
    url = server.configuration.database.url
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE small IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseError, match="could not be locked") as caught, locked_snapshot(url, 100):
            pass
    assert "migration" in caught.value.hint


def test_connection_lost_in_the_middle(server_folder: Path, make_server: MakeServer) -> None:
    """A connection cut while rows are read publishes nothing, leaves the state as it was, and the next run is right."""
    port = free_port()
    with ScratchCluster(server_folder / "logcut", tcp_port=port) as other:
        with psycopg.connect(other.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE cut")
        direct = other.conninfo("cut")
        with psycopg.connect(direct) as connection:
            connection.execute("CREATE TABLE big (id bigint PRIMARY KEY, text text, at timestamptz)")
            for part in range(4):
                connection.execute(
                    f"CREATE TABLE more_{part} AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i"
                )
            connection.execute(BIG.format(1, 50_000))
        with CuttableProxy(port) as proxy:
            server = make_server(other.tcp_conninfo("cut", port=proxy.port), engine="log")
            error = fail(server, at(Progress, proxy.cut))
            assert error.unchanged
        assert list_snapshots(server.repository.layout) == []
        configuration = server.configuration.model_copy(
            update={"database": server.configuration.database.model_copy(update={"url": direct})}
        )
        again = replace(server, configuration=configuration)
        run(again)
        assert restored(again) == contents_of(direct)
        assert list(server.repository.layout.temporary.iterdir()) == []


@pytest.fixture
def reader(server: Server) -> Iterator[str]:
    """A role with CONNECT and nothing else; a connection string for it."""
    url = server.configuration.database.url
    do(server, "CREATE ROLE reader LOGIN")
    yield conninfo_for(url, user="reader")
    do(server, "DROP OWNED BY reader", "REVOKE pg_read_all_data FROM reader", "DROP ROLE reader")


def as_role(server: Server, url: str) -> Server:
    """Return the server, backed up by another role."""
    database = server.configuration.database.model_copy(update={"url": url})
    return replace(server, configuration=server.configuration.model_copy(update={"database": database}))


def test_a_reading_role_is_enough(server: Server, reader: str) -> None:
    """pg_read_all_data and CONNECT suffice; without, everything that is missing is said before the work begins."""
    do(server, "SELECT lo_unlink(4711)")  # large objects are not covered by pg_read_all_data
    steps: list[int] = []
    weak = as_role(server, reader)
    error = fail(weak, lambda event: steps.append(event.number) if isinstance(event, StepStarted) else None)
    assert "public.big, public.names, public.small" in error.message
    assert "GRANT pg_read_all_data TO reader" in error.hint
    assert steps == [1, 2]
    do(server, "GRANT pg_read_all_data TO reader")
    run(weak)
    assert restored(server) == contents_of(server.configuration.database.url)
    do(server, "ALTER TABLE small ENABLE ROW LEVEL SECURITY")
    error = fail(weak)
    assert "row security hides rows of public.small" in error.message
    assert "ALTER ROLE reader BYPASSRLS" in error.hint


def test_standby(server_folder: Path, make_server: MakeServer) -> None:
    """A standby serves as well as its primary; what it cannot read is left out. It resumes where a run on its primary
    ended, of which it has the mark; the primary cannot know where a standby ended, and is read in full."""
    with ScratchCluster(server_folder / "primary") as primary:
        with psycopg.connect(primary.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE logged AS SELECT i, md5(i::text) AS text FROM generate_series(1, 5000) i")
            connection.execute("CREATE UNLOGGED TABLE forgetful AS SELECT 1 AS i")
        standby = base_backup(primary, server_folder / "standby", {})
        follow(standby, primary)
        standby.start()
        try:
            server = make_server(standby.conninfo("postgres"), engine="log")
            first = run(server)
            assert first.rows_new == 5000
            on_primary = as_role(server, primary.conninfo("postgres"))
            with psycopg.connect(primary.conninfo("postgres"), autocommit=True) as connection:
                connection.execute("UPDATE logged SET text = 'changed' WHERE i <= 10")
                lsn = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
            with psycopg.connect(standby.conninfo("postgres"), autocommit=True) as connection:
                caught_up = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
                while connection.execute(caught_up, lsn).fetchone() != (True,):
                    pass
            second = run(server)
            assert (second.rows_new, second.rows_gone) == (10, 10)
            third = run(on_primary)
            assert third.rows_new == 5001  # with the unlogged table, which only the primary can read
            restored_on = as_role(server, primary.conninfo("postgres"))
            assert restored(restored_on) == contents_of(primary.conninfo("postgres"))
            wait_until_replayed(standby, primary)
            fourth = run(server)
            assert (fourth.rows_new, fourth.rows_gone) == (0, 0)
        finally:
            standby.destroy()


def test_pgbouncer_is_refused(server_folder: Path, make_server: MakeServer, tmp_path: Path) -> None:
    """A connection through PgBouncer in transaction mode is refused with the hint to use PostgreSQL's own port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    port, pool_port = free_port(), free_port()
    with ScratchCluster(server_folder / "pooled", tcp_port=port) as other:
        url = other.tcp_conninfo("postgres")
        known = conninfo_to_dict(url)
        password = Path(str(known["passfile"])).read_text().strip().split(":")[-1]
        folder = server_folder / "bouncer"
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "users").write_text(f'"{known["user"]}" "{password}"\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={port} password={password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {pool_port}\nauth_type = plain\nauth_file = {folder}/users\npool_mode = transaction\n"
            "ignore_startup_parameters = extra_float_digits\nunix_socket_dir =\n"
        )
        owner = ["-u", "postgres"] if other.data_folder.owner() == "postgres" else []
        with subprocess.Popen([program, *owner, str(folder / "ini")], stderr=subprocess.PIPE, text=True) as bouncer:
            assert bouncer.stderr is not None
            for line in bouncer.stderr:
                if "process up" in line:
                    break
            try:
                pooled = conninfo_for(
                    "", host="127.0.0.1", port=str(pool_port), user=str(known["user"]), dbname="postgres"
                )
                pass_file = tmp_path / "pgpass"
                pass_file.write_text(f"*:*:*:*:{password}\n")
                pass_file.chmod(0o600)
                error = fail(make_server(conninfo_for(pooled, passfile=str(pass_file)), engine="log"))
            finally:
                bouncer.terminate()
                bouncer.communicate()
    assert "pooler" in error.message
    assert "5432" in error.hint
