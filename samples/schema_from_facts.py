"""Writes the SQL of Mastodon's schema from a list of its columns, keys and indexes.

    python -m samples.schema_from_facts mastodon-schema.json

The list tells what the catalog shows, not how the function and the views are written: those are our own, with
the same names, columns and indexes. `pre-data` makes the tables, `post-data` the keys, indexes and views, which
are quicker to make when the rows are there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = "4.6.0"
PRE_DATA = Path(__file__).with_name("mastodon-4.6.pre-data.sql")
POST_DATA = Path(__file__).with_name("mastodon-4.6.post-data.sql")
MIGRATIONS = ("20191001213028", "20221206114142", "20231023105620", "20240307180905", "20260611150940")

_HEADER = """\
-- The schema of Mastodon 4.6: {what}.
-- Generated, do not edit: python -m samples.schema_from_facts mastodon-schema.json
-- The function and the views have Mastodon's names and columns, but bodies of our own.
"""

# Milliseconds since 1970, shifted left by 16 bits, and 16 bits that differ for ids of one millisecond. The salt is
# random in each installation and is kept nowhere but in this body.
_TIMESTAMP_ID = """\
CREATE FUNCTION timestamp_id(table_name text) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    salt constant text := '5a3cb1e0d8f94a7796c2e07f41d8b63a';
    milliseconds constant bigint := floor(extract(epoch FROM now()) * 1000);
    start constant bigint := ('x' || left(md5(table_name || salt || milliseconds), 4))::bit(16)::integer;
BEGIN
    RETURN (milliseconds << 16) | ((start + nextval(table_name || '_id_seq')) & 65535);
END
$body$;
"""

_VIEWS = {
    "user_ips": """\
SELECT id AS user_id, sign_up_ip AS ip, created_at AS used_at FROM users WHERE sign_up_ip IS NOT NULL
UNION ALL
SELECT user_id, ip, updated_at FROM session_activations
UNION ALL
SELECT user_id, ip, created_at FROM login_activities WHERE success""",
    "instances": """\
SELECT domain, count(*) AS accounts_count FROM accounts WHERE domain IS NOT NULL GROUP BY domain""",
    "account_summaries": """\
SELECT accounts.id AS account_id, latest.language, latest.sensitive
FROM accounts
CROSS JOIN LATERAL (
    SELECT language, sensitive FROM statuses
    WHERE statuses.account_id = accounts.id AND deleted_at IS NULL AND reblog_of_id IS NULL
    ORDER BY statuses.id DESC LIMIT 1
) AS latest
WHERE discoverable AND suspended_at IS NULL AND silenced_at IS NULL AND moved_to_account_id IS NULL""",
    "global_follow_recommendations": """\
SELECT account_id, followers_count::numeric AS rank, ARRAY['most_followed'] AS reason
FROM account_stats
WHERE followers_count > 2""",
}


def pre_data(facts: dict[str, Any]) -> str:
    """Return the SQL that makes function, sequences and tables, and the rows that Rails keeps about the schema."""
    return "\n".join(
        (
            _HEADER.format(what="function, sequences and tables"),
            _TIMESTAMP_ID,
            *(f"CREATE SEQUENCE {one['name']};" for one in facts["sequences"]),
            "",
            *(_table(name, table) for name, table in facts["tables"].items()),
            *(
                f"ALTER SEQUENCE {one['name']} OWNED BY {one['owned_by']};"
                for one in facts["sequences"]
                if one["owned_by"]
            ),
            "",
            "INSERT INTO schema_migrations (version) VALUES",
            ",\n".join(f"    ('{one}')" for one in MIGRATIONS) + ";",
            "INSERT INTO ar_internal_metadata (key, value, created_at, updated_at)",
            "VALUES ('environment', 'production', '2024-11-02 10:00:00', '2024-11-02 10:00:00');",
            "",
        )
    )


def post_data(facts: dict[str, Any]) -> str:
    """Return the SQL that makes primary keys, indexes, foreign keys and views; materialized ones without data."""
    tables = facts["tables"].items()
    return "\n".join(
        (
            _HEADER.format(what="keys, indexes and views"),
            *(
                f"ALTER TABLE {name} ADD CONSTRAINT {name}_pkey PRIMARY KEY ({', '.join(table['primary_key'])});"
                for name, table in tables
            ),
            "",
            *(_index(name, index) for name, table in tables for index in table["indexes"]),
            "",
            *(_foreign_key(name, key) for name, table in tables for key in table["foreign_keys"]),
            "",
            *(line for name, view in facts["views"].items() for line in _view(name, view)),
            "",
        )
    )


def _table(name: str, table: dict[str, Any]) -> str:
    columns = ",\n".join(f"    {_column(one)}" for one in table["columns"])
    return f"CREATE TABLE {name} (\n{columns}\n);\n"


def _column(column: dict[str, Any]) -> str:
    words = [f'"{column["name"]}"', column["type"]]
    if column["default"] is not None:
        words.append(f"DEFAULT {column['default']}")
    if not column["null"]:
        words.append("NOT NULL")
    return " ".join(words)


def _index(table: str, index: dict[str, Any]) -> str:
    unique = "UNIQUE " if index["unique"] else ""
    where = f" WHERE {index['where']}" if index["where"] else ""
    terms = ", ".join(one if one.isidentifier() else f"({one})" for one in index["columns"])
    return f"CREATE {unique}INDEX {index['name']} ON {table} USING {index['method']} ({terms}){where};"


def _foreign_key(table: str, key: dict[str, Any]) -> str:
    action = "" if key["on_delete"] == "no action" else f" ON DELETE {key['on_delete'].upper()}"
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {key['name']} FOREIGN KEY ({', '.join(key['columns'])}) "
        f"REFERENCES {key['ref']} ({', '.join(key['ref_columns'])}){action};"
    )


def _view(name: str, view: dict[str, Any]) -> Iterator[str]:
    if view["materialized"]:
        yield f"CREATE MATERIALIZED VIEW {name} AS\n{_VIEWS[name]}\nWITH NO DATA;"
    else:
        yield f"CREATE VIEW {name} AS\n{_VIEWS[name]};"
    for index in view["indexes"]:
        yield _index(name, index)


def main(facts_file: Path) -> None:
    """Write both files from the facts."""
    facts = json.loads(facts_file.read_text())[VERSION]
    PRE_DATA.write_text(pre_data(facts))
    POST_DATA.write_text(post_data(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
