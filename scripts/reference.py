"""Writes docs/reference from the program itself: the command tree, the configuration's models, the error tree,
the documents.

Run by `make reference`; tests/documents/test_reference.py fails when a file is not what this writes.
"""

from __future__ import annotations

import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from permafrost.config.models import (
    Configuration,
    Database,
    Encryption,
    Media,
    Secrets,
    Server,
    Signing,
)
from permafrost.config.section import Section
from permafrost.config.values import AbsolutePath, Count, CronExpression, DeviceId, Fingerprint, Flag, SecretFile
from permafrost.config.writing import commented_toml
from permafrost.errors import ERROR_CLASSES, EXIT_DONE, EXIT_FINDINGS, InterruptedRunError
from permafrost.findings import FindingKind
from permafrost.vault.fetching_settings import Fetching, MediaSource
from permafrost.vault.settings import SETTINGS_FILE, History, VaultServer, VaultSettings, VaultSyncthing
from scripts.command_tree import Command, paragraphs, root
from scripts.json_reference import json_reference

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
_WIDTH = 120
_MADE = "Generated from the program by `make reference`; change the program, not this file."
_TYPES: tuple[tuple[object, str], ...] = (
    (AbsolutePath, "absolute path"),
    (SecretFile, "absolute path, or `credential:NAME`"),
    (DeviceId, "device id"),
    (Fingerprint, "fingerprint"),
    (CronExpression, 'cron expression or "off"'),
    (Count, "whole number, from 0"),
    (Flag, "true or false"),
    (bool, "true or false"),
    (str, "text"),
)


def documents() -> dict[str, str]:
    """Return the generated documents by file name."""
    return {
        "commands.md": _commands(),
        "configuration.md": _configuration(),
        "exit-codes.md": _exit_codes(),
        "findings.md": _findings(),
        "json.md": json_reference(_MADE),
    }


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()), _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _text(*parts: str) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


# --- commands ---


def _commands() -> str:
    introduction = _wrapped(
        "Every command takes `-h` and `--help`. Commands with `--json` print one JSON document on stdout, described in "
        "[json.md](json.md); exit codes are in [exit-codes.md](exit-codes.md), the configuration in "
        "[configuration.md](configuration.md)."
    )
    sections = (part for command in root().tree() for part in _command(command))
    return _text("# Commands", _MADE, introduction, *sections)


def _command(command: Command) -> Iterator[str]:
    yield f"## {command.path}"
    yield f"```text\n{command.usage}\n```"
    yield from _help(command.command.help or "")
    yield "\n".join(_wrapped(f"- `{name}`: {meaning}", "  ") for name, meaning in command.options())
    yield from _help(command.command.epilog or "")


def _help(text: str) -> Iterator[str]:
    for paragraph in paragraphs(text):
        yield f"```sh\n{paragraph.text}\n```" if paragraph.is_code else _wrapped(paragraph.text)


# --- configuration ---


def _configuration() -> str:
    introduction = (
        "The server's configuration is one TOML file: `--config FILE`, else `$PERMAFROST_CONFIG`, else "
        "`/etc/permafrost/permafrost.toml`. `permafrost init` makes it, `permafrost config check` checks it and every "
        "file that it names, `permafrost config show` shows what is in force. An unknown key is an error that names "
        "the nearest known one. The file holds no secret: secrets are files of their own, and their modes are checked."
    )
    example = (
        "## The whole file\n\nAs `init` writes it for a Mastodon in `/home/mastodon/live`, "
        f"with all defaults:\n\n```toml\n{example_configuration()}```"
    )
    vault = _wrapped(
        f"A vault has its own file, `{SETTINGS_FILE}` in its folder, made by `permafrost vault join`. Change it while "
        "`permafrost vault run` is stopped."
    )
    return _text(
        "# Configuration",
        _MADE,
        _wrapped(introduction),
        *_model_sections(Configuration),
        example,
        f"# A vault's {SETTINGS_FILE}",
        vault,
        _keys(VaultSettings, leave_out=("history", "fetching", "media_sources", "syncthing", "notify", "servers")),
        *_section("[history]", History),
        *_section("[fetching]", Fetching),
        *_section("[[media_sources]]", MediaSource),
        *_section("[syncthing]", VaultSyncthing),
        "## [[notify]]",
        "As on a server, except that a monitor is pinged for `findings` alone.",
        *_section("[[servers]]", VaultServer),
    )


