"""The recovery sheet's commands are run as they stand, on a server that has never seen the database."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from permafrost.buckets.address import address_of, parse_bucket_address
from permafrost.config.buckets import Bucket
from permafrost.events import ignore_events
from permafrost.mastodon.initial_settings import InitRequest
from permafrost.openpgp.home import gpg, stop_agent, temporary_home
from permafrost.operations.backup import back_up
from permafrost.operations.init import Initialized, initialize
from permafrost.operations.own.sheet import own_sheet
from permafrost.postgres.programs.binaries import server_binaries
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.processes.run import run_checked
from tests.fixtures.server import MakeServer

AS_ROOT = [
    "apt-get install postgresql gnupg zstd python3",
    "chown -R postgres: /srv/copy && chmod 0700 /srv/copy",
    "cd /srv/copy && su postgres",
]
ENV = "LOCAL_DOMAIN=social.example\nDB_HOST=/var/run/postgresql\nOTP_SECRET=only-for-tests\n"
KEY_PASSPHRASE = "of the key"


@dataclass(frozen=True)
class Lost:
    """What is left of a server: a copy of its repository, the sheet, and what the person types or brings."""

    folder: Path
    sheet: str
    typed: str
    server: str
    has_secrets: bool


@pytest.fixture(scope="module")
def fresh() -> Iterator[ScratchCluster]:
    """A PostgreSQL of this test's own, as roles are made and dropped in it."""
    folder = Path(tempfile.mkdtemp(prefix="pf-", dir="/tmp"))
    folder.chmod(0o711)
    with ScratchCluster(folder / "sheet") as running:
        yield running
    shutil.rmtree(folder)


def commands_of(sheet: str) -> list[str]:
    """Return the sheet's commands, lines that go on joined."""
    lines = [line[8:] for line in sheet.splitlines() if line.startswith(" " * 8)]
    return re.sub(r"\\\n *", "", "\n".join(lines)).splitlines()


@pytest.fixture(scope="module", params=["passphrase with secrets", "passphrase", "recipient"])
def lost(request: pytest.FixtureRequest, fresh: ScratchCluster, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """A server that was initialized, backed up, and is no more."""
    tmp_path = tmp_path_factory.mktemp("lost")
    superuser = fresh.conninfo("postgres")
    _clear(superuser)
    _execute(superuser, "CREATE ROLE mastodon LOGIN", "CREATE DATABASE mastodon_sheet OWNER mastodon")
    url = make_conninfo(superuser, user="mastodon", dbname="mastodon_sheet")
    _execute(url, "CREATE TABLE note AS SELECT n AS id, 'note ' || n AS text FROM generate_series(1, 100) AS n")
    folder = tmp_path / "copy"
    folder.mkdir()
    has_secrets = request.param == "passphrase with secrets"
    made, typed = _initialize(tmp_path, url, folder, has_secrets=has_secrets, is_recipient=request.param == "recipient")
    back_up(made.configuration, is_audited=False, report=ignore_events, now=datetime.now(UTC))
    stop_agent(made.configuration.signing.gnupg_home)
    shutil.copytree(made.configuration.repository.path, folder / "history")
    shutil.rmtree(tmp_path / "server")
    return Lost(folder, made.recovery_sheet, typed, superuser, has_secrets)


def _initialize(
    tmp_path: Path, url: str, folder: Path, *, has_secrets: bool, is_recipient: bool
) -> tuple[Initialized, str]:
    """Run init, and return what it made, and the passphrase that the person types on disaster day."""
    server = tmp_path / "server"
    (server / "live").mkdir(parents=True)
    (server / "live/.env.production").write_text(ENV)
    recipients = (_make_key(server / "keys", folder / "secret-key.asc"),) if is_recipient else ()
    asked = InitRequest(
        config_file=server / "etc/permafrost.toml",
        mastodon=server / "live" if has_secrets else None,
        database_url=url,
        repository=server / "repository",
        state=server / "state",
        recipients=recipients,
        recipients_dir=server / "keys" if recipients else None,
    )
    made = initialize(asked, now=datetime.now(UTC), report=ignore_events, make_passphrase=lambda: "wxyz-" * 7 + "wxyz")
    return made, KEY_PASSPHRASE if is_recipient else "wxyz-" * 7 + "wxyz"


def _make_key(folder: Path, secret_key: Path) -> str:
    folder.mkdir()
    with temporary_home() as home:
        words = ("--pinentry-mode", "loopback", "--passphrase", KEY_PASSPHRASE)
        run_checked(gpg(home, *words, "--quick-generate-key", "reader", "future-default", "default", "never"))
        listing = run_checked(gpg(home, "--with-colons", "--list-keys")).decode()
        fingerprint = re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)[0]
        (folder / f"{fingerprint}.asc").write_bytes(run_checked(gpg(home, "--armor", "--export")))
        secret_key.touch(mode=0o600)
        secret_key.write_bytes(run_checked(gpg(home, *words, "--armor", "--export-secret-keys")))
    return str(fingerprint)


def _execute(conninfo: str, *statements: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def _clear(conninfo: str) -> None:
    _execute(conninfo, "DROP DATABASE IF EXISTS mastodon_sheet WITH (FORCE)", "DROP ROLE IF EXISTS mastodon")


@pytest.mark.parametrize("reader", ["permafrost", "python3"])
def test_the_sheets_commands_restore(lost: Lost, tmp_path: Path, reader: str) -> None:
    """What the sheet says brings database and secrets back: by permafrost, and without it by restore.py."""
    folder = shutil.copytree(lost.folder, tmp_path / "copy")
    commands = commands_of(lost.sheet)
    assert commands[:3] == AS_ROOT
    assert [command.split()[0] for command in commands[3:]] == ["createuser", "umask", "permafrost", "python3"]
    chosen = [*commands[3:5], next(one for one in commands if one.startswith(f"{reader} "))]
    server = conninfo_to_dict(lost.server)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{server_binaries()}:{os.environ['PATH']}",
        "PERMAFROST_CONFIG": "/nowhere",
        **{f"PG{name.upper()}": str(server[name]) for name in ("host", "port", "user")},
    }
    _clear(lost.server)
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(chosen)],
        cwd=folder,
        env=environment,
        input=lost.typed + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(make_conninfo(lost.server, dbname="mastodon_sheet")) as connection:
        rows = connection.execute("SELECT count(*), max(id) FROM note").fetchone()
        owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'note'").fetchone()
    assert rows == (100, 100)
    assert owner == ("mastodon",)
    found = [file.read_text() for file in (folder / "secrets").rglob(".env.production")]
    assert found == ([ENV] if lost.has_secrets else [])


def test_a_bucket_is_on_the_sheet(make_server: MakeServer, tmp_path: Path) -> None:
    """The sheet has each bucket's address, room for a key that may read, and how to fetch from it; but no key."""
    bucket = Bucket(name="cellar", bucket="some-bucket", credentials_file=tmp_path / "key")
    configuration = make_server().configuration.model_copy(update={"buckets": (bucket,)})
    sheet = own_sheet(
        configuration, repository_id="ab" * 16, fingerprint="0" * 40, passphrase="wxyz", now=datetime.now(UTC)
    )
    address = str(address_of(bucket, "ab" * 16))
    assert sheet.count(address) == 2
    assert parse_bucket_address(address) == address_of(bucket, "ab" * 16)
    assert f"permafrost bucket fetch '{address}'" in sheet
    assert str(bucket.credentials_file) not in sheet
