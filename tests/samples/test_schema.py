from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from samples.schema_from_facts import NEWEST, OLDEST, Release, post_data, pre_data

FACTS = Path(__file__).parents[2].parent / "shared" / "facts" / "mastodon-schema.json"

Facts = dict[str, Any]
Catalog = dict[str, list[tuple[Any, ...]]]

COLUMNS = """
    SELECT relname, jsonb_agg(jsonb_build_object(
        'name', attname, 'type', format_type(atttypid, atttypmod), 'null', NOT attnotnull,
        'default', pg_get_expr(adbin, adrelid)))
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' GROUP BY relname"""
KEYS = """
    SELECT relname, jsonb_agg(attname ORDER BY place)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    CROSS JOIN LATERAL unnest(conkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = number
    WHERE contype = 'p' AND relnamespace = 'public'::regnamespace GROUP BY relname"""
INDEXES = """
    SELECT owner.relname, jsonb_agg(jsonb_build_object(
        'name', pg_class.relname, 'unique', indisunique, 'method', amname,
        'where', pg_get_expr(indpred, indrelid, true),
        'columns', (SELECT jsonb_agg(pg_get_indexdef(indexrelid, n, true) ORDER BY n)
                    FROM generate_series(1, indnkeyatts) AS n)) ORDER BY pg_class.relname COLLATE "C")
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_class AS owner ON owner.oid = indrelid
    JOIN pg_am ON pg_am.oid = pg_class.relam
    WHERE owner.relnamespace = 'public'::regnamespace AND NOT indisprimary GROUP BY owner.relname"""
FOREIGN_KEYS = """
    SELECT relname, jsonb_agg(jsonb_build_object('name', conname, 'ref', confrelid::regclass::text, 'on_delete',
        CASE confdeltype WHEN 'a' THEN 'no action' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' END,
        'columns', (SELECT jsonb_agg(attname) FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
        'ref_columns', (SELECT jsonb_agg(attname) FROM pg_attribute
                        WHERE attrelid = confrelid AND attnum = ANY (confkey))) ORDER BY conname COLLATE "C")
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE contype = 'f' AND relnamespace = 'public'::regnamespace GROUP BY relname"""
VIEWS = """
    SELECT relname, relkind = 'm', jsonb_agg(jsonb_build_object(
        'name', attname, 'type', format_type(atttypid, atttypmod)) ORDER BY attnum)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm') GROUP BY relname, relkind"""
SEQUENCES = """
    SELECT sequence.relname, owner.relname || '.' || attname
    FROM pg_class AS sequence
    LEFT JOIN pg_depend ON objid = sequence.oid AND deptype = 'a' AND refobjsubid > 0
    LEFT JOIN pg_class AS owner ON owner.oid = refobjid
    LEFT JOIN pg_attribute ON attrelid = owner.oid AND attnum = refobjsubid
    WHERE sequence.relkind = 'S' AND sequence.relnamespace = 'public'::regnamespace"""


@pytest.fixture(params=[OLDEST, NEWEST], ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    """Each release of which the list is known."""
    found: Release = request.param
    return found


@pytest.fixture
def facts(release: Release) -> Facts:
    """The list of the release's columns, keys and indexes."""
    if not FACTS.exists():
        pytest.skip("the list of Mastodon's columns, keys and indexes is not here")
    known: Facts = json.loads(FACTS.read_text())[release.name]
    return known


@pytest.fixture
def catalog(database: str, release: Release) -> Catalog:
    """What the catalog shows of the generated schema."""
    with psycopg.connect(database) as connection:
        connection.execute(release.pre_data.read_bytes())
        connection.execute(release.post_data.read_bytes())
        queries = {
            "columns": COLUMNS,
            "primary_key": KEYS,
            "indexes": INDEXES,
            "foreign_keys": FOREIGN_KEYS,
            "views": VIEWS,
            "sequences": SEQUENCES,
        }
        return {name: connection.execute(query.encode()).fetchall() for name, query in queries.items()}


def by_name(items: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the items in the order of their names."""
    return sorted(items, key=lambda one: str(one["name"]))


def test_the_schema_loads(catalog: Catalog, release: Release) -> None:
    """The generated files load into an empty database, with every table, key and view that the release has."""
    sizes = {name: len(rows) for name, rows in catalog.items()}
    foreign_keys = sum(len(keys) for _, keys in catalog["foreign_keys"])
    views = {name for name, *_ in catalog["views"]} - {"account_summaries", "instances", "user_ips"}
    if release == OLDEST:
        assert (sizes["columns"], sizes["primary_key"], foreign_keys) == (91, 88, 118)
        assert views == {"follow_recommendations"}
    else:
        assert (sizes["columns"], sizes["primary_key"], foreign_keys) == (115, 115, 154)
        assert views == {"global_follow_recommendations"}


def test_the_catalog_is_the_facts(catalog: Catalog, facts: Facts) -> None:
    """Columns, keys, indexes, views and sequences are exactly those that Mastodon's own schema makes."""
    relations = facts["tables"] | facts["views"]
    for part in ("columns", "indexes", "foreign_keys"):
        expected = {name: by_name(one[part]) for name, one in relations.items() if one.get(part)}
        found = {name: by_name(items) for name, items in catalog[part]}
        if part == "columns":
            found |= {name: by_name(items) for name, _, items in catalog["views"]}
        assert found == expected
    assert dict(catalog["primary_key"]) == {
        name: one["primary_key"] for name, one in facts["tables"].items() if one["primary_key"]
    }
    assert {name: kind for name, kind, _ in catalog["views"]} == {
        name: view["materialized"] for name, view in facts["views"].items()
    }
    assert dict(catalog["sequences"]) == {one["name"]: one["owned_by"] for one in facts["sequences"]}


def test_the_files_are_what_the_script_writes(facts: Facts, release: Release) -> None:
    """The committed files are what the script writes today."""
    assert release.pre_data.read_text() == pre_data(release, facts)
    assert release.post_data.read_text() == post_data(release, facts)
