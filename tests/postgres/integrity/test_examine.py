"""Every promise of a database is held against its rows: what breaks one is found, and a sound database has nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from permafrost.events import ignore_events
from permafrost.postgres.connection import connected
from permafrost.postgres.integrity.examine import Examined, examine_integrity
from permafrost.postgres.integrity.rules import Violation, without_indexes
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.hidden_rows import behind_the_index, bytes_that_are_no_text, hide_a_duplicate, without_keys
from tests.fixtures.own_postgresql import OWN_MAJOR


@pytest.fixture
def live(database: str) -> Iterator[psycopg.Connection]:
    """A connection that changes the database."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def look(conninfo: str) -> Examined:
    """Examine the database."""
    with connected(conninfo) as connection, without_indexes(connection):
        return examine_integrity(connection, ignore_events)


def the_violation(conninfo: str) -> Violation:
    """Return the only thing that is wrong, whose SQL shows as many rows as are its."""
    (violation,) = look(conninfo).violations
    return violation


def shown(conninfo: str, violation: Violation) -> list[tuple[Any, ...]]:
    """Return the rows that the violation's own SQL shows."""
    with psycopg.connect(conninfo) as connection:
        cursor = connection.execute(violation.query)
        while cursor.nextset():
            pass
        return cursor.fetchall()


def test_a_sound_database(mastodon_database: str) -> None:
    """In a sound database nothing is found, everything is looked at, and nothing is written."""
    with connected(mastodon_database) as connection:
        connection.execute("SET default_transaction_read_only = on")
    examined = look(mastodon_database)
    assert examined.violations == ()
    assert examined.unexamined == ()
    assert examined.counts["unique-index"] > 100
    assert examined.counts["foreign-key"] > 100
    assert examined.counts["readable-rows"] > 100


def test_duplicates_behind_an_index(database: str, live: psycopg.Connection) -> None:
    """A key that a valid unique index does not know of is found, with the index and with SQL that shows its rows."""
    hide_a_duplicate(live)
    found = the_violation(database)
    assert (found.kind, str(found.table), found.rule) == ("unique-index", "public.accounts", "accounts_by_name")
    assert (found.count, found.samples) == (1, ("(user7) in 2 rows",))
    assert sorted(row[3] for row in shown(database, found)) == ["USER7", "user7"]


@pytest.mark.parametrize(
    ("index", "row", "key"),
    [
        ("CREATE UNIQUE INDEX lying ON things (a, b)", "(1, 'x', true)", "(1,x) in 2 rows"),
        ("CREATE UNIQUE INDEX lying ON things (a) WHERE c", "(1, 'y', true)", "(1) in 2 rows"),
        ("CREATE UNIQUE INDEX lying ON things ((a + 1), lower(b))", "(1, 'X', true)", "(2,x) in 2 rows"),
        ("CREATE UNIQUE INDEX lying ON things (b text_pattern_ops)", "(3, 'x', true)", "(x) in 2 rows"),
        ("CREATE UNIQUE INDEX lying ON things (a) INCLUDE (b)", "(1, 'y', false)", "(1) in 2 rows"),
        (
            "DELETE FROM things WHERE a IS NULL; ALTER TABLE things ADD CONSTRAINT lying PRIMARY KEY (a)",
            "(1, 'y', false)",
            "(1) in 2 rows",
        ),
        (
            "ALTER TABLE things ADD CONSTRAINT lying UNIQUE (a) DEFERRABLE INITIALLY DEFERRED",
            "(1, 'y', false)",
            "(1) in 2 rows",
        ),
        pytest.param(
            "CREATE UNIQUE INDEX lying ON things (a, d) NULLS NOT DISTINCT",
            "(1, 'y', false)",
            "(1,) in 2 rows",
            marks=pytest.mark.skipif(OWN_MAJOR < 15, reason="PostgreSQL 15 was the first to know such an index"),
        ),
        (
            "CREATE UNIQUE INDEX lying ON things (b COLLATE without_case)",
            "(4, 'X', false)",
            "(x) in 2 rows|(X) in 2 rows",
        ),
    ],
)
def test_each_kind_of_unique_index(database: str, live: psycopg.Connection, index: str, row: str, key: str) -> None:
    """Several columns, expressions, predicates, operator classes, collations, NULLs: each by the index's own rules."""
    live.execute(
        """CREATE COLLATION without_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE things (a int, b text, c boolean, d int);
        INSERT INTO things VALUES (1, 'x', true), (2, 'z', true), (NULL, NULL, NULL), (5, '%s', true)"""
    )
    live.execute(index)
    behind_the_index(live, "lying", f"INSERT INTO things VALUES {row}")
    found = the_violation(database)
    assert found.samples[0] in key.split("|")
    assert len(shown(database, found)) == 2


