"""A snapshot as a standard dump file: equal when restored by hand, sealed unless told otherwise, whole or absent."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg import sql

from permafrost.config.models import Encryption
from permafrost.errors import PermafrostError, RestoreRefusedError
from permafrost.events import Event, Progress, ignore_events
from permafrost.loading.source import Source
from permafrost.openpgp.home import stop_agent
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import back_up
from permafrost.operations.export import Exported, ExportRequest, export
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.clients import client_program
from permafrost.postgres.programs.dump_program import DumpForm
from tests.fixtures.backups import contents_of, drop, make_backup
from tests.fixtures.commands import command, command_with_clients, json_of
from tests.fixtures.own_postgresql import OWN_MAJOR
from tests.fixtures.server import PASSPHRASE, MakeServer, Server
from tests.fixtures.stock_programs import load_archive, load_script

NAME = "exported_here"


@pytest.fixture(scope="module", params=["log", "dump"])
def engine(request: pytest.FixtureRequest) -> Literal["log", "dump"]:
    """Each engine."""
    chosen: Literal["log", "dump"] = request.param
    return chosen


@pytest.fixture
def server(
    mastodon_database: str, make_server: MakeServer, engine: Literal["log", "dump"], server_folder: Path
) -> Iterator[Server]:
    """A server with a snapshot, and a folder for scratch servers beside it that is empty afterwards."""
    made = make_server(mastodon_database, engine=engine)
    make_backup(made, is_audited=True)
    (server_folder / "scratch").mkdir(exist_ok=True)
    (server_folder / "scratch").chmod(0o711)
    yield made
    assert list((server_folder / "scratch").iterdir()) == []


def make_export(
    server: Server, scratch: Path, place: Path, form: DumpForm, *, is_sealed: bool, report: object = ignore_events
) -> Exported:
    """Export the newest snapshot from the folder and the passphrase alone."""
    source = Source(server.path, OpeningKey(server.passphrase_file))
    request = ExportRequest(source, None, form, place, is_sealed, scratch / "scratch")
    return export(request, report=report, now=datetime.now(UTC))  # type: ignore[arg-type] # a reporter


@contextmanager
def loaded_by_hand(server: Server, load: Callable[[str], None]) -> Iterator[str]:
    """Make a database, load a dump into it, and yield its connection string."""
    url = server.configuration.database.url
    with psycopg.connect(conninfo_for(url, dbname="postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(NAME)))
    place = conninfo_for(url, dbname=NAME)
    try:
        load(place)
        yield place
    finally:
        drop(url, NAME)


def opened_by_gpg(file: Path, passphrase: str, home: Path) -> bytes:
    """Open a file as the admin would, with the distribution's gpg and a home of its own."""
    home.mkdir(mode=0o700)
    finished = subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase, "-d", file],
        capture_output=True,
        check=True,
    )
    return finished.stdout


def test_custom_sealed(server: Server, server_folder: Path, tmp_path: Path) -> None:
    """A sealed custom export, opened by gpg and loaded by pg_restore, equals the database; so does pg_dump of it."""
    url = server.configuration.database.url
    place = tmp_path / "out.dump.gpg"
    result = make_export(server, server_folder, place, "custom", is_sealed=True)
    assert result.size_bytes == place.stat().st_size > 0
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert b"PGDMP" not in place.read_bytes()
    dump = opened_by_gpg(place, PASSPHRASE, tmp_path / "gnupg")
    with loaded_by_hand(server, lambda place: load_archive(dump, place, OWN_MAJOR)) as loaded:
        assert contents_of(loaded) == contents_of(url)
        assert schema_of(loaded) == schema_of(url)


