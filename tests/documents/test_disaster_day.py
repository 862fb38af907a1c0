"""The disaster-day page's commands are run as they stand: a vault, a recovery sheet, and a new server."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from permafrost.config.buckets import Bucket
from permafrost.config.models import Database
from permafrost.events import ignore_events
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.bucket.upload import UploadRequest, upload
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.vault.settings import Vault, VaultSyncthing
from samples.environment import environment_file
from samples.media import write_media
from samples.rows import LOCAL_DOMAIN
from tests.fixtures.backups import contents_of, make_backup
from tests.fixtures.delivery import Clock, make_stage
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import PASSPHRASE, MakeServer, Server, SigningKey
from tests.fixtures.syncthing import free_port

PAGE = Path(__file__).parents[2] / "docs/how-to/disaster-day.md"
HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = "social.example"
SENDING, COPYING, BUCKET = "Through Syncthing", "With ssh, or with the vault's disk", "From a bucket"
BROKEN = "Only the database is broken"
WAYS = (SENDING, COPYING, BUCKET)
"""The ways to bring a copy; who goes one does not go another."""
FOLDERS = ("/opt/permafrost", "/usr/local/bin", "/srv/copy", "/srv/permafrost")
"""What lies elsewhere in a test."""
TYPED = {"cat > ": PASSPHRASE + "\n"}
"""What the admin types into the command that has these words in it."""
WAITS = "vault receive"
"""The command that prints the line for the vault, and waits."""

RECORD = 'echo "${0##*/} $*" >> "$STAND_INS_LOG"\n'
STAND_INS = {
    "apt-get": RECORD,
    "useradd": RECORD,
    "systemctl": RECORD,
    "chown": RECORD,
    "sudo": 'export PGUSER="$2"; shift 2; exec "$@"\n',  # mastodon and postgres are roles of the new database server
    "install": 'mkdir -p "${@: -1}"; chmod 0700 "${@: -1}"\n',
    "python3": 'mkdir -p "$3/bin"; printf "#!/bin/sh\\n" > "$3/bin/pip"; chmod +x "$3/bin/pip"; '
    'ln -s "$PERMAFROST" "$3/bin/permafrost"\n',
    "rsync": 'shift; exclude=(); while [ "${1:0:2}" = "--" ]; do exclude+=("${1/=\\//=./}"); shift; done\n'
    'mkdir -p "$2"; tar -C "${1#root@attic:}" "${exclude[@]}" -cf - . | tar -C "$2" -xf -\n',
}
"""Debian's programs that change the machine, that need a second one, or users that it has not."""


def sections() -> dict[str, list[str]]:
    """Return the page's commands by heading, as they stand; fail at a block that is no shell commands."""
    text = PAGE.read_text(encoding="utf-8")
    parts = HEADING.split(text)
    found: dict[str, list[str]] = {}
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        blocks = BLOCK.findall(body)
        assert all(language == "sh" for language, _ in blocks), f"{title}: a block that is not run"
        joined = "".join(content for _, content in blocks).replace("\\\n", "")
        found[title] = [line for line in joined.splitlines() if line.strip()]
    assert BLOCK.findall(parts[0]) == []
    return found


