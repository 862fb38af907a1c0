"""The page on containers, gone through with a container engine: only where the option --container-image names an image.

The image is one that an engine built from packaging/container, as CONTRIBUTING.md says. The commands are those of the
page. The database's container is made from the same image, which has PostgreSQL.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from permafrost.errors import EXIT_FINDINGS
from permafrost.postgres.programs.scratch import ScratchCluster
from samples.database import create_database, load
from samples.environment import environment_file
from samples.media import write_media
from samples.rows import LOCAL_DOMAIN
from scripts.private_environment import ROOT
from tests.fixtures.syncthing import wait_for

PAGE = (ROOT / "docs/how-to/containers.md").read_text(encoding="utf-8")
PROJECT = "mastodon"
DATABASE = "mastodon_production"
MASTODON_S_USER = 991
MASTODON_S_COMPOSE_FILE = """\
services:
  db:
    image: {image}
    user: root
    entrypoint:
      - sh
      - -ec
      - >-
        install -d -o postgres -m 0700 /data;
        exec su postgres -s /bin/sh -c '/usr/lib/postgresql/17/bin/initdb -D /data -A trust -E UTF8
        --locale=en_US.UTF-8; echo host all all all trust >> /data/pg_hba.conf;
        exec /usr/lib/postgresql/17/bin/postgres -D /data -c listen_addresses=* -c unix_socket_directories=/tmp'
    networks:
      - internal_network
networks:
  external_network:
  internal_network:
    internal: true
