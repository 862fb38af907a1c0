from __future__ import annotations

import secrets
from hashlib import sha256

import psycopg
import pytest
from psycopg import sql

from permafrost.postgres.programs.scratch import ScratchCluster
from samples.database import create_database, load

WANTED = {
    "accounts", "users", "keypairs", "statuses", "conversations", "mentions", "tags", "statuses_tags",
    "media_attachments", "follows", "favourites", "status_stats", "account_stats", "notifications", "polls",
    "preview_cards", "settings", "custom_emojis", "session_activations", "oauth_applications", "oauth_access_tokens",
}  # fmt: skip


def fingerprints(conninfo: str) -> dict[str, str]:
    """Return a hash of each table's rows in the order they lie in."""
    with psycopg.connect(conninfo) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        found = {}
        for (table,) in tables:
            digest = sha256()
            with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                for chunk in copy:
                    digest.update(chunk)
            found[table] = digest.hexdigest()
        return found


def test_a_loaded_database_has_rows_everywhere(mastodon_database: str) -> None:
    """Every table that matters has rows, the counts asked for are kept, and materialized views are filled."""
    with psycopg.connect(mastodon_database) as connection:
        for table in WANTED | {"instances", "account_summaries", "global_follow_recommendations", "user_ips"}:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
            assert row is not None
            assert row[0] > 0, table
        assert connection.execute("SELECT count(*) FROM statuses").fetchone() == (400,)
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (61,)


def test_the_same_seed_makes_the_same_rows(cluster: ScratchCluster, mastodon_database: str) -> None:
    """Loading twice with one seed gives the same rows in the same order; another seed gives others."""
    found = []
    for seed in (1, 2):
        name = f"again_{secrets.token_hex(4)}"
        create_database(cluster.conninfo("postgres"), name)
        with psycopg.connect(cluster.conninfo(name)) as connection:
            loaded = load(connection, accounts=60, statuses=400, seed=seed)
        assert loaded.rows["statuses"] == 400
        found.append(fingerprints(cluster.conninfo(name)))
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    assert found[0] == fingerprints(mastodon_database)
    assert found[0]["statuses"] != found[1]["statuses"]


def test_everything_belongs_to_mastodon(mastodon_database: str) -> None:
    """The database and all that was made in it belong to the role `mastodon`, as on a real server."""
    with psycopg.connect(mastodon_database) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert owners == [("mastodon",)]


def test_new_rows_find_free_ids(mastodon_database: str) -> None:
    """Serial sequences go on after the loaded ids, and ids made from the time are newer than all loaded ones."""
    with psycopg.connect(mastodon_database) as connection:
        tag = connection.execute(
            "INSERT INTO tags (name, created_at, updated_at) VALUES ('fresh', now(), now()) "
            "RETURNING id = (SELECT max(id) + 1 FROM tags)"
        ).fetchone()
        status = connection.execute(
            "INSERT INTO statuses (account_id, created_at, updated_at) VALUES (-99, now(), now()) "
            "RETURNING id >> 16 = floor(extract(epoch FROM now()) * 1000)"
        ).fetchone()
    assert tag == (True,)
    assert status == (True,)


def test_text_has_what_needs_escaping(mastodon_database: str) -> None:
    """Among the posts are some in other scripts, with emoji and line breaks; ids are in the order of time."""
    with psycopg.connect(mastodon_database) as connection:
        row = connection.execute(
            "SELECT bool_or(text LIKE '%日%'), bool_or(text ~ '[à-ü]'), bool_or(text LIKE '%🎉%'), "
            r"(SELECT bool_or(note LIKE E'%\n%') FROM accounts), "
            "bool_and(id >> 16 = floor(extract(epoch FROM created_at) * 1000)) "
            "FROM statuses"
        ).fetchone()
    assert row == (True, True, True, True, True)


@pytest.mark.parametrize("counted", ["accounts", "statuses"])
def test_counters_agree(mastodon_database: str, counted: str) -> None:
    """The counters say what the counted rows say."""
    query = {
        "accounts": "SELECT sum(followers_count) = (SELECT count(*) FROM follows) FROM account_stats",
        "statuses": "SELECT sum(favourites_count) = (SELECT count(*) FROM favourites) FROM status_stats",
    }[counted]
    with psycopg.connect(mastodon_database) as connection:
        assert connection.execute(query.encode()).fetchone() == (True,)
