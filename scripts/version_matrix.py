"""Restores a snapshot of each version of PostgreSQL into each other; writes the table of docs/reference/postgresql.md.

Run by `make matrix`. Of each version the server is unpacked (scripts/newer_postgresql, scripts/older_postgresql) or the
machine's own; versions that are not here are left out of the table. Every restore compares all rows by digests.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from samples.database import create_database, load
from scripts.room_graph import ROOT

PAGE = ROOT / "docs" / "reference" / "postgresql.md"
MAJORS = (14, 15, 16, 17, 18)
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end of table -->)", re.DOTALL)
_SOURCE = "source"


def binaries_of(major: int) -> Path | None:
    """Return the folder of the server programs of a version, None if it is not here."""
    unpacked = ROOT / ".tools" / "postgresql" / str(major) / "usr/lib/postgresql" / str(major) / "bin"
    for folder in (unpacked, Path(f"/usr/lib/postgresql/{major}/bin")):
        if (folder / "postgres").is_file():
            return folder
    return None


def permafrost(major: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the programs of a version first on PATH."""
    argv = ("scripts/with_postgresql", str(major), sys.executable, "-m", "permafrost", *words)
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def back_up(major: int, cluster: ScratchCluster, folder: Path) -> str:
    """Make a database on the server and an audited snapshot of it; return the configuration file's path."""
    create_database(cluster.conninfo("postgres"), _SOURCE)
    with psycopg.connect(cluster.conninfo(_SOURCE)) as connection:
        load(connection, accounts=60, statuses=400)
    configuration = folder / "etc" / "permafrost.toml"
    places = ("--repository", str(folder / "repository"), "--state", str(folder / "state"))
    for words in (
        ("init", "--config", str(configuration), "--database", cluster.conninfo(_SOURCE), *places, "--name", "matrix"),
        ("backup", "--audit", "--config", str(configuration)),
    ):
        ended = permafrost(major, *words)
        if ended.returncode not in (0, 3):
            raise SystemExit(f"PostgreSQL {major}, {words[0]}: {ended.stderr}")
    return str(configuration)


def make_role(cluster: ScratchCluster) -> None:
    """Make the role that owns what is restored, unless the server has it."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'mastodon'").fetchone():
            connection.execute("CREATE ROLE mastodon LOGIN")


def restore(configuration: str, source: int, target: int, cluster: ScratchCluster, folder: Path) -> str:
    """Restore the newest snapshot into a server, and return what to write into the table."""
    name = f"from_{source}"
    words = ("restore", "latest", "--config", configuration, "--database", name, "--jobs", "1")
    server = conninfo_for(cluster.conninfo("postgres"))
    ended = permafrost(target, *words, "--server", server, "--runbook", str(folder / f"runbook-{source}-{target}"))
    if ended.returncode == 0:
        return "restored"
    errors = [line.partition("error: ")[2] for line in ended.stderr.splitlines() if "error: " in line]
    return errors[0].partition(" (step ")[0] if errors else f"exit code {ended.returncode}"


def table(results: Mapping[tuple[int, int], str]) -> str:
    """Return the results as a table, and what else than "restored" was said below it."""
    majors = sorted({source for source, _ in results})
    said: dict[str, str] = {}
    lines = ["| snapshot of | " + " | ".join(f"into {major}" for major in majors) + " |"]
    lines.append("|---|" + "---|" * len(majors))
    for source in majors:
        cells = []
        for target in majors:
            message = results[source, target]
            general = message.replace(str(source), "SOURCE").replace(str(target), "TARGET")
            if message != "restored":
                said.setdefault(general, message)
            cells.append("yes" if message == "restored" else f"refused ({list(said).index(general) + 1})")
        lines.append(f"| {source} | " + " | ".join(cells) + " |")
    notes = [f"{number}. `{message}`" for number, message in enumerate(said.values(), 1)]
    return "\n".join(["", *lines, "", *notes, *([""] if notes else [])]) + "\n"


@contextmanager
def running_servers(folder: Path) -> Iterator[dict[int, ScratchCluster]]:
    """Yield a running server of each version that is here."""
    with ExitStack() as stack:
        yield {
            major: stack.enter_context(ScratchCluster(folder / f"server-{major}", binaries=binaries))
            for major in MAJORS
            if (binaries := binaries_of(major)) is not None
        }


def main() -> None:
    """Fill in the page's table."""
    with tempfile.TemporaryDirectory(prefix="pf-versions-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        results: dict[tuple[int, int], str] = {}
        with running_servers(folder) as servers:
            for cluster in servers.values():
                make_role(cluster)
            for source, cluster in servers.items():
                configuration = back_up(source, cluster, folder / f"snapshot-of-{source}")
                for target, other in servers.items():
                    results[source, target] = restore(configuration, source, target, other, folder)
                    print(f"{source} -> {target}: {results[source, target]}", flush=True)
    text = PAGE.read_text()
    PAGE.write_text(_TABLE.sub(lambda _: table(results), text))


if __name__ == "__main__":
    main()
