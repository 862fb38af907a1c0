"""What a server is made of, taken down so that it can be compared after the server is gone.

Nothing here relies on permafrost's own comparison: each table is read as COPY text in a fixed order and hashed
with SHA-256. permafrost's digest is taken besides, which shows that the two agree on what is equal.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from demo.machine import DemoError
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import server_major
from permafrost.postgres.digest import digest_rows
from permafrost.postgres.programs.clients import client_program

SYNCTHINGS_OWN = (".stfolder", ".stignore", ".stversions")
_CACHE = "cache"
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class TablePortrait:
    """A table's or materialized view's rows."""

    rows: int
    sha256: str
    digest: str


@dataclass(frozen=True, slots=True)
class Portrait:
    """A database: its tables by name, and the hashes of its sequences and of its schema."""

    tables: Mapping[str, TablePortrait]
    sequences: str
    schema: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FilePortrait:
    """A file's contents, mode and time."""

    size_bytes: int
    sha256: str
    mode: int
    modified_s: int


def portray_database(conninfo: str) -> Portrait:
    """Return the portrait of the database that `conninfo` names, read in one transaction."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL timezone = 'UTC'")
        names = connection.execute(
            "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'm') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
            " ORDER BY 1, 2"
        ).fetchall()
        sequences = connection.execute(
            "SELECT schemaname, sequencename, start_value, increment_by, last_value FROM pg_sequences ORDER BY 1, 2"
        ).fetchall()
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return Portrait(
            tables={name: _portray_table(connection, TableName(schema, name)) for schema, name in names},
            sequences=hashlib.sha256(repr(sequences).encode()).hexdigest(),
            schema=_schema_hash(connection, conninfo),
            size_bytes=size[0] if size else 0,
        )


def _portray_table(connection: psycopg.Connection, name: TableName) -> TablePortrait:
    """Hash the rows as COPY writes them, ordered by all their columns as text."""
    query = sql.SQL('COPY (SELECT t.* FROM {} AS t ORDER BY (t.*)::text COLLATE "C") TO STDOUT')
    hashed = hashlib.sha256()
    rows = 0
    with connection.cursor().copy(query.format(sql.Identifier(name.schema, name.name))) as copy:
        for block in copy:
            hashed.update(block)
            rows += bytes(block).count(b"\n")  # those inside of values are written as backslash and n
    return TablePortrait(rows, hashed.hexdigest(), str(digest_rows(connection, name).digest))


def _schema_hash(connection: psycopg.Connection, conninfo: str) -> str:
    """Hash what pg_dump says of tables, keys, indexes, views, functions, owners and grants."""
    program = client_program("pg_dump", server_major(connection))
    argv = (program, "--schema-only", f"--dbname={conninfo}")
    done = subprocess.run(argv, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        raise DemoError(f"pg_dump --schema-only failed: {done.stderr.decode(errors='replace').strip()}")
    # newer ones guard the script with a word that is new each time
    kept = [line for line in done.stdout.splitlines() if not line.startswith((b"\\restrict", b"\\unrestrict"))]
    return hashlib.sha256(b"\n".join(kept)).hexdigest()


def portray_files(folder: Path) -> dict[str, FilePortrait]:
    """Return the portraits of the files below `folder` by their path in it; without cache/ and Syncthing's own."""
    return {path: portray_file(folder / path) for path, _ in _files(folder)}


def portray_file(file: Path) -> FilePortrait:
    """Return the portrait of one file."""
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        status = os.fstat(opened.fileno())
    return FilePortrait(status.st_size, sha256, status.st_mode & 0o777, int(status.st_mtime))


def sizes_of_files(folder: Path) -> dict[str, int]:
    """Return the sizes of the same files without reading them."""
    return {path: status.st_size for path, status in _files(folder)}


def _files(folder: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    for parent, folders, names in os.walk(folder):
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name != _CACHE]
        folders[:] = [name for name in folders if name not in SYNCTHINGS_OWN]
        for name in names:
            if name not in SYNCTHINGS_OWN:
                file = Path(parent, name)
                found.append((str(file.relative_to(folder)), file.stat()))
    return sorted(found)


def bytes_below(folder: Path) -> int:
    """Return the size of all files below `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
