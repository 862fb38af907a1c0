"""Writes a configuration as TOML, with or without an explanation of each key, and its JSON schema."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tomli_w
from pydantic import BaseModel

from permafrost.config.models import Configuration
from permafrost.config.section import Section

_WIDTH = 100


def effective_toml(configuration: BaseModel) -> str:
    """Return the configuration with all defaults as TOML that loads as an equal configuration."""
    return tomli_w.dumps(configuration.model_dump(mode="json", exclude_none=True))


def configuration_schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration file, for editors (draft 2020-12, as pydantic makes it)."""
    schema = Configuration.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "permafrost.toml"}


def commented_toml(configuration: Section, *, heading: Iterable[str], notes: Mapping[str, Iterable[str]]) -> str:
    """Return the configuration as TOML for people: every section and key with its meaning in comments.

    `heading` stands at the top; `notes`, by section, say where that section's values come from. Sections and
    keys that are not set are left out, but a section that has notes keeps them.
    """
    lines = [*_comments(heading)]
    for name, description in type(configuration).model_fields.items():
        section = getattr(configuration, name)
        lines.append("")
        if isinstance(section, Section):
            lines += _comments([type(section).__doc__ or "", *notes.get(name, ())])
            lines.append(f"[{name}]")
            lines += _keys(section)
        elif notes.get(name):
            lines += _comments([f"No [{name}] section:", *notes[name]])
        else:
            lines += _comments([f"No [{name}] section. {description.description or ''}".strip()])
    return "\n".join(lines) + "\n"


def _keys(section: Section) -> Iterator[str]:
    values = section.model_dump(mode="json", exclude_none=True)
    for name, description in type(section).model_fields.items():
        if name in values:
            yield from _comments([description.description or ""])
            unset = "# " if values[name] == [] and description.default == () else ""
            yield f"{unset}{name} = {_value(values[name])}"


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def _comments(paragraphs: Iterable[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        if paragraph:
            yield from textwrap.wrap(
                paragraph,
                _WIDTH,
                initial_indent="# ",
                subsequent_indent="# ",
                break_long_words=False,
                break_on_hyphens=False,
            )
