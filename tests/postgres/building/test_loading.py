"""What follows the rows of a restore: foreign keys from pg_restore's script, statistics, the list of an archive."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from permafrost.errors import DatabaseError
from permafrost.postgres.building.foreign_keys import add_foreign_keys, check_foreign_keys
from permafrost.postgres.building.index_builds import build_index, read_index_script
from permafrost.postgres.building.loading import analyze, loading_conninfo, tables_by_size
from permafrost.postgres.connection import connected
from permafrost.postgres.programs.sql_script import split_statements

TABLES = """
CREATE TABLE "Odd; ""name" (id bigint PRIMARY KEY);
CREATE TABLE child (a bigint, b bigint, c bigint);
INSERT INTO "Odd; ""name" VALUES (1), (2);
INSERT INTO child VALUES (1, 2, 7);
"""
SCRIPT = rb"""
--
-- PostgreSQL database dump
--

\restrict abcdef

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: child "a; key"; Type: FK CONSTRAINT; Schema: public; Owner: x
--

ALTER TABLE ONLY public.child
    ADD CONSTRAINT "a; key" FOREIGN KEY (a) REFERENCES public."Odd; ""name"(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.child
    ADD CONSTRAINT "b's key" FOREIGN KEY (b) REFERENCES public."Odd; ""name"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.child
    ADD CONSTRAINT "never checked" FOREIGN KEY (c) REFERENCES public."Odd; ""name"(id) NOT VALID;

--
-- PostgreSQL database dump complete
--

\unrestrict abcdef

"""


PARTITIONS = """
CREATE TABLE parted (a bigint PRIMARY KEY) PARTITION BY RANGE (a);
CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1), (2);
"""
PARTITIONED_SCRIPT = rb"""
ALTER TABLE public.parted ADD CONSTRAINT from_parts FOREIGN KEY (a) REFERENCES public."Odd; ""name"(id);
ALTER TABLE ONLY public.child ADD CONSTRAINT to_parts FOREIGN KEY (a) REFERENCES public.parted(a);
"""


def validity(conninfo: str) -> dict[str, bool]:
    """Return whether each foreign key is valid."""
    with psycopg.connect(conninfo) as connection:
        query = "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
        return dict(connection.execute(query).fetchall())


def test_foreign_keys_end_as_they_were(database: str) -> None:
    """Every key is added and checked, but one that never was; odd names are no matter."""
    with psycopg.connect(database) as connection:
        connection.execute(TABLES)
    keys = add_foreign_keys(database, SCRIPT)
    assert [one.constraints for one in keys] == [("a; key", "b's key")]
    with connected(database) as connection:
        for one in keys:
            check_foreign_keys(connection, one)
    assert validity(database) == {"a; key": True, "b's key": True, "never checked": False}


def test_partitions(database: str) -> None:
    """Where a table is partitioned every key is checked as it is added, those that refer to partitions too."""
    with psycopg.connect(database) as connection:
        connection.execute(TABLES)
        connection.execute(PARTITIONS)
    assert add_foreign_keys(database, SCRIPT + PARTITIONED_SCRIPT) == []
    assert validity(database) == {
        "a; key": True,
        "b's key": True,
        "never checked": False,
        "from_parts": True,
        "to_parts": True,
    }


def test_a_key_that_does_not_hold_is_told(database: str) -> None:
    """A row that refers to nothing fails the restore, and the error names the key."""
    with psycopg.connect(database) as connection:
        connection.execute(TABLES + "INSERT INTO child VALUES (3, 2, 1)")
    (keys,) = add_foreign_keys(database, SCRIPT)
    with connected(database) as connection, pytest.raises(DatabaseError, match="a; key"):
        check_foreign_keys(connection, keys)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(st.lists(st.tuples(NAMES, NAMES), max_size=5))
def test_any_name_is_kept_whole(names: list[tuple[str, str]]) -> None:
    """A script is split between its statements only, whatever quoted names and texts hold."""
    statements = []
    for name, text in names:
        quoted, literal = name.replace('"', '""'), text.replace("'", "''")
        statements.append(f"""ALTER TABLE a ADD "{quoted}" CHECK (b <> '{literal}');""".encode())
    script = b"\n\n-- a comment; 'with\n".join([b"", *statements])
    assert split_statements(script + b"\n") == statements


@pytest.mark.parametrize("script", [b'ALTER TABLE "a;', b"SELECT 1; SELECT 2", b"SELECT 'a;\n-- b\n"])
def test_a_script_that_breaks_off_is_refused(script: bytes) -> None:
    """A script whose last statement has no end is not run in part."""
    with pytest.raises(DatabaseError):
        split_statements(script)


def test_sessions_that_load(database: str) -> None:
    """They do not wait for the disk, keep the options that were given, and have memory to sort in."""
    with_options = database + " options='-c work_mem=5MB'"
    with psycopg.connect(loading_conninfo(with_options, 2, 150000)) as connection:

        def setting(name: str) -> str:
            row = connection.execute("SELECT setting FROM pg_settings WHERE name = %s", (name,)).fetchone()
            assert row is not None
            return str(row[0])

        assert setting("work_mem") == "5120"
        assert setting("synchronous_commit") == "off"
        assert int(setting("maintenance_work_mem")) >= 65536
    elsewhere = loading_conninfo("host=db.example.social dbname=x", 2, 150000)
    assert "maintenance_work_mem" not in str(conninfo_to_dict(elsewhere)["options"])


def test_statistics(database: str) -> None:
    """Every table gets its statistics, those on B-tree expressions too; a full-text expression is left to autovacuum,
    which still counts all of that table's rows as changed."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE plain (a int, b text)")
        connection.execute('CREATE TABLE searched ("odd; name" int, b text)')
        for table in ("plain", "searched"):
            connection.execute(f"INSERT INTO {table} SELECT i % 10, 'word ' || i % 7 FROM generate_series(1, 1000) i")
        connection.execute("CREATE INDEX lowered ON plain (lower(b))")
        connection.execute("CREATE INDEX found ON searched USING gin (to_tsvector('simple', b))")
    with connected(database) as connection:
        for one in tables_by_size(connection):
            analyze(connection, one)
        known = "SELECT tablename::text, attname::text FROM pg_stats WHERE schemaname = 'public' ORDER BY 1, 2"
        assert connection.execute(known).fetchall() == [
            ("lowered", "lower"),
            ("plain", "a"),
            ("plain", "b"),
            ("searched", "b"),
            ("searched", "odd; name"),
        ]


