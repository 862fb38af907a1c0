"""An hour of a small server's life: new posts and what hangs on them, counters, visits, deletions; then vacuum.

With `amount` 1: 3,000 posts, about 5,000 updates and 340 deletions, which leave about 10,000 row versions that were
not there an hour before, and end about 2,100 that were. Written in 360 transactions, so that row versions of many
transactions lie side by side as they do on a living server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from psycopg import sql

from samples.language import Writer
from samples.people import Account
from samples.posts import Before, Status, add_statuses, plan_statuses
from samples.rows import UNTIL_MS, Connection, moment, zipf

HOUR_MS = 3_600_000
BATCHES = 360
ACTIVE_ACCOUNTS = 2500
LATEST_STATUSES = 1500
_POINTS_PER_ID = 4
# no join, so that no plan reads all counters
_LONELY = """coalesce((SELECT n.replies_count + n.reblogs_count FROM status_stats AS n
    WHERE n.status_id = statuses.id), 0) = 0"""

POSTS = 3000
FAVOURITE_COUNTS = 1700
REFRESHED_ACCOUNTS = 300
VISITS = 150
DELETED_STATUSES = 120
DELETED_FAVOURITES = 140
DELETED_FOLLOWS = 80


@dataclass(frozen=True, slots=True)
class Churned:
    """What an hour did, in statements' own counts; a row that is written twice counts twice."""

    posts: int
    updates: int
    deletes: int
    vacuumed: tuple[str, ...]


def churn(connection: Connection, *, hour: int, amount: float = 1.0, seed: int = 1) -> Churned:
    """Let the hour with this number (from 0, each once) pass, committed and vacuumed.

    The same database, hour, amount and seed give the same rows. The connection has to be in autocommit mode.
    """
    connection.execute("SET TIME ZONE 'UTC'; SET synchronous_commit = off")
    rng = Random(f"churn {seed} {hour}")
    began_ms = UNTIL_MS + hour * HOUR_MS
    accounts = _active_accounts(connection, seed)
    tags = [str(name) for (name,) in connection.execute("SELECT display_name FROM tags ORDER BY id")]
    before = _before(connection, accounts, began_ms)
    posts = plan_statuses(rng, accounts, round(POSTS * amount), tags=len(tags), before=before)
    doomed = _choose_doomed(connection, rng, amount, before)
    visitors = _some_ids(connection, rng, "users", round(VISITS * amount))
    refreshed = _some_ids(connection, rng, "accounts", round(REFRESHED_ACCOUNTS * amount))
    liked = _liked(rng, before.latest, posts, round(FAVOURITE_COUNTS * amount))
    writer = Writer(rng)
    updates = deletes = 0
    for number in range(BATCHES):
        new = posts[_part(number, posts)]
        now_ms = began_ms + (number + 1) * HOUR_MS // BATCHES
        with connection.transaction():
            add_statuses(connection, rng, writer, new, tags, before)
            updates += _count_posts(connection, new, now_ms)
            updates += _count_favourites(connection, liked[_part(number, liked)], now_ms)
            updates += _refresh(connection, refreshed[_part(number, refreshed)], now_ms)
            updates += _visit(connection, visitors[_part(number, visitors)], now_ms)
            for table, ids in doomed.items():
                deletes += _delete(connection, table, ids[_part(number, ids)])
        before = replace(before, mentions=_maximum(connection, "mentions"))
    _advance_sequences(connection, posts)
    return Churned(len(posts), updates, deletes, vacuum_where_due(connection))


def vacuum_where_due(connection: Connection, *, threshold: int = 50, scale: float = 0.01) -> tuple[str, ...]:
    """Vacuum the tables that have more dead rows than autovacuum's formula allows; return their names.

    The scale is a hundredth, as busy servers set it, not PostgreSQL's fifth: places are used again much sooner.
    """
    if connection.info.server_version >= 150000:
        connection.execute("SELECT pg_stat_force_next_flush()")
    due = connection.execute(
        """SELECT s.relname FROM pg_stat_user_tables AS s JOIN pg_class AS c ON c.oid = relid
        WHERE n_dead_tup > %s + %s * greatest(reltuples, 0) ORDER BY 1""",
        (threshold, scale),
    ).fetchall()
    for (table,) in due:
        connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier(table)))
    return tuple(table for (table,) in due)


