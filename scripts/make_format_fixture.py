"""Makes a small repository to be kept for ever, with what has to come out of it: python -m scripts.make_format_fixture.

The permafrost that is imported writes it, so an older one does if PYTHONPATH names an older `src`. The tar holds
`repository/`, `passphrase` (of nothing else in the world) and `expected.json`: the digest of every table.
tests/repository/test_format_fixtures.py restores each.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import psycopg

from permafrost.postgres.catalog import list_tables
from permafrost.postgres.digest import digest_rows

_TABLES = """
DROP SCHEMA IF EXISTS fixture CASCADE;
CREATE SCHEMA fixture;
CREATE TABLE fixture.notes (id int PRIMARY KEY, text text, at timestamptz, tags text[], gone int);
ALTER TABLE fixture.notes DROP COLUMN gone;
CREATE TABLE fixture."odd ""name" (id int REFERENCES fixture.notes (id), "a
b" text);
CREATE TABLE fixture.counters (name text PRIMARY KEY, n bigint);
CREATE TABLE fixture.large (i int, filler text);
CREATE SEQUENCE fixture.steps START 7;
INSERT INTO fixture.notes SELECT i, E'note\\t' || i || E'\\n\\\\.', '2026-01-01Z'::timestamptz + i * interval '1 h',
    ARRAY['a', NULL, i::text] FROM generate_series(1, 300) i;
INSERT INTO fixture."odd ""name" SELECT i, repeat('x', i) FROM generate_series(1, 40) i;
INSERT INTO fixture.counters SELECT 'c' || i, i FROM generate_series(1, 30) i;
INSERT INTO fixture.large SELECT i, repeat('filler ', 300) FROM generate_series(1, 1500) i;
SELECT lo_from_bytea(4711, 'a large object') WHERE NOT EXISTS (SELECT FROM pg_largeobject_metadata WHERE oid = 4711);
"""
_CHANGES = """
UPDATE fixture.counters SET n = n + {hour} WHERE n % 3 = {hour} % 3;
INSERT INTO fixture.notes SELECT {hour} * 1000 + i, 'hour {hour}', now(), '{{}}' FROM generate_series(1, 9) i;
DELETE FROM fixture.notes WHERE id % 50 = {hour} AND id > 40;
UPDATE fixture.large SET filler = 'changed' WHERE i = {hour};
SELECT nextval('fixture.steps');
"""
_HOURS = 4


def main() -> int:
    """Make the fixture; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conninfo", required=True, help="an empty database; its schema fixture is replaced")
    parser.add_argument("--engine", choices=["log", "dump"], default="log")
    parser.add_argument("output", type=Path, help="the tar to make")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder), options.conninfo, options.engine, options.output)
    return 0


def _make(folder: Path, conninfo: str, engine: str, output: Path) -> None:
    config = folder / "permafrost.toml"
    _run_sql(conninfo, _TABLES)
    places = (f"--repository={folder / 'repository'}", f"--state={folder / 'state'}", "--name=fixture")
    _permafrost("init", f"--config={config}", f"--database={conninfo}", *places)
    config.write_text(re.sub(r"^engine = .*$", f'engine = "{engine}"', config.read_text(), flags=re.MULTILINE))
    for hour in range(_HOURS if engine == "log" else 1):
        if hour:
            _run_sql(conninfo, _CHANGES.format(hour=hour))
        _permafrost("backup", f"--config={config}")
    expected = {}
    with psycopg.connect(conninfo) as connection:
        for table in list_tables(connection):
            found = digest_rows(connection, table)
            expected[f"{table.schema}.{table.name}"] = [found.rows, found.digest]
    (folder / "expected.json").write_text(json.dumps({"engine": engine, "tables": expected}, indent=1))
    with tarfile.open(output, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("repository", "passphrase", "expected.json"):
            archive.add(folder / name, name, filter=_nobodys)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _run_sql(conninfo: str, script: str) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute(script.encode())


def _permafrost(*words: str) -> None:
    subprocess.run((sys.executable, "-m", "permafrost", *words), check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
