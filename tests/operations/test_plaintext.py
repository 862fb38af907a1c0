"""Nothing in plaintext is ever written to a disk: every write of every program is watched, not believed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.backups import drop
from tests.fixtures.server import MakeServer, Server

CANARY = "canary-in-the-database-7d1f"
SECRET_CANARY = "canary-in-the-secrets-9b3e"
GNUPG_HOMES = Path("/dev/shm/permafrost-homes-")  # noqa: S108 - in memory, and private
# a program's output may also be compressed before it is sealed: the first bytes of zstd, gzip and pg_dump's archive
PLAIN_STARTS = (r"(\265/\375", r"\37\213", "PGDMP")
# 12345 write(5</place/file>, "content"..., 20) = 20; a deleted file's name is followed by (deleted)
WRITE = re.compile(r"\b(?:write|pwrite64|writev|pwritev2?)\(\d+<([^>]*)>(?:\(deleted\))?, (.*)")
OPENED = re.compile(r'openat\([^,]*, "([^"]*)", ([A-Z_|]*)(?:, 0\d+)?\) = \d+<([^>]*)>')


@pytest.fixture
def server(database: str, make_server: MakeServer, tmp_path: Path) -> Server:
    """A server whose every row and secret bears a canary."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    secret = tmp_path / ".env.production"
    secret.write_text(f"LOCAL_DOMAIN=example.social\nSECRET_KEY_BASE={SECRET_CANARY}\n")
    with psycopg.connect(database) as connection:
        connection.execute(f"CREATE TABLE birds AS SELECT i, '{CANARY} ' || i AS text FROM generate_series(1, 5000) i")
        connection.execute(f"CREATE MATERIALIZED VIEW {CANARY.replace('-', '_')} AS SELECT * FROM birds")
    return make_server(database, secret_files=(secret,))


def traced(log: Path, *words: str) -> str:
    """Run a permafrost command under strace, with all its programs, and return every write that they made."""
    calls = "trace=openat,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice,tee,vmsplice"
    command = ["strace", "-f", "-y", "-s", "4000", "-e", calls, "-e", "signal=none", "-o", str(log)]
    subprocess.run([*command, sys.executable, "-m", "permafrost", *words], check=True, capture_output=True)
    return log.read_text(errors="replace")


def is_a_file(place: str) -> bool:
    """Return whether strace's name for a descriptor is a file on a file system, in memory or on a disk."""
    return place.startswith("/") and not place.startswith(("/dev/null", "/dev/pts", "/proc/", "/memfd:"))


def assert_no_plaintext(trace: str, allowed: tuple[Path, ...]) -> None:
    """Every file written lies at an allowed place, and no write to a file bears a canary or an unsealed start."""
    written: dict[str, int] = {}
    for place, content in WRITE.findall(trace):
        if is_a_file(place):
            written[place] = written.get(place, 0) + 1
            assert CANARY not in content, place
            assert CANARY.replace("-", "_") not in content, place
            assert SECRET_CANARY not in content or place.startswith(str(allowed[-1])), place
            assert not content.startswith(tuple(f'"{start}' for start in PLAIN_STARTS)), place
    for call in ("sendfile(", "copy_file_range(", "splice(", "vmsplice("):
        assert call not in trace  # a way to write that the above does not see
    for place in written:
        assert any(place.startswith(str(one)) for one in allowed), place
    assert written, "strace saw no write at all, so it proves nothing"


def test_backup(server: Server, tmp_path: Path) -> None:
    """A backup writes sealed bytes into the repository, its records, and nothing else."""
    trace = traced(tmp_path / "trace", "backup", "--config", str(server.write_configuration()))
    state, home = server.configuration.state.path, server.configuration.signing.gnupg_home
    assert_no_plaintext(trace, (server.path, state, home, GNUPG_HOMES))
    assert CANARY in trace, "the canary was never on its way, so its absence in files proves nothing"
    sealed = [
        place for place, _ in WRITE.findall(trace) if place.startswith(f"{server.repository.layout.temporary}/object-")
    ]
    assert sealed


def test_restore(server: Server, tmp_path: Path, database: str) -> None:
    """A restore writes to no file but PostgreSQL's own, its record, and the secrets where they were asked for."""
    config = str(server.write_configuration())
    subprocess.run([sys.executable, "-m", "permafrost", "backup", "--config", config], check=True, capture_output=True)
    out = tmp_path / "out"
    words = (
        "--database",
        "restored_traced",
        "--secrets-to",
        str(out),
        "--config",
        config,
        "--runbook",
        str(out / "runbook"),
    )
    try:
        trace = traced(tmp_path / "trace", "restore", "latest", *words)
    finally:
        drop(database, "restored_traced")
    assert CANARY in trace
    assert_no_plaintext(trace, (GNUPG_HOMES, server.configuration.state.path, out))


def test_watching_sees(tmp_path: Path) -> None:
    """The watching itself is shown to work: a program that writes a canary to a file is seen."""
    script = f"open({str(tmp_path / 'leak')!r}, 'w').write({CANARY!r})"
    subprocess.run(
        [
            "strace",
            "-f",
            "-y",
            "-s",
            "4000",
            "-e",
            "trace=write",
            "-o",
            str(tmp_path / "log"),
            sys.executable,
            "-c",
            script,
        ],
        check=True,
    )
    found = [(place, content) for place, content in WRITE.findall((tmp_path / "log").read_text()) if is_a_file(place)]
    assert any(place.endswith("/leak") and CANARY in content for place, content in found)


def test_export(server: Server, tmp_path: Path) -> None:
    """A sealed export of a dump writes the rows to no file in plain."""
    config = str(server.write_configuration())
    subprocess.run([sys.executable, "-m", "permafrost", "backup", "--config", config], check=True, capture_output=True)
    words = ("--format", "plain", "--output", str(tmp_path / "out" / "out.sql.gpg"), "--config", config)
    trace = traced(tmp_path / "trace", "export", "latest", *words)
    assert CANARY in trace
    assert_no_plaintext(trace, (tmp_path / "out", GNUPG_HOMES))