def test_nulls_are_no_duplicates(database: str, live: psycopg.Connection) -> None:
    """NULLs differ from each other, also in columns of composite types and in several columns."""
    live.execute(
        """CREATE TYPE pair AS (x int, y int);
        CREATE TABLE things (a int, p pair);
        CREATE UNIQUE INDEX ON things (a);
        CREATE UNIQUE INDEX ON things (p);
        INSERT INTO things VALUES (NULL, NULL), (NULL, NULL)"""
    )
    assert look(database).violations == ()
    live.execute("DROP INDEX things_p_idx")
    live.execute("INSERT INTO things VALUES (1, ROW(NULL, 1)), (2, ROW(NULL, 1))")
    live.execute("CREATE UNIQUE INDEX lying ON things (p) WHERE a IS NULL")
    behind_the_index(live, "lying", "UPDATE things SET a = NULL")
    assert the_violation(database).samples == ('("(,1)") in 2 rows',)


def test_duplicates_in_a_partition(database: str, live: psycopg.Connection) -> None:
    """The index of a partition is looked at, and names the partition."""
    live.execute(
        """CREATE TABLE parted (a int, b int, PRIMARY KEY (a, b)) PARTITION BY LIST (a);
        CREATE TABLE "Part; one" PARTITION OF parted FOR VALUES IN (1);
        INSERT INTO parted VALUES (1, 1)"""
    )
    behind_the_index(live, '"Part; one_pkey"', "INSERT INTO parted VALUES (1, 1)")
    found = the_violation(database)
    assert (str(found.table), found.samples) == ("public.Part; one", ("(1,1) in 2 rows",))
    assert len(shown(database, found)) == 2


def test_rows_that_exclude_each_other(database: str, live: psycopg.Connection) -> None:
    """Rows that an exclusion constraint should have kept apart are found in pairs."""
    live.execute(
        """CREATE TABLE bookings (during int4range, note text, EXCLUDE USING gist (during WITH &&) WHERE (note <> ''));
        INSERT INTO bookings VALUES ('[1,5)', 'a'), ('[5,9)', 'b'), ('[1,9)', '')"""
    )
    assert look(database).violations == ()
    behind_the_index(live, "bookings_during_excl", "INSERT INTO bookings VALUES ('[4,6)', 'c')")
    found = the_violation(database)
    assert (found.kind, found.count) == ("exclusion", 2)
    assert '("[1,5)") and ("[4,6)")' in found.samples
    assert len(shown(database, found)) == 2


ORPHANS = """
CREATE TABLE parents (a int, b int, PRIMARY KEY (a, b));
INSERT INTO parents VALUES (1, 1), (2, 2);
CREATE TABLE children (a int, b int, n int, CONSTRAINT theirs FOREIGN KEY (a, b) REFERENCES parents MATCH {});
INSERT INTO children VALUES (1, 1, 1), (NULL, NULL, 1);
"""


@pytest.mark.parametrize(("match", "row"), [("SIMPLE", "(7, 1, 2)"), ("FULL", "(7, 1, 2)"), ("FULL", "(NULL, 1, 2)")])
def test_orphans(database: str, live: psycopg.Connection, match: str, row: str) -> None:
    """Rows that refer to nothing although their key is valid are found, by the key's own way to take NULL."""
    live.execute(ORPHANS.format(match))
    without_keys(live, f"INSERT INTO children VALUES {row}, {row}")
    found = the_violation(database)
    assert (found.kind, found.rule, found.count) == ("foreign-key", "theirs", 1)
    assert found.samples[0].endswith(" in 2 rows")
    assert [one[3] for one in shown(database, found)] == [2, 2]


def test_a_null_is_no_reference(database: str, live: psycopg.Connection) -> None:
    """With MATCH SIMPLE a reference that is NULL in part leads nowhere and breaks nothing."""
    live.execute(ORPHANS.format("SIMPLE"))
    live.execute("INSERT INTO children VALUES (NULL, 9, 1)")
    assert look(database).violations == ()


