"""restore: refused before anything is touched, or whole; a living database is never lost."""

from __future__ import annotations

import shlex
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from permafrost.errors import (
    DatabaseError,
    IntegrityError,
    KeyFileError,
    PermafrostError,
    RepositoryError,
    RestoreRefusedError,
)
from permafrost.events import Event, Note, StepStarted, ignore_events
from permafrost.loading.preflight import Target
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.restore import RestoreRequest, RestoreResult, restore
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import SnapshotId
from permafrost.repository.snapshots import list_snapshots
from samples.database import create_database, load
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.restores import NAME, databases
from tests.fixtures.server import MakeServer, Server

SECRETS = "LOCAL_DOMAIN=example.social\nSECRET_KEY_BASE=0123456789abcdef\n"


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer, tmp_path: Path) -> Iterator[Server]:
    """A server with one snapshot of database and secrets; the databases that tests restore are dropped."""
    secret = tmp_path / "live" / ".env.production"
    secret.parent.mkdir()
    secret.write_text(SECRETS)
    secret.chmod(0o640)
    made = make_server(mastodon_database, secret_files=(secret,))
    make_backup(made)
    yield made
    for name in databases(mastodon_database):
        if name.startswith(NAME):
            drop(mastodon_database, name)


def run(
    server: Server,
    name: str = NAME,
    *,
    choice: SnapshotId | None = None,
    replaces: bool = False,
    with_owners: bool = True,
    secrets_to: Path | None = None,
    passphrase_file: Path | None = None,
    fingerprint: str | None = None,
) -> RestoreResult:
    """Restore from the folder alone."""
    request = RestoreRequest(
        Source(server.path, OpeningKey(passphrase_file or server.passphrase_file), fingerprint),
        choice,
        Target(name, replaces=replaces, with_owners=with_owners),
        server=conninfo_for(server.configuration.database.url, dbname="postgres"),
        secrets_to=secrets_to,
    )
    return restore(request, report=ignore_events, now=datetime(2026, 11, 22, 12, tzinfo=UTC))


def refused(server: Server, kind: type[PermafrostError] = RestoreRefusedError, **words: object) -> PermafrostError:
    """Run a restore that must fail without touching anything, and return the error."""
    url = server.configuration.database.url
    before = databases(url)
    with pytest.raises(kind) as caught:
        run(server, **words)  # type: ignore[arg-type] # the words of run
    assert databases(url) == before
    return caught.value


def test_whose_code_runs_is_said(server: Server, mastodon_database: str) -> None:
    """Before anything is made, a restore says with whose rights code in the snapshot will run."""
    said: list[Event] = []
    make_restore(server, NAME, report=said.append)
    with psycopg.connect(mastodon_database) as connection:
        assert connection.info.user == "postgres"
    messages = [event.message if isinstance(event, Note) else str(event) for event in said]
    notes = [message for message in messages if "runs as the role postgres, a superuser" in message]
    assert len(notes) == 1
    made = next(number for number, message in enumerate(messages) if "create the database" in message)
    assert messages.index(notes[0]) < made


def test_existing_database(server: Server) -> None:
    """A database that exists is refused and left alone; the hint names --replace."""
    url = server.configuration.database.url
    existing = str(conninfo_to_dict(url)["dbname"])
    before = contents_of(url)
    error = refused(server, name=existing)
    assert error.exit_code == 19
    assert "--replace" in error.hint
    assert contents_of(url) == before


def test_replace_swaps_and_keeps(server: Server) -> None:
    """--replace puts the restored database in the place of the living one, which is kept under another name."""
    url = server.configuration.database.url
    good = contents_of(url)
    run(server)
    here = conninfo_for(url, dbname=NAME)
    with psycopg.connect(here) as connection:
        connection.execute("DELETE FROM status_stats")
    broken = contents_of(here)
    result = run(server, replaces=True)
    assert result.kept_as == f"{NAME}_before_20261122T120000"
    assert contents_of(here) == good
    assert contents_of(conninfo_for(url, dbname=result.kept_as)) == broken != good


def test_replace_refuses_a_database_in_use(server: Server) -> None:
    """--replace is refused while somebody is connected, and says who."""
    run(server)
    with psycopg.connect(conninfo_for(server.configuration.database.url, dbname=NAME, application_name="puma")):
        error = refused(server, replaces=True)
    assert "puma of postgres" in error.message
    assert "mastodon-sidekiq" in error.hint


def test_replace_needs_something_to_replace(server: Server) -> None:
    """--replace of a database that is not there is refused: the name may be mistyped."""
    assert "no database restored_here to replace" in refused(server, replaces=True).message


def test_failed_replace_leaves_the_living_one(server: Server) -> None:
    """A --replace that fails in the middle leaves the living database as it was, and nothing unfinished."""
    url = server.configuration.database.url
    run(server)
    before, names = contents_of(conninfo_for(url, dbname=NAME)), databases(url)
    blocker: list[psycopg.Connection] = []

    def connect_late(event: Event) -> None:
        if isinstance(event, StepStarted) and event.title.startswith("rename it to"):
            blocker.append(psycopg.connect(conninfo_for(url, dbname=NAME)))

    with pytest.raises(DatabaseError) as caught:
        make_restore(server, NAME, replaces=True, report=connect_late)
    blocker[0].close()
    assert f"the database {NAME};" in caught.value.unchanged
    assert "connected" in caught.value.hint
    assert databases(url) == names
    assert contents_of(conninfo_for(url, dbname=NAME)) == before


