"""The list of what a database lacks: in the order of finding, for the owner alone, and nothing runs by accident."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from permafrost.errors import DatabaseError, RestoreRefusedError
from permafrost.loading.missing import Missing, make_folder
from permafrost.postgres.catalog import TableName
from permafrost.postgres.failures import Failed
from permafrost.postgres.programs.clients import client_program
from tests.fixtures.own_postgresql import OWN_MAJOR


def test_the_order_of_finding(tmp_path: Path) -> None:
    """Statements and rows stand in the list as they were found, each below its reason."""
    with Missing(lambda: make_folder(tmp_path / "missing", "db")) as missing:
        missing.note(Failed(b"CREATE TABLE a ();", DatabaseError("no type\nCommand was: CREATE TABLE a ();")))
        missing.refuse(TableName("public", "a"), ("x", "y"), [b"1\t2\n", b"3\t4\n"], "no table")
        missing.note(Failed(b"CREATE INDEX i ON a (x);", DatabaseError("no table")))
        missing.refuse(TableName("public", "a"), ("x", "y"), [b"5\t6\n"], "no table either")
        place = missing.write_list("db", "20261126T000000Z-00000000", "UTF8", b"COMMENT ON DATABASE db IS NULL;")
    assert place == tmp_path / "missing" / "finish.sql"
    text = place.read_text()
    parts = ["-- no type\nCREATE TABLE", "-- 3 rows of public.a", "\\copy", "-- no table\nCREATE INDEX", "COMMENT ON"]
    assert sorted(parts, key=text.index) == parts
    assert "Command was" not in text
    (rows,) = (tmp_path / "missing").glob("rows-*")
    assert rows.read_bytes() == b"1\t2\n3\t4\n5\t6\n"
    assert {path.stat().st_mode & 0o077 for path in (place, rows, place.parent)} == {0}
    assert missing.rows_refused == {TableName("public", "a"): 3}


def test_names_are_no_commands(tmp_path: Path) -> None:
    """No name and no reason becomes a command of psql, whoever chose it."""
    name = TableName("public", "a\n\\! touch owned\n")
    with Missing(lambda: make_folder(tmp_path / "missing", "db")) as missing:
        missing.refuse(name, ("x\n\\! touch owned",), [b"1\n"], "bad\r\\! touch owned\x0b\\! touch owned")
        missing.note(Failed(b"SELECT 1;", DatabaseError("bad\n\\! touch owned")))
        place = missing.write_list("db\n\\! touch owned", "snapshot", "UTF8", b"SELECT 2;")
    assert place is not None
    commands = [line for line in place.read_text().splitlines() if line and not line.startswith("-- ")]
    assert [line for line in commands if "owned" in line] == []
    own = [line for line in commands if line.startswith("\\") and "restrict " not in line]
    assert own == ["\\set ON_ERROR_STOP on"]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (b"CREATE INDEX i ON a (x)\n\\! touch owned\n;", "no"),
        (b"CREATE INDEX i ON a (x) \\! touch owned\n;", "no"),
        (b"SELECT E'\\'' \\! touch owned\n';", "no"),
        (b"SELECT $x$;", "(a)=($x$; \\! touch owned) exists"),
        (b"SELECT 'x;", "'; \\! touch owned"),
        (b"\\unrestrict 0\n\\! touch owned\n;", "no"),
        (b"SELECT 1;", "no"),
    ],
)
def test_statements_start_nothing(tmp_path: Path, database: str, statement: bytes, reason: str) -> None:
    """Whatever pg_restore takes for a statement, and PostgreSQL for a reason, starts no program when psql runs the list
    (CVE-2025-8714): neither itself nor a row's own command behind it."""
    folder = tmp_path / "missing"
    with Missing(lambda: make_folder(folder, "db")) as missing:
        missing.note(Failed(statement, DatabaseError(reason)))
        missing.note(Failed(b"SELECT 1;", DatabaseError(reason)))
        missing.refuse(TableName("public", "b$x$' \\! touch owned"), ("x",), [b"1\n"], reason)
        missing.write_list("db", "snapshot", "UTF8", b"SELECT 2;")
    words = [client_program("psql", OWN_MAJOR), "-X", "-d", database, "-f", "finish.sql"]
    subprocess.run(words, cwd=folder, check=False, capture_output=True, timeout=60)
    assert not (folder / "owned").exists()


def test_the_end_of_an_export_starts_nothing(tmp_path: Path, database: str) -> None:
    """Refused statements at the end of a plain export start no program either, and run as they are."""
    with Missing(None) as missing:
        missing.note(Failed(b"SELECT 1 \\! touch owned\n;", DatabaseError("no")))
        hostile = missing.statements
    with Missing(None) as missing:
        missing.note(Failed(rb"SELECT E'a\\b';", DatabaseError("no")))
        honest = missing.statements
    words = [client_program("psql", OWN_MAJOR), "-X", "-q", "-A", "-t", "-d", database]
    subprocess.run(words, cwd=tmp_path, input=hostile, check=False, capture_output=True, timeout=60)
    assert not (tmp_path / "owned").exists()
    ended = subprocess.run(words, cwd=tmp_path, input=honest, check=True, capture_output=True, timeout=60)
    assert (ended.stdout, ended.stderr) == (b"a\\b\n", b"")


def test_rows_can_be_loaded_beside_a_backslash(tmp_path: Path, database: str) -> None:
    """A list whose statements have backslashes is run by psql as any other, its rows' commands included."""
    folder = tmp_path / "missing"
    with Missing(lambda: make_folder(folder, "db")) as missing:
        missing.note(Failed(rb"CREATE TABLE public.a (x text CHECK (x ~ E'\\d+'));", DatabaseError("no")))
        missing.refuse(TableName("public", "a"), ("x",), [b"1\n", b"2\n"], "no table")
        missing.note(Failed(rb"CREATE INDEX i ON public.a ((x || E'\\'));", DatabaseError("no")))
        missing.write_list("db", "snapshot", "UTF8", b"SELECT 2;")
    words = [client_program("psql", OWN_MAJOR), "-X", "-q", "-d", database, "-f", "finish.sql"]
    ended = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM public.a").fetchone() == (2,)


def test_nothing_missing_leaves_nothing(tmp_path: Path) -> None:
    """A folder in which nothing was written is gone in the end; one that exists is never used."""
    with Missing(lambda: make_folder(tmp_path / "missing", "db")) as missing:
        missing.make_folder()
        assert (tmp_path / "missing").is_dir()
    assert not (tmp_path / "missing").exists()
    assert not missing
    (tmp_path / "missing").mkdir()
    with pytest.raises(RestoreRefusedError, match="exists already"):
        make_folder(tmp_path / "missing", "db")


def test_where_nothing_is_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place, as in a drill, rows are counted and none is written anywhere."""
    monkeypatch.chdir(tmp_path)
    with Missing(None) as missing:
        missing.refuse(TableName("public", "a"), (), [b"1\n"], "no table")
        assert missing.write_list("db", "snapshot", "UTF8", b"SELECT 2;") is None
    assert missing.reasons == ("1 rows of public.a were refused: no table",)
    assert list(tmp_path.iterdir()) == []