def schema_of(conninfo: str) -> list[str]:
    """Return pg_dump's statements of a database's definitions, in order of text."""
    words = [client_program("pg_dump", OWN_MAJOR), "--schema-only", f"--dbname={conninfo}"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return sorted(line for line in text.splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict")))


def test_plain(server: Server, server_folder: Path, tmp_path: Path) -> None:
    """A plain export, not sealed as was asked, is loaded by psql and equals the database."""
    url = server.configuration.database.url
    place = tmp_path / "out.sql"
    make_export(server, server_folder, place, "plain", is_sealed=False)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    with loaded_by_hand(server, lambda copy: load_script(place.read_bytes(), copy, OWN_MAJOR)) as loaded:
        assert contents_of(loaded) == contents_of(url)


@pytest.mark.skipif(OWN_MAJOR > 16, reason="every client program here is known to the machine's own server")
@pytest.mark.parametrize("seal", [("--plaintext",), ()])
def test_plain_by_newer_programs(server: Server, tmp_path: Path, seal: tuple[str, ...]) -> None:
    """A plain export by programs that are newer than the server sets nothing that the server does not know."""
    place = tmp_path / "out.sql"
    key = ("--repository", str(server.path), "--passphrase-file", str(server.passphrase_file))
    words = ("export", "latest", "--format", "plain", "--output", str(place), *key, *seal)
    ended = command_with_clients(17, *words)
    assert ended.returncode == 0, ended.stderr
    script = place.read_bytes() if seal else opened_by_gpg(place, PASSPHRASE, tmp_path / "gnupg")
    assert b"SET idle_in_transaction_session_timeout = 0;" in script
    assert b"SET transaction_timeout" not in script
    with loaded_by_hand(server, lambda copy: load_script(script, copy, OWN_MAJOR)) as loaded:
        assert contents_of(loaded) == contents_of(server.configuration.database.url)


def test_never_over_something(server: Server, server_folder: Path, tmp_path: Path) -> None:
    """A file that is there is refused before anything is done, and stays as it is."""
    place = tmp_path / "out.dump"
    place.write_text("precious")
    with pytest.raises(RestoreRefusedError, match="already exists"):
        make_export(server, server_folder, place, "custom", is_sealed=False)
    assert place.read_text() == "precious"


def test_failure_in_the_middle(server: Server, server_folder: Path, tmp_path: Path) -> None:
    """An export that fails while it writes leaves nothing at all in the folder."""
    folder = tmp_path / "out"

    def fail(event: Event) -> None:
        if isinstance(event, Progress) and any(folder.rglob("out.dump*")):
            raise PermafrostError("stop here")

    with pytest.raises(PermafrostError, match="stop here"):
        make_export(server, server_folder, folder / "out.dump", "custom", is_sealed=True, report=fail)
    assert not folder.exists()


def test_killed_in_the_middle(server: Server, tmp_path: Path) -> None:
    """An export that is killed while it writes leaves no file under the final name."""
    if server.configuration.database.engine == "log":
        pytest.skip("the writing is the same; what a killed scratch server leaves is its own matter")
    folder = tmp_path / "out"
    script = (
        "import os, signal, sys; from permafrost.operations import export; "
        "export.Progress = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "from permafrost.__main__ import run; run()"
    )
    words = ("export", "latest", "--repository", str(server.path), "--passphrase-file", str(server.passphrase_file))
    finished = subprocess.run(
        [sys.executable, "-c", script, *words, "--output", str(folder / "out.dump.gpg")],
        capture_output=True,
        check=False,
        env={**os.environ},
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    assert not (folder / "out.dump.gpg").exists()
    left = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"PGDMP" not in left


def test_command(mastodon_database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """The command prints the documented keys, seals unless told otherwise, and refuses a name that is taken."""
    server = make_server(mastodon_database)
    make_backup(server)
    place = tmp_path / "out.dump.gpg"
    words = ("export", "latest", "--config", str(server.write_configuration()), "--output", str(place))
    done = json_of(*words)
    assert done["sealed"] is True
    assert command(*words).returncode == 19


def test_scratch_of_the_configuration(mastodon_database: str, make_server: MakeServer, server_folder: Path) -> None:
    """Without --scratch the throw-away server is made in [state] scratch, and nowhere else; --scratch wins over it."""
    server = make_server(mastodon_database, engine="log")
    make_backup(server)
    configured, given = server_folder / "configured", server_folder / "given"
    for folder in (configured, given):
        folder.mkdir()
        folder.chmod(0o711)
    config = server.write_configuration()
    text = config.read_text()
    config.write_text(text.replace("[state]\n", f'[state]\nscratch = "{configured}"\n'))
    words = ("export", "latest", "--config", str(config), "--output")
    for folder, more in ((configured, ()), (given, ("--scratch", str(given)))):
        finished = command(*words, str(config.with_name(f"{folder.name}.dump.gpg")), *more)
        assert finished.returncode == 0, finished.stderr
        made_in = re.findall(r"starting a server in (\S+)/permafrost-scratch-", finished.stderr)
        assert made_in == [str(folder)]
        assert list(folder.iterdir()) == []


def test_sealed_to_recipients(mastodon_database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """Where the repository is sealed to a public key, the export is too, also with the secret key alone."""
    home, public, secret = tmp_path / "keys", tmp_path / "recipients", tmp_path / "secret-key.asc"
    home.mkdir(mode=0o700)
    fingerprint = make_encryption_key(home)
    public.mkdir()
    (public / f"{fingerprint}.asc").write_bytes(exported(home, "--export", fingerprint))
    secret.write_bytes(exported(home, "--export-secret-keys", fingerprint))
    made = make_server(mastodon_database)
    facts = made.repository.facts.model_copy(update={"sealing": "recipients", "recipients": (fingerprint,)})
    place = made.repository.layout.facts
    place.chmod(0o644)
    place.write_text(facts.model_dump_json())
    encryption = Encryption(recipients=(fingerprint,), recipients_dir=public)
    configuration = made.configuration.model_copy(update={"encryption": encryption})
    back_up(configuration, is_audited=False, report=ignore_events, now=datetime.now(UTC))
    out = tmp_path / "out.dump.gpg"
    words = ("--repository", str(made.path), "--secret-key-file", str(secret), "--output", str(out))
    json_of("export", "latest", *words)
    opened = subprocess.run(["gpg", "--homedir", str(home), "--batch", "-d", str(out)], check=True, capture_output=True)
    assert opened.stdout.startswith(b"PGDMP")
    assert fingerprint[-16:] in keys_of_message(out, tmp_path / "empty")
    stop_agent(home)


def make_encryption_key(home: Path) -> str:
    """Make a key with an encryption subkey and no passphrase, and return its fingerprint."""
    words = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--quick-gen-key"]
    subprocess.run([*words, "keeper <k@example.org>", "rsa2048", "encrypt,sign,cert"], check=True, capture_output=True)
    listed = subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--with-colons", "-k"], check=True, capture_output=True, text=True
    )
    return next(line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr"))


def exported(home: Path, *words: str) -> bytes:
    """Return a key as gpg exports it."""
    return subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--armor", *words], check=True, capture_output=True
    ).stdout


def keys_of_message(file: Path, home: Path) -> str:
    """Return what gpg without any key says of a message's packets."""
    home.mkdir(mode=0o700)
    words = ["gpg", "--homedir", str(home), "--batch", "--list-packets", "--list-only", str(file)]
    return subprocess.run(words, check=False, capture_output=True, text=True).stdout