def test_large_tables_indexes_begin_first(database: str) -> None:
    """Constraints come first, then indexes, each of the larger table before those of the smaller."""
    script = b"""
        SET client_encoding = 'UTF8';
        SELECT pg_catalog.set_config('search_path', '', false);
        SET default_tablespace = '';
        ALTER TABLE ONLY public.small ADD CONSTRAINT small_pkey PRIMARY KEY (n);
        CREATE INDEX small_n ON public.small USING btree (n);
        CREATE INDEX large_n ON public."La; rge" USING btree (n);
        ALTER TABLE public."La; rge" CLUSTER ON large_n;
        ALTER TABLE ONLY public."La; rge"
            ADD CONSTRAINT large_pkey PRIMARY KEY (n);
    """
    with connected(database) as connection:
        connection.execute("CREATE TABLE public.small AS SELECT 1 AS n")
        connection.execute('CREATE TABLE public."La; rge" AS SELECT n FROM generate_series(1, 10000) AS n')
    found = read_index_script(database, script)
    firsts = [(build.is_constraint, build.table) for build in found.builds]
    assert firsts == [
        (True, b'public."La; rge"'),
        (True, b"public.small"),
        (False, b'public."La; rge"'),
        (False, b"public.small"),
    ]
    with found.session(database) as session:
        for build in found.builds:
            build_index(session, build)
    with connected(database) as connection:
        query = "SELECT indexrelid::regclass::text FROM pg_index WHERE indisclustered"
        assert connection.execute(query).fetchall() == [("public.large_n",)]
        query = (
            "SELECT count(*) FROM pg_index WHERE indrelid IN ('public.small'::regclass, 'public.\"La; rge\"'::regclass)"
        )
        assert connection.execute(query).fetchone() == (4,)
