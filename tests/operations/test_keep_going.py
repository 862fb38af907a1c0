"""restore --keep-going: all that PostgreSQL takes comes back, and nothing that it refuses is lost or passed over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from permafrost.errors import DatabaseError, NotWholeError, RestoreRefusedError
from permafrost.events import Event, StepStarted, Warned, ignore_events
from permafrost.loading.preflight import Target
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.drill import DrillRequest, drill
from permafrost.operations.export import ExportRequest, export
from permafrost.operations.restore import RestoreRequest, RestoreResult, restore
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.clients import client_program
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.runs import RESTORE, RunRecords
from permafrost.status.document import status
from tests.fixtures.backups import contents_of, drop, make_backup
from tests.fixtures.commands import command
from tests.fixtures.hidden_rows import (
    an_extension_that_no_server_has,
    bytes_that_are_no_text,
    hide_a_duplicate,
    without_keys,
)
from tests.fixtures.own_postgresql import OWN_MAJOR
from tests.fixtures.restores import NAME, databases
from tests.fixtures.server import MakeServer, Server

Engine = Literal["log", "dump"]
ENGINES: tuple[Engine, ...] = ("log", "dump")


@pytest.fixture
def restored(database: str) -> Iterator[str]:
    """The connection string of the database that a test restores; it is dropped at the end."""
    yield conninfo_for(database, dbname=NAME)
    for name in databases(database):
        if name.startswith(NAME):
            drop(database, name)


def request_of(server: Server, folder: Path, *, keeps_going: bool = True, replaces: bool = False) -> RestoreRequest:
    """Return the request of a restore as the command makes it, with its list in a folder of the test's."""
    return RestoreRequest(
        Source(server.path, OpeningKey(server.passphrase_file)),
        None,
        Target(NAME, replaces=replaces, with_owners=True, with_all_extensions=not keeps_going),
        server=conninfo_for(server.configuration.database.url, dbname="postgres"),
        keeps_going=keeps_going,
        missing_to=folder,
    )


def run(server: Server, folder: Path, *, keeps_going: bool = True, replaces: bool = False) -> RestoreResult:
    """Restore the newest snapshot."""
    request = request_of(server, folder, keeps_going=keeps_going, replaces=replaces)
    return restore(request, report=ignore_events, now=datetime.now(UTC))


