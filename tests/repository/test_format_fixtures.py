"""Repositories that older versions of permafrost wrote, kept for ever: each still verifies, restores, and is equal.

Never change one. A change of the format adds one: `scripts/make_format_fixture.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from permafrost.events import ignore_events
from permafrost.loading.preflight import Target
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.restore import RestoreRequest, restore
from permafrost.operations.verify import verify
from permafrost.postgres.catalog import list_tables
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.digest import digest_rows
from permafrost.postgres.programs.binaries import server_binaries
from tests.fixtures.backups import drop

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures/repositories").glob("*.tar"))
NAME = "restored_fixture"


def contents(conninfo: str) -> dict[str, list[object]]:
    """Return rows and digest of every table."""
    with psycopg.connect(conninfo) as connection:
        found = [digest_rows(connection, table) for table in list_tables(connection)]
    return {f"{one.table.schema}.{one.table.name}": [one.rows, one.digest] for one in found}


def unpacked(fixture: Path, folder: Path) -> Path:
    """Unpack a fixture and return its folder."""
    with tarfile.open(fixture) as archive:
        archive.extractall(folder, filter="data")
    (folder / "passphrase").chmod(0o600)
    return folder


def test_there_are_some() -> None:
    """Both engines of format 1 are kept, the log in its first form and as it was later."""
    assert len(FIXTURES) >= 4
    assert sum(file.stat().st_size for file in FIXTURES) < 1_000_000


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.stem)
def test_older_repositories_restore(fixture: Path, database: str, tmp_path: Path) -> None:
    """Permafrost restores it, and every row is as it was when it was backed up."""
    folder = unpacked(fixture, tmp_path)
    expected = json.loads((folder / "expected.json").read_text())
    found = verify(folder / "repository", None, patience=timedelta(0), report=ignore_events, now=datetime.now(UTC))
    assert found.findings == ()
    try:
        request = RestoreRequest(
            Source(folder / "repository", OpeningKey(folder / "passphrase")),
            None,
            Target(NAME, replaces=False, with_owners=True),
            server=conninfo_for(database, dbname="postgres"),
        )
        restore(request, report=ignore_events, now=datetime.now(UTC))
        assert contents(conninfo_for(database, dbname=NAME)) == expected["tables"]
    finally:
        drop(database, NAME)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.stem)
def test_the_emergency_reader_restores_it(fixture: Path, database: str, tmp_path: Path) -> None:
    """So does the emergency reader, with no permafrost on the path."""
    folder = unpacked(fixture, tmp_path)
    expected = json.loads((folder / "expected.json").read_text())
    server = {str(key): str(value) for key, value in conninfo_to_dict(database).items()}
    environment = {
        "PATH": f"{server_binaries()}:/usr/bin:/bin",
        "PGHOST": server["host"],
        "PGPORT": server.get("port", "5432"),
        "PGUSER": server["user"],
    }
    reader = resources.files("permafrost.repository.emergency") / "restore.py"
    where = ("--repository", str(folder / "repository"), "--passphrase-file", str(folder / "passphrase"))
    try:
        ended = subprocess.run(
            (sys.executable, "-I", str(reader), "restore", *where, "--database", NAME),
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert ended.returncode == 0, ended.stderr
        assert contents(conninfo_for(database, dbname=NAME)) == expected["tables"]
    finally:
        drop(database, NAME)
