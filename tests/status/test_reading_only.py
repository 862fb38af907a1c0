"""The status is read: asking for it starts no program, writes nothing, and loads no more than it needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.operations.refresh_status import refresh_status
from permafrost.status.document import status
from permafrost.status.written import STATUS_FILE
from tests.fixtures.backups import make_backup
from tests.fixtures.server import MakeServer, Server

CHANGES = re.compile(
    r"^(?:\d+ +)?(?:open(?:at)?\(.*O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)|"
    r"(?:mkdir|rename|unlink|rmdir|link|symlink|chmod|chown|truncate)(?:at2?|at)?\()",
    re.MULTILINE,
)
HEAVY = ("httpx", "rich", "numpy", "cryptography", "zstandard", "psycopg", "asyncio")


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer) -> Server:
    """A server with a snapshot, a vault that has just been paired, and a status that was written."""
    made = make_server(mastodon_database, engine="log")
    (made.configuration.state.path / "receipts" / "attic").mkdir(parents=True)
    make_backup(made)
    return made


def test_it_starts_nothing_and_writes_nothing(server: Server, tmp_path: Path) -> None:
    """Under strace there is no program but python itself, and no file is opened to be written, made or removed; nor is
    any whose size or number grows with the database: no object, and none of the segments' state."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "trace"
    calls = "trace=execve,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat"
    traced = ("strace", "-f", "-e", calls, "-e", "signal=none", "-o", str(log))
    config = str(server.write_configuration())
    finished = subprocess.run(
        [*traced, sys.executable, "-m", "permafrost", "status", "--json", "--config", config],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert json.loads(finished.stdout)["snapshots"] == 1
    trace = log.read_text(errors="replace")
    assert len(re.findall(r"execve\(.*\) = 0$", trace, re.MULTILINE)) == 1
    written = [line for line in trace.splitlines() if CHANGES.search(line) and "/dev/null" not in line]
    assert written == []
    (segments,) = server.configuration.state.path.glob("segments*.sqlite")
    grows = [
        line for line in trace.splitlines() if segments.name in line or str(server.repository.layout.objects) in line
    ]
    assert grows == []
    assert CHANGES.search('12 openat(AT_FDCWD, "x", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3'), "the pattern sees none"


def test_it_loads_little() -> None:
    """Neither the module nor the command loads what other commands need and what takes long."""
    imports = "import sys, permafrost.status.document, permafrost.cli.status"
    code = f"{imports}; print([name for name in {HEAVY} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_receipts_that_nobody_looks_at(server: Server) -> None:
    """If neither the service nor a backup has looked at the receipts for hours, that is a finding until one does."""
    now = datetime.now(UTC)
    assert "status-stale" not in {finding.code for finding in status(server.configuration, now).findings}
    later = now + timedelta(hours=4)
    assert "status-stale" in {finding.code for finding in status(server.configuration, later).findings}
    refresh_status(server.configuration, ignore_events, later)
    assert "status-stale" not in {finding.code for finding in status(server.configuration, later).findings}
    (server.configuration.state.path / STATUS_FILE).write_bytes(b"{ damaged")
    found = {finding.code: finding.message for finding in status(server.configuration, now).findings}
    assert "attic" in found["status-stale"]


def test_since_when_a_finding_is_known(server: Server) -> None:
    """The ledger keeps the moment at which it was first seen, and forgets it as current when it has ended."""
    now = datetime.now(UTC)
    configuration = server.configuration
    for hours in (30, 31):
        refresh_status(configuration, ignore_events, now + timedelta(hours=hours))
    found = status(configuration, now + timedelta(hours=32))
    (old,) = (finding for finding in found.findings if finding.code == "old-snapshot")
    known = found.known_since(old)
    assert known is not None
    assert known.first_at == now + timedelta(hours=30)
    assert known.last_at == now + timedelta(hours=31)
    refresh_status(configuration, ignore_events, now)
    assert "old-snapshot" not in {entry.code for entry in status(configuration, now).ledger}
