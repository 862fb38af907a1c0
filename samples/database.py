"""A database with Mastodon's tables, keys and views, and with rows that look like a server's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psycopg
from psycopg import sql

from samples.language import Writer
from samples.people import add_people, invent_accounts
from samples.posts import add_posts
from samples.rows import Connection
from samples.schema_from_facts import NEWEST
from samples.site import add_site

OWNER = "mastodon"

_DERIVED = Path(__file__).with_name("derived.sql")


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rows each table has; tables without rows are left out."""

    rows: Mapping[str, int]


def create_database(maintenance: str, name: str) -> None:
    """Make the database `name` with Mastodon's tables, owned by the role `mastodon`, which is made if missing.

    `maintenance` is a connection string for a superuser. Keys, indexes and views are made by `load`: with rows
    in the tables that is several times quicker.
    """
    with psycopg.connect(maintenance, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (OWNER,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(OWNER)))
        command = sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}")
        connection.execute(command.format(sql.Identifier(name), sql.Identifier(OWNER)))
    with psycopg.connect(maintenance, dbname=name) as connection:
        _become_owner(connection)
        _run_file(connection, NEWEST.pre_data)


def load(connection: Connection, *, accounts: int, statuses: int, seed: int = 1) -> Loaded:
    """Fill a database of `create_database` with so many rows, the same for the same seed, and complete its schema.

    At least ten accounts. Everything is committed at the end, analyzed, and its materialized views are fresh.
    """
    with connection.transaction():
        _become_owner(connection)
        people = invent_accounts(Random(f"accounts {seed}"), Writer(Random(f"names {seed}")), accounts)
        add_people(connection, seed, people)
        add_posts(connection, seed, people, statuses)
        add_site(connection, seed, people)
        connection.execute("ANALYZE")  # the joins that follow want to know how big the tables are
        _run_file(connection, _DERIVED)
        _run_file(connection, NEWEST.post_data)
        _set_sequences(connection)
        connection.execute("ANALYZE")
        for (name,) in connection.execute("SELECT matviewname FROM pg_matviews ORDER BY 1").fetchall():
            connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(name)))
        connection.execute("RESET ROLE")
        return Loaded(_row_counts(connection))


def _become_owner(connection: Connection) -> None:
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))


def _run_file(connection: Connection, file: Path) -> None:
    connection.execute(file.read_bytes())


def _set_sequences(connection: Connection) -> None:
    """Let each `<table>_id_seq` go on after the ids, or for ids that embed time after as many as there are rows."""
    known = connection.execute(
        "SELECT sequencename, regexp_replace(sequencename, '_id_seq$', '') FROM pg_sequences ORDER BY 1"
    ).fetchall()
    for sequence, table in known:
        used = connection.execute(
            sql.SQL("SELECT CASE WHEN max(id) < 1099511627776 THEN max(id) ELSE count(*) END FROM {}").format(
                sql.Identifier(table)
            )
        ).fetchone()
        if used and used[0] and used[0] > 0:
            connection.execute("SELECT setval(%s::regclass, %s)", (sequence, used[0]))


def _row_counts(connection: Connection) -> dict[str, int]:
    counts = {}
    for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"):
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        if row and row[0]:
            counts[table] = row[0]
    return counts
