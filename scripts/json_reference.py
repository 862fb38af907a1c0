"""Writes docs/reference/json.md from the schemas of what commands print with --json."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from permafrost.operations.schema import COMMANDS, ERROR, EVENT, schema

_WIDTH = 120
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
_OWN = {
    "config show": "The configuration in force, with the sections of [configuration.md](configuration.md) as keys.",
}
_INTRODUCTION = """
With `--json` a command prints one JSON document on stdout, and events as JSON lines on stderr. Keys are only ever
added. Sizes are in bytes, durations in seconds, times in RFC 3339. `permafrost schema NAME` prints the JSON Schema of
each document, `permafrost schema` the names; `tests/documents/test_json.py` validates what the commands print.

`key[].part` is a key of the objects in a list, `key.part` one of the object at `key`, which are absent where it is
null. `permafrost config schema` and `permafrost schema` print schemas.
"""


def json_reference(made: str) -> str:
    """Return the document; `made` says that it is generated."""
    parts = ["# What --json prints", made, *map(_wrapped, _INTRODUCTION.strip().split("\n\n"))]
    parts += ["## An error", *_document(schema(ERROR))]
    parts += ["## Events on stderr", "One JSON object a line; `event` says which.", *_events()]
    for name in COMMANDS:
        parts.append(f"## permafrost {name}")
        parts += [_wrapped(_OWN[name])] if name in _OWN else _document(schema(name))
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _document(whole: dict[str, Any]) -> Iterator[str]:
    """Yield the descriptions and tables of a document, or of each of its alternatives."""
    for part in whole.get("anyOf", [whole]):
        yield from map(_wrapped, part["description"].split("\n\n"))
        yield _table(part, whole.get("$defs", {}))


def _events() -> Iterator[str]:
    for event in schema(EVENT)["anyOf"]:
        yield _wrapped(f"{event['properties']['event']['description']}: {event['description']}")
        yield _table({**event, "properties": {k: v for k, v in event["properties"].items() if k != "event"}}, {})


def _table(part: dict[str, Any], definitions: dict[str, Any]) -> str:
    rows = [f"| `{key}` | {kind} | {meaning} |" for key, kind, meaning in _rows(part, definitions, "")]
    return "\n".join(["| key | type | value |", "|---|---|---|", *rows])


def _rows(part: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for key, described in part["properties"].items():
        kind, inner, path = _kind(described, definitions)
        yield f"{prefix}{key}", kind, described["description"]
        if inner is not None:
            yield from _rows(inner, definitions, f"{prefix}{key}{path}.")


def _kind(described: dict[str, Any], definitions: dict[str, Any]) -> tuple[str, dict[str, Any] | None, str]:
    """Return a value's type in words, the object that it is or is a list of, and how that is reached from the key."""
    if "anyOf" in described:
        kinds = [_kind(one, definitions) for one in described["anyOf"]]
        return " or ".join(kind for kind, _, _ in kinds), kinds[0][1], kinds[0][2]
    if "$ref" in described:
        return "object", definitions[described["$ref"].rpartition("/")[2]], ""
    if described["type"] == "array":
        kind, inner, _ = _kind(described["items"], definitions)
        return f"list of {'objects' if kind == 'object' else kind}", inner, "[]"
    if described["type"] == "object":
        kind, _, _ = _kind(described["additionalProperties"], definitions)
        return f"object of {kind}s by name", None, ""
    if described.get("format") == "date-time":
        return "time", None, ""
    return _TYPES[described["type"]], None, ""
