"""Rows that Mastodon takes for one, where no unique index keeps them apart, and indexes that are not valid.

An index on text that was sorted by another C library lets duplicates in and does not find them again (Mastodon's
documentation, "Database index corruption"). Every index that exists is held against its table as any database's is
(`postgres.integrity`); what is looked at here are natural keys whose index was never made again, as after a restore
that failed half way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.mastodon.columns import SCHEMA, columns_of
from permafrost.mastodon.health.report import MOST_IDS, Check
from permafrost.postgres.integrity.rules import OWN_SCHEMAS
from permafrost.postgres.integrity.unique_indexes import UniqueIndex


@dataclass(frozen=True, slots=True)
class _Key:
    """What is unique in Mastodon: a table, expressions over `columns`, and for which rows."""

    table: str
    columns: tuple[str, ...]
    expressions: tuple[str, ...] = ()
    where: str = ""

    @property
    def code(self) -> str:
        return f"duplicates-{self.table}-{'-'.join(self.columns)}".replace("_", "-")


# from Mastodon 4.1 to 4.6: the unique indexes on text, which collations can break
_KEYS = (
    _Key("accounts", ("username", "domain"), ("lower(username)", "coalesce(lower(domain), '')")),
    _Key("tags", ("name",), ("lower(name)",)),
    _Key("statuses", ("uri",), where="uri IS NOT NULL"),
    _Key("conversations", ("uri",), where="uri IS NOT NULL"),
    _Key("users", ("email",)),
    _Key("users", ("confirmation_token",), where="confirmation_token IS NOT NULL"),
    _Key("users", ("reset_password_token",), where="reset_password_token IS NOT NULL"),
    _Key("account_domain_blocks", ("account_id", "domain")),
    _Key("canonical_email_blocks", ("canonical_email_hash",)),
    _Key("custom_emojis", ("shortcode", "domain")),
    _Key("custom_emoji_categories", ("name",)),
    _Key("domain_allows", ("domain",)),
    _Key("domain_blocks", ("domain",)),
    _Key("email_domain_blocks", ("domain",)),
    _Key("identities", ("uid", "provider")),
    _Key("invites", ("code",)),
    _Key("keypairs", ("uri",)),
    _Key("markers", ("user_id", "timeline")),
    _Key("media_attachments", ("shortcode",), where="shortcode IS NOT NULL"),
    _Key("oauth_access_tokens", ("token",)),
    _Key("oauth_applications", ("uid",)),
    _Key("preview_card_providers", ("domain",)),
    _Key("preview_cards", ("url",)),
    _Key("session_activations", ("session_id",)),
    _Key("settings", ("var",), where="thing_type IS NULL"),
    _Key("site_uploads", ("var",)),
    _Key("unavailable_domains", ("domain",)),
    _Key("webauthn_credentials", ("external_id",)),
)


def check_duplicates(connection: psycopg.Connection, indexes: Sequence[UniqueIndex]) -> Iterator[Check]:
    """Yield a check for every natural key that none of the unique `indexes` is about; within `reading`."""
    passed = []
    for key in _KEYS:
        existing = columns_of(connection, key.table)
        if not {"id", *key.columns} <= existing or _is_indexed(key, indexes):
            continue
        check = _check(connection, key, has_thing_type="thing_type" in existing)
        if check.outcome == "passed":
            passed.append(key)
        else:
            yield check
    if passed:
        names = ", ".join(map(_name, passed))
        yield Check("duplicates", "passed", f"{len(passed)} natural keys without an index are unique: {names}")


def _is_indexed(key: _Key, indexes: Sequence[UniqueIndex]) -> bool:
    return any(
        (index.table.schema, index.table.name) == (SCHEMA, key.table) and index.columns == frozenset(key.columns)
        for index in indexes
    )


def _name(key: _Key) -> str:
    return f"{key.table} by {', '.join(key.columns)}"


def _check(connection: psycopg.Connection, key: _Key, *, has_thing_type: bool) -> Check:
    where = key.where if has_thing_type or "thing_type" not in key.where else ""
    if not key.expressions and not where:  # NULL differs from NULL in a unique index
        where = " AND ".join(f"{column} IS NOT NULL" for column in key.columns)
    # every part is one of ours, above
    grouped = sql.SQL("SELECT array_agg(id ORDER BY id) AS ids FROM {} {} GROUP BY {} HAVING count(*) > 1").format(
        sql.Identifier(SCHEMA, key.table),
        sql.SQL(f"WHERE {where}" if where else ""),
        sql.SQL(", ".join(key.expressions or key.columns)),
    )
    query = sql.SQL("SELECT ids[1:{}]::text[], count(*) OVER () FROM ({}) AS g ORDER BY ids[1] LIMIT {}")
    rows = connection.execute(query.format(MOST_IDS, grouped, MOST_IDS)).fetchall()
    if not rows:
        return Check(key.code, "passed", f"{_name(key)}: unique")
    return Check(
        key.code,
        "finding",
        f"{_name(key)}: {rows[0][1]} values appear in more than one row; an index hid them, or is missing. Stop "
        "Mastodon, back up, merge them (tootctl maintenance fix-duplicates knows older releases), then REINDEX",
        tuple("=".join(ids) for ids, _ in rows),
        int(rows[0][1]),
    )


def check_indexes(connection: psycopg.Connection) -> Check:
    """Return which indexes are not valid, and so used by no query and kept by no restore; within `reading`."""
    rows = connection.execute(
        f"""SELECT c.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE {OWN_SCHEMAS} AND NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' ORDER BY 1"""  # noqa: S608
    ).fetchall()
    if not rows:
        return Check("indexes-valid", "passed", "every index is valid")
    names = tuple(row[0] for row in rows)
    message = f"{len(names)} indexes are not valid and are not used: {', '.join(names[:5])}. REINDEX INDEX repairs each"
    return Check("indexes-valid", "finding", message, names[:MOST_IDS], len(names))