def finish(conninfo: str, folder: Path) -> None:
    """Run the list as it tells the admin to."""
    subprocess.run(
        [client_program("psql", OWN_MAJOR), "-X", "-q", "-d", conninfo, "-f", "finish.sql"],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def comment_on(conninfo: str) -> str | None:
    """Return the database's comment."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def definitions(conninfo: str) -> list[str]:
    """Return what pg_dump says of the database's definitions, line by line."""
    words = [client_program("pg_dump", OWN_MAJOR), "--schema-only", "-d", conninfo]
    dumped = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [line for line in dumped.splitlines() if "restrict " not in line]


def made(make_server: MakeServer, database: str, engine: Engine = "log") -> Server:
    """Return a server with one audited snapshot of the database."""
    server = make_server(database, engine=engine)
    make_backup(server, is_audited=True)
    return server


def test_a_sound_snapshot(make_server: MakeServer, mastodon_database: str, restored: str, tmp_path: Path) -> None:
    """A snapshot with nothing wrong in it is restored whole, and nothing is written."""
    result = run(made(make_server, mastodon_database), tmp_path / "missing")
    assert not result.missing
    assert result.missing_list is None
    assert not (tmp_path / "missing").exists()
    assert contents_of(restored) == contents_of(mastodon_database)
    assert definitions(restored) == definitions(mastodon_database)


@pytest.mark.parametrize("engine", ENGINES)
def test_hidden_duplicates(
    make_server: MakeServer, database: str, restored: str, tmp_path: Path, engine: Engine
) -> None:
    """Every row comes back, the database bears a mark, and the list finishes it once the duplicate is removed."""
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
        connection.execute(f"COMMENT ON DATABASE {conninfo_to_dict(database)['dbname']} IS 'ours'")
    result = run(made(make_server, database, engine), tmp_path / "missing")
    assert contents_of(restored) == contents_of(database)
    (reason,) = result.missing.reasons
    assert "Key (lower(username))=(user7) is duplicated" in reason
    assert result.missing_list == tmp_path / "missing" / "finish.sql"
    assert result.missing_list.stat().st_mode & 0o077 == 0
    assert (comment_on(restored) or "").startswith("NOT WHOLE: ")
    assert "NOT WHOLE" in result.runbook.text()
    with psycopg.connect(restored) as connection:
        connection.execute("DELETE FROM accounts WHERE id = 900")
    finish(restored, tmp_path / "missing")
    assert definitions(restored) == definitions(database)
    assert comment_on(restored) == "ours"


def test_without_it_every_row_is_there_and_it_fails(
    make_server: MakeServer, database: str, restored: str, tmp_path: Path
) -> None:
    """A restore that is to be whole fails at a hidden duplicate, but keeps the rows, and says what it lacks."""
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
    with pytest.raises(NotWholeError) as caught:
        run(made(make_server, database), tmp_path / "missing", keeps_going=False)
    assert "(user7) is duplicated" in caught.value.message
    assert caught.value.exit_code == 16
    assert "--keep-going" in caught.value.hint
    assert contents_of(restored) == contents_of(database)
    assert (comment_on(restored) or "").startswith("NOT WHOLE: ")
    assert b"CREATE UNIQUE INDEX accounts_by_name" in (tmp_path / "missing" / "finish.sql").read_bytes()


def test_without_it_a_live_database_stays(
    make_server: MakeServer, database: str, restored: str, tmp_path: Path
) -> None:
    """A database that is not whole takes no live one's place unless it is asked to."""
    server = made(make_server, database)
    run(server, tmp_path / "none")
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
    make_backup(server)
    before = contents_of(restored)
    with pytest.raises(DatabaseError) as caught:
        run(server, tmp_path / "missing", keeps_going=False, replaces=True)
    assert "--keep-going" in caught.value.hint
    assert caught.value.unchanged == f"the database {NAME}; the unfinished one was dropped"
    assert contents_of(restored) == before
    result = run(server, tmp_path / "missing", replaces=True)
    assert result.kept_as is not None
    assert contents_of(restored) == contents_of(database)


@pytest.mark.parametrize("engine", ENGINES)
def test_orphans(make_server: MakeServer, database: str, restored: str, tmp_path: Path, engine: Engine) -> None:
    """Rows that refer to nothing come back; the key is named with the value, and is added once they are gone."""
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
        connection.execute("DELETE FROM accounts WHERE id = 900")
        without_keys(connection, "INSERT INTO statuses VALUES (9999, 777)")
    result = run(made(make_server, database, engine), tmp_path / "missing")
    assert contents_of(restored) == contents_of(database)
    (reason,) = result.missing.reasons
    assert 'Key (account_id)=(777) is not present in table "accounts"' in reason
    with psycopg.connect(restored) as connection:
        connection.execute("DELETE FROM statuses WHERE id = 9999")
    finish(restored, tmp_path / "missing")
    assert definitions(restored) == definitions(database)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_are_no_text(
    make_server: MakeServer, database: str, restored: str, tmp_path: Path, engine: Engine
) -> None:
    """Rows that are no UTF-8 are left out alone, lie beside the list as they are, and go in once they are mended."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 30000) AS i")
    broken = b"UPDATE notes SET body = E'caf\\xe9' WHERE id IN (7, 15000, 29999)"
    bytes_that_are_no_text(database, broken)
    result = run(made(make_server, database, engine), tmp_path / "missing")
    assert result.rows == 29_997
    (reason,) = result.missing.reasons
    assert "3 rows of public.notes were refused" in reason
    assert 'invalid byte sequence for encoding "UTF8": 0xe9' in reason
    (file,) = (tmp_path / "missing").glob("rows-*.copy")
    assert sorted(file.read_bytes().splitlines()) == [b"15000\tcaf\xe9", b"29999\tcaf\xe9", b"7\tcaf\xe9"]
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(file.read_bytes().replace(b"\xe9", "é".encode()))
    finish(restored, tmp_path / "missing")
    with psycopg.connect(restored) as connection:
        assert connection.execute("SELECT count(*), count(*) FILTER (WHERE body = 'café') FROM notes").fetchone() == (
            30_000,
            3,
        )
        assert comment_on(restored) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_at_once(
    make_server: MakeServer, database: str, restored: str, tmp_path: Path, engine: Engine
) -> None:
    """An extension that is not to be had takes its table with it, whose rows are kept; all else comes back."""
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
        without_keys(connection, "INSERT INTO statuses VALUES (9999, 777)")
        connection.execute("CREATE TABLE ratios (a int, b int); INSERT INTO ratios VALUES (1, 1)")
        connection.execute("CREATE MATERIALIZED VIEW quotients AS SELECT a / b AS q FROM ratios")
        connection.execute("UPDATE ratios SET b = 0")
        connection.execute("CREATE MATERIALIZED VIEW names AS SELECT username FROM accounts")
        an_extension_that_no_server_has(connection)
        connection.execute("CREATE TABLE moods (id int PRIMARY KEY, mood mood); INSERT INTO moods VALUES (1, 'ok')")
        connection.execute("CREATE VIEW happy AS SELECT * FROM moods WHERE mood = 'ok'")
        connection.execute("CREATE SEQUENCE counted; SELECT setval('counted', 41)")
    server = made(make_server, database, engine)
    with pytest.raises(RestoreRefusedError) as refused:
        run(server, tmp_path / "none", keeps_going=False)
    assert "--keep-going" in refused.value.hint
    result = run(server, tmp_path / "missing")
    expected = [table for table in contents_of(database) if table.table.name != "moods"]
    assert contents_of(restored) == expected
    told = "\n".join(result.missing.reasons)
    for part in ("not_to_be_had", "public.moods", "(user7) is duplicated", "(777) is not present", "division by zero"):
        assert part in told
    text = (tmp_path / "missing" / "finish.sql").read_bytes()
    order = [b"CREATE EXTENSION", b"CREATE TABLE public.moods", b'\\copy "public"."moods"', b"CREATE UNIQUE INDEX"]
    order += [b'VALIDATE CONSTRAINT "statuses_account_id_fkey"', b"REFRESH MATERIALIZED VIEW public.quotients"]
    assert sorted(order, key=text.index) == order
    (file,) = (tmp_path / "missing").glob("rows-*moods.copy")
    assert file.read_bytes() == b"1\tok\n"
    with psycopg.connect(restored) as connection:
        assert connection.execute("SELECT nextval('counted'), (SELECT count(*) FROM names)").fetchone() == (42, 301)


def test_a_failure_of_the_server_ends_it(make_server: MakeServer, server_folder: Path, tmp_path: Path) -> None:
    """A server that goes away refuses nothing: the restore ends, gives no database its name, and lists nothing."""
    with ScratchCluster(server_folder / "ended") as own:
        url = own.conninfo("postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            hide_a_duplicate(connection)
        server = made(make_server, url)

        def end(event: Event) -> None:
            if isinstance(event, StepStarted) and event.title.startswith("build indexes"):
                own.stop("immediate")

        with pytest.raises(DatabaseError):
            restore(request_of(server, tmp_path / "missing"), report=end, now=datetime.now(UTC))
        own.start()
        assert NAME not in databases(url)
        assert not (tmp_path / "missing").exists()


def test_export_has_everything(
    make_server: MakeServer, database: str, restored: str, tmp_path: Path, server_folder: Path
) -> None:
    """A plain export ends with the index that its rows do not allow; psql loads all the rest of it."""
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
    server = made(make_server, database)
    scratch = server_folder / "exports"
    scratch.mkdir(mode=0o711)
    source = Source(server.path, OpeningKey(server.passphrase_file))
    file = tmp_path / "all.sql"
    exported = export(
        ExportRequest(source, None, "plain", file, is_sealed=False, scratch=scratch),
        report=ignore_events,
        now=datetime.now(UTC),
    )
    custom = export(
        ExportRequest(source, None, "custom", tmp_path / "all.dump", is_sealed=False, scratch=scratch),
        report=ignore_events,
        now=datetime.now(UTC),
    )
    scratch.rmdir()
    assert exported.is_whole
    assert not custom.is_whole
    assert "(user7) is duplicated" in exported.missing[0]
    with psycopg.connect(conninfo_for(database, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME} TEMPLATE template0")
    words = [client_program("psql", OWN_MAJOR), "-X", "-q", "-d", restored, "-f", str(file)]
    loaded = subprocess.run(words, check=True, capture_output=True, text=True)
    assert loaded.stderr.count("ERROR") == 1
    assert contents_of(restored) == contents_of(database)


def test_drill_tells(make_server: MakeServer, database: str, server_folder: Path) -> None:
    """A drill of such a snapshot tells what cannot be restored, and does not prove the snapshot."""
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
    server = made(make_server, database)
    scratch = server_folder / "unproven"
    scratch.mkdir(mode=0o711)
    source = Source(server.path, OpeningKey(server.passphrase_file))
    request = DrillRequest(source, None, scratch=scratch, state=server.configuration.state.path)
    result = drill(request, report=ignore_events, now=datetime.now(UTC))
    scratch.rmdir()
    assert result.has_findings
    assert "(user7) is duplicated" in result.missing[0]
    told = status(server.configuration, datetime.now(UTC))
    assert told.newest_proven is None
    assert any("NOT WHOLE" in finding.message for finding in told.findings)


def test_the_command(make_server: MakeServer, database: str, restored: str, tmp_path: Path) -> None:
    """The command ends with 3, names what is missing, and its JSON says that the database is not whole."""
    with psycopg.connect(database, autocommit=True) as connection:
        hide_a_duplicate(connection)
    server = made(make_server, database)
    words = (
        *("restore", "latest", f"--config={server.write_configuration()}", f"--database={NAME}", "--keep-going"),
        *(f"--missing-to={tmp_path / 'missing'}", f"--runbook={tmp_path / 'runbook'}", "--json"),
    )
    ended = command(*words)
    assert ended.returncode == 3, ended.stderr
    document = json.loads(ended.stdout)
    assert document["whole"] is False
    assert document["rows_refused"] == 0
    assert document["missing_list"] == str(tmp_path / "missing" / "finish.sql")
    assert "(user7)" in document["missing"][0]
    assert contents_of(restored) == contents_of(database)
    record = RunRecords(server.configuration.state.path).newest(RESTORE)
    assert record is not None
    assert record.details["is_whole"] is False
    assert record.details["missing"] == len(document["missing"])


def test_the_record_says_whether_it_is_whole(
    make_server: MakeServer, mastodon_database: str, restored: str, tmp_path: Path
) -> None:
    """A restore's record has what is missing; one that fails is recorded so; no state folder is no obstacle."""
    server = made(make_server, mastodon_database)
    state = server.configuration.state.path
    request = replace(request_of(server, tmp_path / "missing"), state=state)
    result = restore(request, report=ignore_events, now=datetime.now(UTC))
    assert contents_of(restored) == contents_of(mastodon_database)
    record = RunRecords(state).newest(RESTORE)
    assert record is not None
    assert (record.outcome, record.snapshot) == ("done", str(result.snapshot))
    assert (record.details["is_whole"], record.details["missing"]) == (True, 0)
    with pytest.raises(RestoreRefusedError):
        restore(request, report=ignore_events, now=datetime.now(UTC))
    assert RunRecords(state).newest(RESTORE, "failed") is not None
    told: list[Event] = []
    with pytest.raises(RestoreRefusedError):
        restore(replace(request, state=Path("/dev/null/state")), report=told.append, now=datetime.now(UTC))
    assert any("not recorded" in event.message for event in told if isinstance(event, Warned))