"""


@dataclass(frozen=True)
class Containers:
    """Mastodon's folder with both compose files, and the engine's commands."""

    folder: Path
    image: str
    compose: tuple[str, ...]
    engine: str

    def run(self, *words: str, stdin: str | None = None, expected: int = 0) -> str:
        """Run a command in Mastodon's folder; return what it said, fail with it unless it ends as expected."""
        done = subprocess.run(words, cwd=self.folder, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == expected, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def in_database(self, *words: str, stdin: str | None = None) -> str:
        """Run a program of PostgreSQL in the database's container."""
        return self.run(
            *(*self.compose, "exec", "-T", "db", words[0], "--host=/tmp", "--username=postgres", *words[1:]),
            stdin=stdin,
        )

    def do(self, begin: str, expected: int = 0) -> str:
        """Run the page's command that begins so after `docker compose`, without a terminal, and return what it said."""
        [command] = [
            joined
            for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
            for joined in block.replace("\\\n", " ").splitlines()
            if joined.startswith(f"docker compose {begin}")
        ]
        words = shlex.split(command.replace("/srv/mastodon/repository:", f"{self.folder}/repository:"))[2:]
        without_terminal = ("-T",) if words[0] in ("run", "exec") else ()
        return self.run(*self.compose, words[0], *without_terminal, *words[1:], expected=expected)

    def name_the_database(self) -> None:
        """Let the service find the database by its address: not every engine has a resolver for names."""
        [number] = self.run(*self.compose, "ps", "-q").split()
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = self.run(self.engine, "inspect", "--format", networks, number).strip()
        override = self.folder / "docker-compose.override.yml"
        override.write_text(
            override.read_text(encoding="utf-8").replace(
                "  permafrost:\n", f'  permafrost:\n    extra_hosts:\n      - "db:{address}"\n', 1
            ),
            encoding="utf-8",
        )


@pytest.fixture
def containers(request: pytest.FixtureRequest, tmp_path: Path, server_folder: Path) -> Iterator[Containers]:
    """A Mastodon's database in a container, with rows, media and secrets, and permafrost's service beside it."""
    image = request.config.getoption("--container-image")
    if image is None:
        pytest.skip("it needs a container engine: name a built image with --container-image, as CONTRIBUTING.md says")
    engine = "podman" if shutil.which("podman-compose") else "docker"
    compose = ("podman-compose",) if engine == "podman" else ("docker", "compose")
    folder = tmp_path / PROJECT
    made = Containers(folder, image, (*compose, "--project-name", PROJECT), engine)
    sql = _lay_out(folder, image, server_folder / "source")
    made.run(*made.compose, "up", "--detach", "db")
    try:
        wait_for(lambda: "ready to accept" in made.run(*made.compose, "logs", "db"), "the database answers", 60)
        made.in_database("createdb", DATABASE)
        made.in_database("psql", "--quiet", "--set=ON_ERROR_STOP=1", DATABASE, stdin=sql)
        made.name_the_database()
        yield made
    finally:
        made.run(*made.compose, "down", "--volumes")


def _lay_out(folder: Path, image: str, server: Path) -> str:
    """Make Mastodon's folder as the page has it at the end of its first section; return the database's rows as SQL."""
    (folder / "permafrost").mkdir(parents=True)
    for name in ("etc", "lib", "scratch"):
        (folder / "permafrost" / name).mkdir()
    (folder / "permafrost/passphrase").write_text("nobody guesses these words 77\n", encoding="utf-8")
    (folder / "docker-compose.yml").write_text(MASTODON_S_COMPOSE_FILE.format(image=image), encoding="utf-8")
    shutil.copy(ROOT / "packaging/container/compose.yaml", folder / "docker-compose.override.yml")
    environment = environment_file(LOCAL_DOMAIN, DATABASE, Path("/run"), 5432)
    environment = re.sub(r"^DB_(HOST|USER)=.*\n", "", environment, flags=re.MULTILINE)
    (folder / ".env.production").write_text(f"{environment}DB_HOST=db\nDB_USER=postgres\n", encoding="utf-8")
    with ScratchCluster(server) as cluster:
        create_database(cluster.conninfo("postgres"), DATABASE)
        with psycopg.connect(cluster.conninfo(DATABASE)) as connection:
            load(connection, accounts=60, statuses=400)
            connection.commit()
            write_media(connection, folder / "public/system")
        dump = ("pg_dump", "--no-owner", "--no-privileges", f"--dbname={cluster.conninfo(DATABASE)}")
        sql = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    for file in [folder / "permafrost", *folder.rglob("*")]:
        shutil.chown(file, MASTODON_S_USER, MASTODON_S_USER)
    for name, mode in (("permafrost/passphrase", 0o400), (".env.production", 0o400), ("permafrost/etc", 0o700)):
        (folder / name).chmod(mode)
    return sql


@pytest.mark.timeout(900)
def test_the_page_can_be_followed(containers: Containers) -> None:
    """Set up, checked, backed up, drilled, kept running by the service, and restored from a read-only copy."""
    assert "/etc/permafrost/recovery-sheet.txt" in containers.do("run --rm permafrost init")
    assert "no problems" in containers.do("run --rm permafrost config check --connect")
    assert "audited" in containers.do("run --rm permafrost backup --audit")
    assert "ok  every index is valid" in containers.do("run --rm permafrost drill")
    containers.do("up --detach permafrost")
    wait_for(lambda: "Syncthing is up" in containers.run(*containers.compose, "logs", "permafrost"), "it runs", 60)
    said = containers.do("exec permafrost permafrost status", expected=EXIT_FINDINGS)
    assert said.startswith("Yes, but only while this server exists"), "no vault is paired yet"
    shutil.copytree(containers.folder / "permafrost/lib/repository", containers.folder / "repository")
    for file in [containers.folder / "repository", *(containers.folder / "repository").rglob("*")]:
        shutil.chown(file, MASTODON_S_USER, MASTODON_S_USER)
    containers.in_database("psql", "--command=ALTER DATABASE mastodon_production RENAME TO before")
    said = containers.do("run --rm --volume")
    assert "every row's digest" in said
    counts = [
        containers.in_database("psql", "--tuples-only", "--command=SELECT count(*) FROM statuses", name)
        for name in ("before", DATABASE)
    ]
    assert counts[0] == counts[1] != "0"
    assert (containers.folder / "permafrost/lib/secrets/srv/mastodon/.env.production").is_file()