def _model_sections(model: type[BaseModel]) -> Iterator[str]:
    for name, annotation in typing.get_type_hints(model).items():
        field = model.model_fields.get(name)
        section = next((one for one in (annotation, *typing.get_args(annotation)) if _is_section(one)), None)
        if field is None or section is None:
            continue
        is_list = typing.get_origin(annotation) is tuple
        yield from _section(f"[[{name}]]" if is_list else f"[{name}]", section)
        if field.description:
            yield field.description
        default = field.default
        if isinstance(default, Section) and default != _bare(section):
            values = ", ".join(f"`{key} = {_value(value)}`" for key, value in default.model_dump(mode="json").items())
            yield _wrapped(f"If the whole section is left out, it is {values}.")


def _section(title: str, model: type[Section]) -> Iterator[str]:
    yield f"## {title}"
    yield _wrapped(model.__doc__ or "")
    yield _keys(model)


def _is_section(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, Section)


def _bare(section: type[Section]) -> Section | None:
    is_required = any(field.is_required() for field in section.model_fields.values())
    return None if is_required else section()


def _keys(model: type[Section], leave_out: tuple[str, ...] = ()) -> str:
    hints = typing.get_type_hints(model, include_extras=True)
    lines = []
    for name, field in model.model_fields.items():
        if name in leave_out:
            continue
        kind = _kind(hints[name], model.model_json_schema()["properties"][name])
        if field.is_required():
            default = "required"
        elif field.default is None or field.default is PydanticUndefined:
            default = "not set"
        else:
            default = f"default `{_value(field.default)}`"
        lines.append(_wrapped(f"- `{name}` ({kind}; {default}): {field.description or ''}", "  "))
    return "\n".join(lines)


def _kind(annotation: object, schema: dict[str, Any]) -> str:
    for known, text in _TYPES:
        if annotation == known:
            return text
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return f"list of {_kind(arguments[0], {})}s"
    if origin in (Union, types.UnionType):
        inner = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema)
        return _kind(next(one for one in arguments if one is not type(None)), inner)
    if origin is Literal:
        return " or ".join(f'`"{one}"`' for one in arguments)
    if origin is Annotated:
        is_number = arguments[0] is int
        return f"whole number, {schema['minimum']} to {schema['maximum']}" if is_number else _kind(arguments[0], schema)
    if _is_section(annotation) or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "table"
    raise TypeError(f"no words for the type {annotation!r}")


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case tuple() | list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return f'"{value}"'


def example_configuration() -> str:
    """Return a configuration with all defaults, as `init` writes it for a Mastodon in the usual place."""
    live = Path("/home/mastodon/live")
    example = Configuration(
        server=Server(name="social.example"),
        database=Database(url="postgresql://mastodon@/mastodon_production?host=/var/run/postgresql"),
        encryption=Encryption(passphrase_file=Path("/etc/permafrost/passphrase")),
        signing=Signing(fingerprint="0123456789ABCDEF0123456789ABCDEF01234567"),
        secrets=Secrets(files=(live / ".env.production",)),
        media=Media(path=live / "public/system"),
    )
    return commented_toml(example, heading=(), notes={}).lstrip("\n")


# --- exit codes ---


def _exit_codes() -> str:
    rows = [(str(EXIT_DONE), "", "done"), (str(EXIT_FINDINGS), "", "done, with findings that need attention")]
    for error in sorted(ERROR_CLASSES, key=lambda one: one.exit_code if one is not InterruptedRunError else 128):
        code = "128 + signal" if error is InterruptedRunError else str(error.exit_code)
        rows.append((code, f"`{error.code}`", error.meaning))
    rows.sort(key=lambda row: (not row[0].isdigit(), int(row[0]) if row[0].isdigit() else 0))
    table = ["| exit code | `error.code` with --json | meaning |", "|---|---|---|"]
    table += [f"| {code} | {name} | {meaning} |" for code, name, meaning in rows]
    words = _wrapped(
        "They are stable: a script may rely on them. Errors are printed on stderr as `permafrost: error: ...`, then "
        "`permafrost: unchanged: ...` (what was left as it was) and `permafrost: hint: ...` (what to do); with "
        "`--json` it is a document on stdout, see [json.md](json.md)."
    )
    return _text("# Exit codes", _MADE, words, "\n".join(table))


# --- findings ---


def _findings() -> str:
    words = _wrapped(
        "What needs attention, as `permafrost status`, `permafrost verify` and `permafrost vault history` report it. "
        "The kinds are stable: a script may rely on them. A kind that a vault has reported about itself has `vault-` "
        "in front when its server shows it. An **alarm** says that a backup cannot be relied on, or that somebody "
        "interferes: look at it now. A **warning** can wait for days, a **notice** for ever."
    )
    table = ["| kind | severity | what it means | what to do |", "|---|---|---|---|"]
    table += [f"| `{kind.code}` | {kind.severity.word} | {kind.meaning} | {kind.remedy} |" for kind in FindingKind]
    return _text("# Findings", _MADE, words, "\n".join(table))


def main() -> None:
    """Write the documents."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