def test_keys_that_promise_nothing(database: str, live: psycopg.Connection) -> None:
    """A foreign key that is NOT VALID has orphans by right."""
    live.execute(
        "CREATE TABLE parents (a int PRIMARY KEY); CREATE TABLE children (a int); INSERT INTO children VALUES (1)"
    )
    live.execute("ALTER TABLE children ADD FOREIGN KEY (a) REFERENCES parents NOT VALID")
    examined = look(database)
    assert examined.violations == ()
    assert examined.counts["foreign-key"] == 0


def test_orphans_of_partitioned_tables(database: str, live: psycopg.Connection) -> None:
    """A key between partitioned tables is looked at once, over all of their partitions."""
    live.execute(
        """CREATE TABLE parents (a int PRIMARY KEY) PARTITION BY RANGE (a);
        CREATE TABLE parents_low PARTITION OF parents FOR VALUES FROM (0) TO (10);
        CREATE TABLE parents_high PARTITION OF parents FOR VALUES FROM (10) TO (20);
        CREATE TABLE children (a int REFERENCES parents) PARTITION BY RANGE (a);
        CREATE TABLE children_all PARTITION OF children FOR VALUES FROM (0) TO (20);
        INSERT INTO parents VALUES (1), (11);
        INSERT INTO children VALUES (1), (11)"""
    )
    assert look(database).counts["foreign-key"] == 1
    without_keys(live, "INSERT INTO children VALUES (12)")
    found = the_violation(database)
    assert (str(found.table), found.samples) == ("public.children", ("(12) in 1 rows",))


def test_bytes_that_are_no_text(database: str) -> None:
    """A value that is no UTF-8 in a UTF-8 database is found by its table and its ctid."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes AS SELECT i AS id, 'note ' || i AS body FROM generate_series(1, 5000) i")
    bytes_that_are_no_text(database, b"UPDATE notes SET body = E'caf\\xe9 au lait' WHERE id = 3210")
    with psycopg.connect(database) as connection:
        (place,) = connection.execute("SELECT ctid::text FROM notes WHERE id = 3210").fetchone() or ("",)
    found = the_violation(database)
    assert (found.kind, str(found.table), found.samples) == ("readable-rows", "public.notes", (place,))
    assert 'invalid byte sequence for encoding "UTF8": 0xe9' in found.reason
    assert shown(database, found) == [(place,)]


def test_a_page_that_cannot_be_read(server_folder: Path) -> None:
    """Where a disk has spoilt a page, the page is named, and every other table and rule is looked at all the same."""
    with ScratchCluster(server_folder / "spoilt") as own:
        with psycopg.connect(own.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE notes AS SELECT i AS id, repeat('x', 100) FROM generate_series(1, 2000) i")
            hide_a_duplicate(connection)
            connection.execute("CHECKPOINT")
            (file,) = connection.execute("SELECT pg_relation_filepath('notes')").fetchone() or ("",)
        own.stop()
        with (own.data_folder / file).open("r+b") as heap:
            heap.seek(17 * 8192)
            heap.write(b"\xff" * 64)
        own.start()
        found = {violation.rule: violation for violation in look(own.conninfo("postgres")).violations}
    assert set(found) == {"rows", "accounts_by_name"}
    assert found["rows"].samples == ("page 17",)
    assert "invalid page in block 17" in found["rows"].reason


def test_what_cannot_be_examined_is_named(database: str, live: psycopg.Connection) -> None:
    """Where the server refuses a question, the rule is among the unexamined ones; all others are looked at."""
    live.execute(
        """CREATE FUNCTION half(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN a / 2; END';
        CREATE TABLE things (a int, b int UNIQUE, during int4range,
            CONSTRAINT apart EXCLUDE USING gist (int4range(half(a), half(a) + 1) WITH &&));
        CREATE UNIQUE INDEX by_half ON things (half(a));
        INSERT INTO things VALUES (2, 1), (4, 2);
        CREATE OR REPLACE FUNCTION half(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql
            AS 'BEGIN RAISE EXCEPTION ''no halves today''; END'"""
    )
    examined = look(database)
    assert examined.violations == ()
    named = {(one.kind, one.rule, one.reason) for one in examined.unexamined}
    assert {(kind, rule) for kind, rule, _ in named} == {("unique-index", "by_half"), ("exclusion", "apart")}
    assert all("no halves today" in reason for _, _, reason in named)
