from __future__ import annotations

from collections.abc import Mapping

import psycopg
import pytest

from permafrost.postgres.catalog import list_tables
from permafrost.postgres.digest import digest_rows
from permafrost.postgres.programs.scratch import ScratchCluster
from samples.churn import Churned, churn, vacuum_where_due
from tests.fixtures.postgresql import temporary_database


def live(conninfo: str, *, hours: int, amount: float) -> tuple[list[Churned], Mapping[str, str | None]]:
    """Let hours pass; return what they did and a digest of each table."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        done = [churn(connection, hour=hour, amount=amount) for hour in range(hours)]
        return done, {str(table): digest_rows(connection, table).digest for table in list_tables(connection)}


def test_hours_are_the_same_each_time(cluster: ScratchCluster, mastodon_template: str) -> None:
    """Two hours in two databases made alike leave the same rows; the second hour is not the first again."""
    found = []
    for _ in range(2):
        with temporary_database(cluster, mastodon_template) as conninfo:
            found.append(live(conninfo, hours=2, amount=0.05))
    (first, second), digests = found[0]
    assert [one.posts for one in (first, second)] == [150, 150]
    assert first.deletes > 0
    assert first.updates > 150
    assert digests == found[1][1]


def test_an_hour_adds_posts_with_what_hangs_on_them(mastodon_database: str) -> None:
    """Posts, answers to older posts too, mentions, tags, media and counters are there, and ids go on after them."""
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        last = connection.execute("SELECT max(id) FROM statuses").fetchone()
        assert last is not None
        churn(connection, hour=0, amount=0.1)
        for table in ("mentions", "statuses_tags", "media_attachments", "status_stats"):
            row = connection.execute(
                f"SELECT count(*) FROM {table} WHERE status_id > %s",
                last,
            ).fetchone()
            assert row is not None
            assert row[0] > 20, table
        answers = connection.execute("SELECT FROM statuses WHERE id > %s AND in_reply_to_id <= %s", last * 2).fetchall()
        assert answers
        connection.execute("INSERT INTO conversations (created_at, updated_at) VALUES (now(), now())")


def test_vacuum_runs_where_enough_rows_are_dead(mastodon_database: str) -> None:
    """A table with many dead rows is vacuumed, one without any is not."""
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        if connection.info.server_version < 150000:
            pytest.skip("needs statistics that can be asked for at once")
        connection.execute("UPDATE statuses SET sensitive = NOT sensitive")
        due = vacuum_where_due(connection)
    assert "statuses" in due
    assert "accounts" not in due
