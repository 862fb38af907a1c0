"""A small database with all that is hard to bring back: odd names and columns, bytes of no encoding, dead rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import psycopg

_TABLES = """
CREATE SCHEMA "a ""quoted"" \\ schema";
CREATE TABLE "a ""quoted"" \\ schema"."new
line 'and' {e}" ("\\.
col" text, "with space" int, "sum, $1" int GENERATED ALWAYS AS ("with space" * 2) STORED, "{e}" bytea);
CREATE TABLE zero ();
CREATE TABLE only_generated (two int GENERATED ALWAYS AS (2) STORED);
CREATE TABLE large (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, at timestamptz, i interval);
CREATE TABLE small (id int REFERENCES large (id), doc xml, cost money);
CREATE TABLE empty (id int, gone text);
ALTER TABLE empty DROP COLUMN gone;
CREATE TABLE parts (id int, text text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (200);
CREATE UNLOGGED TABLE unlogged (id int);
CREATE SEQUENCE "a ""quoted"" \\ schema"."odd 'seq {e}" INCREMENT -5 MINVALUE -1000 MAXVALUE 3 START 3;
CREATE SEQUENCE untouched START 7;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM large;
INSERT INTO large (text, at, i) SELECT repeat(md5(i::text), 8), '2026-03-29 01:30+00', '-1 mon +2 days -03:04:05.678'
    FROM generate_series(1, 4000) i;
INSERT INTO "a ""quoted"" \\ schema"."new
line 'and' {e}" VALUES (E'a\\tb\\nc\\rd\\\\', 1, DEFAULT, E'\\\\x00ff'), ('\\.', 2, DEFAULT, NULL),
    ('\\N', 3, DEFAULT, ''), ('', NULL, DEFAULT, NULL), ('{e}', 4, DEFAULT, NULL);
INSERT INTO zero SELECT FROM generate_series(1, 3);
INSERT INTO only_generated SELECT FROM generate_series(1, 5);
INSERT INTO small SELECT i, '<a/>', 12.34 FROM generate_series(1, 50) i;
INSERT INTO parts SELECT i, 'part ' || i FROM generate_series(0, 199) i;
INSERT INTO unlogged VALUES (1), (2);
SELECT lo_from_bytea(4711, 'large object');
"""

_CHANGES = (
    """UPDATE large SET text = 'changed' WHERE id % 7 = 0;
    DELETE FROM large WHERE id BETWEEN 500 AND 600 AND id > 50;
    INSERT INTO large (text) SELECT 'new' FROM generate_series(1, 300);
    UPDATE small SET cost = -0.5 WHERE id % 3 = 0;
    INSERT INTO zero SELECT FROM generate_series(1, 2);
    DELETE FROM parts WHERE id % 10 = 0;
    SELECT nextval('"a ""quoted"" \\ schema"."odd ''seq {e}"');""",
    "VACUUM",
    """UPDATE large SET text = 'again' WHERE id % 11 = 0;
    DELETE FROM large WHERE text = 'new' AND id % 2 = 0;
    UPDATE "a ""quoted"" \\ schema"."new
line 'and' {e}" SET "with space" = 10 WHERE "with space" < 3;
    INSERT INTO empty VALUES (1);
    UPDATE parts SET text = 'moved', id = id + 100 WHERE id = 7;
    SELECT nextval('"a ""quoted"" \\ schema"."odd ''seq {e}"');""",
)


def fill(conninfo: str, letter: bytes) -> None:
    """Make the tables; in names and values is a letter, in bytes of the database's encoding."""
    _run(conninfo, _TABLES, letter)


def changes(conninfo: str, letter: bytes) -> tuple[Callable[[], None], ...]:
    """Return functions that change rows, so that each snapshot has new and gone lines."""
    return tuple(partial(_run, conninfo, change, letter) for change in _CHANGES)


def _run(conninfo: str, script: str, letter: bytes) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(script.encode().replace(b"{e}", letter))