def test_unfinished_restore_is_cleared(server: Server) -> None:
    """What a killed restore left is dropped by the next; a foreign database of that name is not."""
    url = server.configuration.database.url
    working = f"{NAME}_permafrost_new"
    with psycopg.connect(conninfo_for(url, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {working}")
        assert working in refused(server).message
        connection.execute(f"COMMENT ON DATABASE {working} IS 'permafrost: unfinished restore'")
    run(server)
    assert working not in databases(url)
    assert NAME in databases(url)


def test_wrong_passphrase(server: Server, tmp_path: Path) -> None:
    """A wrong passphrase is told before anything is touched, with exit code 13."""
    wrong = tmp_path / "wrong"
    wrong.write_text("something else\n")
    wrong.chmod(0o600)
    assert refused(server, KeyFileError, passphrase_file=wrong).exit_code == 13


def test_passphrase_that_others_can_read(server: Server) -> None:
    """A passphrase file that others can read is refused."""
    server.passphrase_file.chmod(0o644)
    assert "chmod" in refused(server, KeyFileError).hint


@pytest.mark.format("7.3")
def test_damaged_object(server: Server) -> None:
    """A damaged object is refused before a database is made, with exit code 14."""
    for file in server.repository.layout.objects.rglob("*.gpg"):
        good = file.read_bytes()
        file.chmod(0o644)
        file.write_bytes(good[:-1])
        assert refused(server, IntegrityError).exit_code == 14
        file.write_bytes(good)


@pytest.mark.format("7.1", "4.3")
def test_untrusted_signature(server: Server) -> None:
    """With the fingerprint of another key nothing is restored."""
    assert refused(server, IntegrityError, fingerprint="0" * 40).exit_code == 14


@pytest.mark.format("7.2", "5.1")
def test_another_snapshots_manifest(server: Server) -> None:
    """A manifest taken from another snapshot is refused, although the key opens it."""
    first = list_snapshots(server.repository.layout)[0]
    second = make_backup(server).snapshot
    place = server.repository.layout.snapshot(second) / "manifest.gpg"
    place.chmod(0o644)
    shutil.copyfile(server.repository.layout.snapshot(first) / "manifest.gpg", place)
    assert "manifest" in refused(server, IntegrityError, choice=second).message
    run(server, choice=first)


@pytest.mark.format("7.1", "4.2")
def test_another_repositorys_snapshot(server: Server, mastodon_database: str, make_server: MakeServer) -> None:
    """A snapshot of another repository of the same server, carried over with all its objects, is refused."""
    other = make_server(mastodon_database, name="other")
    foreign = make_backup(other).snapshot
    shutil.copytree(other.path / "objects", server.path / "objects", dirs_exist_ok=True)
    shutil.copytree(other.repository.layout.snapshot(foreign), server.repository.layout.snapshot(foreign))
    assert "another repository" in refused(server, IntegrityError, choice=foreign).message


def test_no_such_snapshot(server: Server, make_server: MakeServer) -> None:
    """A snapshot that is not there, or an empty repository, is told with exit code 12."""
    assert refused(server, RepositoryError, choice=SnapshotId("20200101T000000Z-00000000")).exit_code == 12
    empty = make_server(server.configuration.database.url, name="empty")
    assert "has no snapshot" in refused(empty, RepositoryError).message


def test_a_missing_role_with_a_name_for_the_shell(server: Server) -> None:
    """A role whose name would end the quotes of the command that makes it does not: a person copies that command."""
    url = server.configuration.database.url
    name = "x'; touch /nowhere; '"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{name}"')
        try:
            connection.execute(f'CREATE SCHEMA theirs AUTHORIZATION "{name}"')
            make_backup(server)
            connection.execute("DROP SCHEMA theirs")
        finally:
            connection.execute(f'DROP ROLE "{name}"')
    words = shlex.split(refused(server).hint.partition("create them with: ")[2])
    assert words[words.index("-c") + 1] == f'CREATE ROLE "{name}"'


def test_missing_role(server: Server) -> None:
    """A role that the server lacks is refused with the command that makes it; --no-owner does without."""
    url = server.configuration.database.url
    with psycopg.connect(conninfo_for(url, dbname="postgres"), autocommit=True) as connection:
        connection.execute("GRANT pg_monitor TO mastodon")
        connection.execute("ALTER ROLE mastodon SET search_path = a, b")
        make_backup(server)
        connection.execute("ALTER ROLE mastodon RENAME TO mastodon_away")
        try:
            error = refused(server)
            assert 'CREATE ROLE "mastodon" LOGIN; GRANT "pg_monitor" TO "mastodon"' in error.hint
            words = shlex.split(error.hint.partition("create them with: ")[2])
            assert words[:2] == ["psql", "-d"]
            with psycopg.connect(words[2]) as as_printed:
                assert as_printed.info.port == connection.info.port
            assert "ALTER ROLE SET: mastodon: search_path=a, b" in error.hint
            assert run(server, with_owners=False).rows > 0
        finally:
            connection.execute("ALTER ROLE mastodon_away RENAME TO mastodon")
            connection.execute("ALTER ROLE mastodon RESET ALL; REVOKE pg_monitor FROM mastodon")


@pytest.mark.format("5.5")
def test_secrets(server: Server, tmp_path: Path) -> None:
    """Secrets are written with their content and mode, in private folders, and never over something."""
    result = run(server, secrets_to=tmp_path / "out")
    (written,) = result.secrets
    assert written == tmp_path / "out" / str(tmp_path / "live" / ".env.production").lstrip("/")
    assert written.read_text() == SECRETS
    assert stat.S_IMODE(written.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    error = refused(server, name=f"{NAME}_again", secrets_to=tmp_path / "out")
    assert "already exists" in error.message


def test_properties_of_the_database(make_server: MakeServer, database: str) -> None:
    """Comment, settings, grants, owner, encoding and collation of the database itself come back."""
    name = str(conninfo_to_dict(database)["dbname"])
    facts = (
        "SELECT shobj_description(d.oid, 'pg_database'), (SELECT array_agg(a::text ORDER BY a::text) "
        "FROM unnest(datacl) a), pg_get_userbyid(datdba), datcollate, "
        "pg_encoding_to_char(encoding), (SELECT array_agg(setrole || one ORDER BY setrole, one) "
        "FROM pg_db_role_setting, unnest(setconfig) one WHERE setdatabase = d.oid) "
        "FROM pg_database d WHERE datname = current_database()"
    )
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE keeper")
        connection.execute(f"COMMENT ON DATABASE {name} IS 'it''s ours'")
        connection.execute(f"ALTER DATABASE {name} SET work_mem = '8MB'")
        connection.execute(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
        connection.execute(f"ALTER ROLE keeper IN DATABASE {name} SET timezone = 'Europe/Paris'")
        connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        connection.execute(f"GRANT CREATE ON DATABASE {name} TO keeper WITH GRANT OPTION")
        before = connection.execute(facts).fetchone()
    made = make_server(database)
    make_backup(made)
    try:
        run(made)
        with psycopg.connect(conninfo_for(database, dbname=NAME)) as connection:
            assert connection.execute(facts).fetchone() == before
    finally:
        drop(database, NAME)
        drop(database, name)
        with psycopg.connect(conninfo_for(database, dbname="postgres"), autocommit=True) as connection:
            connection.execute("DROP ROLE keeper")


def test_many_statuses(make_server: MakeServer, database: str, *, is_long: bool) -> None:
    """A database with 10,000 statuses comes back equal, table by table, row by row; in a long run with 100,000."""
    statuses = 100_000 if is_long else 10_000
    name = "many_statuses"
    create_database(conninfo_for(database, dbname="postgres"), name)
    url = conninfo_for(database, dbname=name)
    try:
        with psycopg.connect(url) as connection:
            load(connection, accounts=statuses // 20, statuses=statuses)
            counted = connection.execute("SELECT count(*) FROM statuses").fetchone()
        assert counted == (statuses,)
        made = make_server(url)
        make_backup(made, is_audited=True)
        assert run(made).is_audited
        assert contents_of(conninfo_for(url, dbname=NAME)) == contents_of(url)
    finally:
        drop(database, NAME)
        drop(database, name)


def test_difference_is_the_loudest_alarm(server: Server, cluster: object, mastodon_template: str) -> None:
    """If the restored rows are not those of the snapshot, the restore fails and leaves no database."""
    del cluster, mastodon_template
    url = server.configuration.database.url
    names = databases(url)

    def interfere(event: Event) -> None:
        if isinstance(event, StepStarted) and event.title.startswith("compare"):
            with psycopg.connect(conninfo_for(url, dbname=f"{NAME}_permafrost_new")) as connection:
                connection.execute("DELETE FROM status_stats WHERE id = (SELECT min(id) FROM status_stats)")

    with pytest.raises(IntegrityError, match=r"public\.status_stats has \d+ rows instead of \d+"):
        make_restore(server, NAME, report=interfere)
    assert databases(url) == names


def test_audit_sees_a_changed_value(make_server: MakeServer, cluster: object, database: str) -> None:
    """An audited snapshot's restore notices one changed character, with every count as it should be."""
    del cluster
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE notes AS SELECT i, 'note ' || i AS text FROM generate_series(1, 50) i")
    made = make_server(database)
    make_backup(made, is_audited=True)

    def interfere(event: Event) -> None:
        if isinstance(event, StepStarted) and event.title.startswith("compare"):
            with psycopg.connect(conninfo_for(database, dbname=f"{NAME}_permafrost_new")) as connection:
                connection.execute("UPDATE notes SET text = 'n0te 7' WHERE i = 7")

    with pytest.raises(IntegrityError, match=r"public\.notes has rows that differ"):
        make_restore(made, NAME, report=interfere)
