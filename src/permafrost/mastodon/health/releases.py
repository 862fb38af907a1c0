"""Which Mastodon release a database belongs to.

A schema version is the number of the newest migration that was run; of two releases it is known from their
db/schema.rb. Between these, the number of tables identifies the minor release: each so far has a different one.
"""

from __future__ import annotations

_VERSIONS = (
    ("20221206114142", "4.1"),
    ("20260611150940", "4.6.0"),
)
_TABLES = {91: "4.1", 94: "4.2", 98: "4.3", 108: "4.4", 109: "4.5", 115: "4.6", 118: "4.7"}


def release_of(schema_version: str, tables: int) -> str:
    """Return in words which release has this schema, as far as known; `tables` counts those of the schema `public`."""
    same = [name for version, name in _VERSIONS if version == schema_version]
    if same:
        return f"Mastodon {same[0]}"
    older = [name for version, name in _VERSIONS if version < schema_version]
    newer = [name for version, name in _VERSIONS if version > schema_version]
    by_tables = f"; its {tables} tables are those of {_TABLES[tables]}" if tables in _TABLES else ""
    if not older:
        return f"older than Mastodon {newer[0]}"
    if not newer:
        return f"newer than Mastodon {older[-1]}{by_tables}"
    return f"between Mastodon {older[-1]} and {newer[0]}{by_tables}"