def _part(number: int, things: Sequence[object]) -> slice:
    return slice(len(things) * number // BATCHES, len(things) * (number + 1) // BATCHES)


def _active_accounts(connection: Connection, seed: int) -> list[Account]:
    """Return those who write: the same few thousand every hour, spread evenly over the table."""
    found = connection.execute(
        """SELECT id, username, domain FROM accounts WHERE id > 0 AND suspended_at IS NULL
        ORDER BY md5(id::text || %s::text), id LIMIT %s""",
        (seed, ACTIVE_ACCOUNTS),
    )
    return [Account(number, name, domain, 0, is_old=False, is_suspended=False) for number, name, domain in found]


def _before(connection: Connection, accounts: Sequence[Account], began_ms: int) -> Before:
    """Return the latest originals, by old to new, and the last ids."""
    known = {one.id: one for one in accounts}
    found = connection.execute(
        """SELECT s.id, account_id, a.username, a.domain, conversation_id
        FROM (SELECT * FROM statuses WHERE reblog_of_id IS NULL AND deleted_at IS NULL ORDER BY id DESC LIMIT %s) AS s
        JOIN accounts AS a ON a.id = account_id ORDER BY s.id""",
        (LATEST_STATUSES,),
    )
    latest = []
    for number, account, name, domain, conversation in found:
        author = known.get(account) or Account(account, name, domain, 0, is_old=False, is_suspended=False)
        latest.append(Status(number, author, number >> 16, conversation=conversation))
    return Before(
        began_ms=began_ms,
        until_ms=began_ms + HOUR_MS,
        latest=latest,
        conversations=_maximum(connection, "conversations"),
        mentions=_maximum(connection, "mentions"),
        polls=_maximum(connection, "polls"),
        cards=_maximum(connection, "preview_cards"),
    )


def _maximum(connection: Connection, table: str) -> int:
    row = connection.execute(sql.SQL("SELECT coalesce(max(id), 0) FROM {}").format(sql.Identifier(table))).fetchone()
    return int(row[0]) if row else 0


def _some_ids(connection: Connection, rng: Random, table: str, count: int, condition: str = "id > 0") -> list[int]:
    """Return ids from all over the table, the same for the same rows whatever their places."""
    found = connection.execute(
        sql.SQL("SELECT id FROM {} WHERE " + condition + " ORDER BY md5(id::text || %s), id LIMIT %s").format(  # noqa: S608 - our own words
            sql.Identifier(table)
        ),
        (str(rng.random()), count),
    )
    return [number for (number,) in found]


def _ids_by_index(connection: Connection, rng: Random, table: str, count: int, condition: str = "id > 0") -> list[int]:
    """Return what `_some_ids` does, without reading a large table: the ids that follow points all over their range."""
    row = connection.execute(sql.SQL("SELECT min(id), max(id) FROM {}").format(sql.Identifier(table))).fetchone()
    low, high = row if row and row[0] is not None else (0, 0)
    query = sql.SQL(
        """SELECT next.id FROM unnest(%s::bigint[]) WITH ORDINALITY AS points (point, n), LATERAL
            (SELECT id FROM {} WHERE id >= point AND {} ORDER BY id LIMIT 1) AS next ORDER BY n"""
    ).format(sql.Identifier(table), sql.SQL(condition))
    found = connection.execute(query, ([rng.randint(low, high) for _ in range(_POINTS_PER_ID * count)],))
    ids = list(dict.fromkeys(number for (number,) in found))[:count]
    return ids if len(ids) == count else _some_ids(connection, rng, table, count, condition)


def _choose_doomed(connection: Connection, rng: Random, amount: float, before: Before) -> dict[str, list[int]]:
    """Return what is deleted: no status that an answer of this hour may need, nor one with other statuses on it."""
    oldest = min((one.id for one in before.latest), default=0)
    lonely = f"id < {oldest} AND {_LONELY}"
    return {
        "statuses": _ids_by_index(connection, rng, "statuses", round(DELETED_STATUSES * amount), lonely),
        "favourites": _ids_by_index(connection, rng, "favourites", round(DELETED_FAVOURITES * amount)),
        "follows": _ids_by_index(connection, rng, "follows", round(DELETED_FOLLOWS * amount)),
    }


def _liked(rng: Random, latest: Sequence[Status], posts: Sequence[Status], count: int) -> list[int]:
    """Return ids, in the order in which they are liked: mostly those of the last hours, few of them most often."""
    pool = [one.id for one in latest]
    rng.shuffle(pool)
    chosen = rng.choices(pool, cum_weights=zipf(len(pool), 0.7), k=count * 7 // 10) if pool else []
    # those of this hour come last: by then they are there
    chosen += [one.id for one in rng.choices(posts[: len(posts) // 2], k=count - len(chosen))] if posts else []
    return chosen


def _count_posts(connection: Connection, new: Sequence[Status], now_ms: int) -> int:
    """Count posts with their authors, answers and reblogs with what they belong to; return how many were updated."""
    authors = Counter(one.account.id for one in new)
    updated = _execute(
        connection,
        """UPDATE account_stats SET statuses_count = statuses_count + n, last_status_at = %(now)s, updated_at = %(now)s
        FROM unnest(%(ids)s::bigint[], %(counts)s::int[]) AS new (id, n) WHERE account_id = new.id""",
        {"ids": list(authors), "counts": list(authors.values()), "now": moment(now_ms)},
    )
    replies = Counter(one.parent.id for one in new if one.parent)
    reblogs = Counter(one.reblog_of.id for one in new if one.reblog_of)
    ids = sorted(replies | reblogs)
    row = connection.execute(
        """WITH written AS (
            INSERT INTO status_stats AS known (status_id, replies_count, reblogs_count, created_at, updated_at)
            SELECT id, replies, reblogs, %(now)s, %(now)s
            FROM unnest(%(ids)s::bigint[], %(replies)s::int[], %(reblogs)s::int[]) AS new (id, replies, reblogs)
            ON CONFLICT (status_id) DO UPDATE SET replies_count = known.replies_count + excluded.replies_count,
                reblogs_count = known.reblogs_count + excluded.reblogs_count, updated_at = excluded.updated_at
            RETURNING created_at < %(now)s AS was_there
        ) SELECT count(*) FROM written WHERE was_there""",
        {
            "ids": ids,
            "replies": [replies[one] for one in ids],
            "reblogs": [reblogs[one] for one in ids],
            "now": moment(now_ms).replace(tzinfo=None),
        },
    ).fetchone()
    return updated + (int(row[0]) if row else 0)


def _count_favourites(connection: Connection, ids: Sequence[int], now_ms: int) -> int:
    """Count favourites that other servers tell of; return how many counters were updated."""
    with connection.cursor() as cursor:
        cursor.executemany(  # without waiting for each answer
            """UPDATE status_stats SET updated_at = %s,
                untrusted_favourites_count = coalesce(untrusted_favourites_count, favourites_count) + 1
            WHERE status_id = %s""",
            [(moment(now_ms), one) for one in ids],
        )
        return max(cursor.rowcount, 0)


def _refresh(connection: Connection, ids: Sequence[int], now_ms: int) -> int:
    command = "UPDATE accounts SET last_webfingered_at = %s, updated_at = %s WHERE id = ANY(%s)"
    return _execute(connection, command, (moment(now_ms), moment(now_ms), list(ids)))


def _visit(connection: Connection, ids: Sequence[int], now_ms: int) -> int:
    """Let members come by: their sign-ins and sessions are renewed."""
    sign_ins = """UPDATE users SET last_sign_in_at = current_sign_in_at, current_sign_in_at = %s, updated_at = %s,
        sign_in_count = sign_in_count + 1 WHERE id = ANY(%s)"""
    sessions = "UPDATE session_activations SET updated_at = %s WHERE user_id = ANY(%s)"
    now = moment(now_ms)
    updated = _execute(connection, sign_ins, (now, now, list(ids)))
    return updated + _execute(connection, sessions, (now, list(ids)))


def _delete(connection: Connection, table: str, ids: Sequence[int]) -> int:
    """Delete rows, and by foreign keys what hangs on them; return how many were named and there."""
    command = sql.SQL("DELETE FROM {} WHERE id = ANY(%s)").format(sql.Identifier(table))
    return _execute(connection, command, (list(ids),)) if ids else 0


def _execute(
    connection: Connection, command: str | sql.Composed, values: Sequence[object] | Mapping[str, object]
) -> int:
    return connection.execute(command, values).rowcount


def _advance_sequences(connection: Connection, posts: Sequence[Status]) -> None:
    """Move the sequences on as ids made by the server would have."""
    for table in ("conversations", "mentions", "polls", "preview_cards"):
        command = sql.SQL("SELECT setval({}, greatest(max(id), 1)) FROM {}")
        connection.execute(command.format(sql.Literal(f"{table}_id_seq"), sql.Identifier(table)))
    for name, count in (("statuses", len(posts)), ("media_attachments", sum(len(one.media_ids) for one in posts))):
        sequence = f"{name}_id_seq"
        connection.execute("SELECT setval(%s::regclass, nextval(%s::regclass) + %s)", (sequence, sequence, count))
