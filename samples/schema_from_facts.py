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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIGRATIONS = ("20191001213028", "20221206114142", "20231023105620", "20240307180905", "20260611150940")


@dataclass(frozen=True, slots=True)
class Release:
    """A release of which all columns are known; `name` is that of the list, `minor` that of the files."""

    name: str
    minor: str
    newest_migration: str

    @property
    def pre_data(self) -> Path:
        """The file that makes function, sequences and tables."""
        return Path(__file__).with_name(f"mastodon-{self.minor}.pre-data.sql")

    @property
    def post_data(self) -> Path:
        """The file that makes keys, indexes and views."""
        return Path(__file__).with_name(f"mastodon-{self.minor}.post-data.sql")


OLDEST = Release("4.1", "4.1", "20221206114142")
NEWEST = Release("4.6.0", "4.6", "20260611150940")

_HEADER = """\
-- The schema of Mastodon {minor}: {what}.
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

_RECOMMENDATIONS = """\
SELECT account_id, followers_count::numeric AS rank, ARRAY['most_followed'] AS reason
FROM account_stats
WHERE followers_count > 2"""

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
    "global_follow_recommendations": _RECOMMENDATIONS,
    "follow_recommendations": _RECOMMENDATIONS,
}


def pre_data(release: Release, facts: dict[str, Any]) -> str:
    """Return the SQL that makes function, sequences and tables, and the rows that Rails keeps about the schema."""
    return "\n".join(
        (
            _HEADER.format(minor=release.minor, what="function, sequences and tables"),
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
            ",\n".join(f"    ('{one}')" for one in MIGRATIONS if one <= release.newest_migration) + ";",
            "INSERT INTO ar_internal_metadata (key, value, created_at, updated_at)",
            "VALUES ('environment', 'production', '2024-11-02 10:00:00', '2024-11-02 10:00:00');",
            "",
        )
    )


def post_data(release: Release, facts: dict[str, Any]) -> str:
    """Return the SQL that makes primary keys, indexes, foreign keys and views; materialized ones without data."""
    tables = facts["tables"].items()
    return "\n".join(
        (
            _HEADER.format(minor=release.minor, what="keys, indexes and views"),
            *(
                f"ALTER TABLE {name} ADD CONSTRAINT {name}_pkey PRIMARY KEY ({', '.join(table['primary_key'])});"
                for name, table in tables
                if table["primary_key"]
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
    """Write the files of each release from the facts."""
    known = json.loads(facts_file.read_text())
    for release in (OLDEST, NEWEST):
        release.pre_data.write_text(pre_data(release, known[release.name]))
        release.post_data.write_text(post_data(release, known[release.name]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