@dataclass
class Machine:
    """The new server, with a shell in it."""

    folder: Path
    environment: dict[str, str]
    replaced: dict[str, str]
    typed: dict[str, str]
    ran: list[str] = field(default_factory=list)
    receiving: subprocess.Popen[str] | None = None
    directory: Path = Path()

    def run(self, command: str) -> None:
        """Run one of the page's commands, and fail if it fails."""
        self.ran.append(command)
        text = command
        for name, value in self.replaced.items():
            text = text.replace(name, value)
        assert "LINE" not in text
        assert "FINGERPRINT" not in text
        if text.startswith("cd "):
            place = shlex.split(text)[1]
            self.directory = self.folder if place == "/" else Path(place)
            return
        if WAITS in command:
            self._start_receiving(text)
            return
        typed = next((content for words, content in self.typed.items() if words in command), "")
        finished = subprocess.run(
            ["bash", "-c", text],
            cwd=self.directory,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, f"{text}\n{finished.stdout}{finished.stderr}"
        if self.receiving is not None:
            output, _ = self.receiving.communicate(timeout=120)
            assert self.receiving.returncode == 0, output
            self.receiving = None

    def _start_receiving(self, text: str) -> None:
        """Start it as in a terminal of its own, and take up the line that it prints."""
        with (self.folder / "receive.log").open("w") as log:
            self.receiving = subprocess.Popen(
                ["bash", "-c", f"exec {text}"],
                cwd=self.directory,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.receiving.stdout is not None
        line = self.receiving.stdout.readline().strip()
        assert line.startswith("permafrost-receive-1."), (self.folder / "receive.log").read_text()
        self.replaced['"LINE"'] = line


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, which PostgreSQL's user can enter."""
    with tempfile.TemporaryDirectory(prefix="pf-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def old_server(folder: Path, mastodon_database: str, make_server: MakeServer) -> Server:
    """A server with a backup, whose secrets fit its database."""
    with psycopg.connect(mastodon_database) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO mastodon").format(name))
    secret = folder / "home/mastodon/live/.env.production"
    secret.parent.mkdir(parents=True)
    secret.write_text(environment_file(LOCAL_DOMAIN, "mastodon_production", Path("/run/postgresql"), 5432))
    server = make_server(mastodon_database, secret_files=(secret,))
    make_backup(server, is_audited=True)
    return server


@pytest.fixture
def vault(folder: Path, old_server: Server, mastodon_database: str, signing_key: SigningKey) -> Vault:
    """A vault that keeps the backup and the media; what it received is gone with the server."""
    stage = make_stage(folder / "srv/permafrost", old_server.repository, signing_key)
    (kept,) = stage.vault.settings.servers
    own = VaultSyncthing(gui=f"127.0.0.1:{free_port()}", listen=(f"tcp://127.0.0.1:{free_port()}",), discovery=False)
    changes = {"servers": (kept.model_copy(update={"name": NAME}),), "syncthing": own}
    made = Vault(root=stage.vault.root, settings=stage.vault.settings.model_copy(update=changes))
    made.save()
    stage = replace(stage, vault=made, clock=Clock(wall=datetime.now(UTC)))
    media = made.media(made.settings.servers[0])
    assert media is not None
    (media / ".stfolder").mkdir(parents=True)
    with psycopg.connect(mastodon_database) as connection:
        write_media(connection, media, with_cache=False)
    stage.deliver()
    stage.keep()
    assert len(stage.kept()) == 1
    return made


@pytest.fixture
def new_cluster(folder: Path) -> Iterator[ScratchCluster]:
    """The new machine's database server, without any role but its superuser."""
    with ScratchCluster(folder / "new") as running:
        yield running


@pytest.fixture
def address(old_server: Server, object_store: ObjectStore, tmp_path: Path) -> str:
    """The address of a bucket that has the backup, too."""
    key = object_store.writer.write(tmp_path / "bucket-key")
    bucket = Bucket(
        name="cellar", bucket=object_store.new_bucket(), endpoint=object_store.endpoint, credentials_file=key
    )
    request = UploadRequest(bucket, old_server.path, tmp_path)
    return upload(request, report=ignore_events, clock=lambda: datetime.now(UTC)).address


@pytest.fixture
def machine(
    folder: Path,
    new_cluster: ScratchCluster,
    old_server: Server,
    vault: Vault,
    address: str,
    object_store: ObjectStore,
) -> Iterator[Machine]:
    """The new server, and beside it the vault and the bucket."""
    programs = folder / "stand-ins"
    programs.mkdir()
    for name, content in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/bash\nset -e -o pipefail\n{content}")
        (programs / name).chmod(0o755)
    (folder / "usr/local/bin").mkdir(parents=True)
    server = conninfo_to_dict(new_cluster.conninfo("postgres"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PERMAFROST"))}
    environment |= {
        "PATH": f"{programs}:{folder}/usr/local/bin:{os.environ['PATH']}",
        "PGHOST": str(server["host"]),
        "PGPORT": str(server["port"]),
        "STAND_INS_LOG": str(folder / "stand-ins.log"),
        "PERMAFROST": str(Path(sys.executable).parent / "permafrost"),
    }
    loopback = f"--listen tcp://127.0.0.1:{free_port()} --gui 127.0.0.1:{free_port()} --no-discovery"
    replaced = {
        WAITS: f"{WAITS} {loopback}",
        '"FINGERPRINT OF THE SHEET"': f'"{in_groups(old_server.repository.fingerprint)}"',
        "ADDRESS OF THE SHEET": address,
        "secrets/home/mastodon": f"secrets{folder}/home/mastodon",
        **{place: f"{folder}{place}" for place in FOLDERS},
    }
    typed = {"bucket-key": f"{object_store.reader.access_key}:{object_store.reader.secret_key}\n", **TYPED}
    made = Machine(folder, environment, replaced, typed, directory=folder)
    assert vault.root == folder / "srv/permafrost"
    yield made
    if made.receiving is not None:
        made.receiving.kill()
        with suppress(subprocess.TimeoutExpired):
            made.receiving.wait(10)


@pytest.mark.parametrize("way", WAYS)
def test_the_page_works(
    way: str, machine: Machine, old_server: Server, mastodon_database: str, new_cluster: ScratchCluster
) -> None:
    """Every command of the page succeeds, whichever way, and in the end every row is back."""
    found = {title: commands for title, commands in sections().items() if title == way or title not in WAYS}
    wanted = [command for commands in found.values() for command in commands]
    restored = new_cluster.conninfo("mastodon_production")
    for title, commands in found.items():
        if title == BROKEN:
            assert contents_of(restored) == contents_of(mastodon_database)
            database = Database(url=restored, engine="dump")
            configuration = old_server.configuration.model_copy(update={"database": database})
            place = replace(old_server, configuration=configuration).write_configuration()
            machine.environment["PERMAFROST_CONFIG"] = str(place)
        for command in commands:
            machine.run(command)
        if title == BUCKET:  # which has no media: they are brought as the page says, from elsewhere
            shutil.copytree(machine.folder / f"srv/permafrost/{NAME}/media", machine.folder / "srv/copy/media")
    assert machine.ran == wanted
    assert contents_of(restored) == contents_of(mastodon_database)
    assert (machine.folder / "srv/copy/media").is_dir()
    with psycopg.connect(restored) as connection:
        names = connection.execute("SELECT count(*) FROM pg_database WHERE datname ~ '^mastodon_production_before_'")
        assert names.fetchone() == (1,)


def test_the_ways_are_in_the_page() -> None:
    """The headings that the test tells apart are there, each with commands."""
    found = sections()
    assert all(found[title] for title in (*WAYS, BROKEN))
