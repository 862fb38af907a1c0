"""Reads a TOML file into a model, or reports everything that is wrong with it at once.

Each problem has a line, if it is certain, and a key; an unknown key names the nearest known one. Values are
never quoted back, except paths and fingerprints: the file should hold no secret, but might.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from permafrost.config.key_lines import KeyLines, KeyPath, find_key_lines
from permafrost.config.known_keys import known_keys, nearest_keys
from permafrost.config.models import Configuration, passfile_of
from permafrost.config.problems import InvalidFileError, Problem
from permafrost.errors import ConfigurationError
from permafrost.small_files import NotAFileError, read_named

M = TypeVar("M", bound=BaseModel)

_MOST_BYTES = 1 << 20
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load_configuration(path: Path) -> Configuration:
    """Return the configuration in the file `path`.

    Raise `ConfigurationError` if it cannot be read, `InvalidFileError` with every problem if it is not valid or
    would have Syncthing carry a secret to the vaults.
    """
    configuration = load_toml(path, Configuration)
    if problems := locate(path, misplaced_secrets(configuration)):
        raise InvalidFileError(problems)
    return configuration


def load_toml(path: Path, model: type[M]) -> M:
    """Return the file `path` as a `model`.

    Raise `ConfigurationError` if it cannot be read, `InvalidFileError` with every problem if it is not valid.
    """
    return parse_toml(_read(path), model, path)


def locate(path: Path, messages: Iterable[tuple[str, str]]) -> tuple[Problem, ...]:
    """Return messages by key, about the valid file `path`, as problems with the lines of those keys."""
    lines = find_key_lines(_read(path))
    return tuple(Problem(path, text, lines.line_of(_key_path(key)), key) for key, text in messages)


def _key_path(dotted: str) -> KeyPath:
    """Return the path of a dotted key, in which numbers count the tables of an array."""
    return tuple(int(part) if part.isdecimal() else part for part in dotted.split("."))


def parse_toml(text: str, model: type[M], path: Path) -> M:
    """Return `text` as a `model`; `path` is what errors call it. Raise `InvalidFileError` if it is not valid."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidFileError((_syntax_problem(str(error), path),)) from error
    except RecursionError as error:
        raise InvalidFileError((Problem(path, "has arrays or tables that are nested too deeply"),)) from error
    return validated(document, model, path, find_key_lines(text))


def validated(document: Mapping[str, object], model: type[M], path: Path, lines: KeyLines) -> M:
    """Return `document` as a `model`; raise `InvalidFileError`, which says `path` and `lines`, if it is not one."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        # hide what pydantic would show of the values
        details = error.errors(include_url=False, include_input=False)
        raise InvalidFileError(tuple(_problems(details, lines, model, path))) from None


def misplaced_secrets(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Yield a key and a message for each secret in a folder that Syncthing carries to the vaults."""
    carried = {"repository.path": configuration.repository.path}
    if configuration.media is not None and configuration.media.path is not None:
        carried["media.path"] = configuration.media.path
    secret = {
        "database.url": passfile_of(configuration.database.url),
        "state.path": configuration.state.path,
        "encryption.passphrase_file": configuration.encryption.passphrase_file,
        "signing.gnupg_home": configuration.signing.gnupg_home,
        "syncthing.home": configuration.syncthing.home,
        "syncthing.api_key_file": configuration.syncthing.api_key_file,
        "media.credentials_file": configuration.media.credentials_file if configuration.media else None,
        **{f"notify.{number}.url_file": one.url_file for number, one in enumerate(configuration.notify)},
        **{
            f"buckets.{number}.{key}": getattr(bucket, key)
            for number, bucket in enumerate(configuration.buckets)
            for key in ("credentials_file", "read_credentials_file")
        },
    }
    for key, path in secret.items():
        for carried_key, folder in carried.items():
            # not Path.resolve, which breaks on a link that leads to itself
            if path is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
                yield key, f"is in {carried_key}, which Syncthing carries to the vaults"


def _read(path: Path) -> str:
    try:
        return read_named(path, _MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no file {path}",
            hint="permafrost init creates one; --config or $PERMAFROST_CONFIG names another file",
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidFileError((Problem(path, "is not UTF-8, as TOML must be", line),)) from error
    except NotAFileError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", hint="name a configuration file") from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}", hint="run permafrost as the user that owns its files"
        ) from error


def _syntax_problem(message: str, path: Path) -> Problem:
    """Return what tomllib said as a problem; before Python 3.14 the line is only in its message."""
    place = _SYNTAX_PLACE.search(message)
    if place is None:
        return Problem(path, _as_clause(message))
    clause = _as_clause(message[: place.start()])
    if place[1] is None:  # noticed at the end, but the fault may lie far above
        return Problem(path, f"{clause} by the end of the file: look for a string or an array that is not closed")
    return Problem(path, clause, int(place[1]))


def _problems(details: list[ErrorDetails], lines: KeyLines, model: type[BaseModel], path: Path) -> Iterator[Problem]:
    known = tuple(known_keys(model))
    nearest = {
        _dotted(detail["loc"]): nearest_keys(
            _dotted(tuple(part for part in detail["loc"] if isinstance(part, str))), known
        )
        for detail in details
        if detail["type"] == "extra_forbidden"
    }
    meant = {key for keys in nearest.values() for key in keys[:1]}
    for detail in details:
        dotted = _dotted(detail["loc"])
        line = lines.line_of(detail["loc"])
        if detail["type"] == "extra_forbidden":
            yield Problem(path, _unknown(detail["loc"], lines, nearest[dotted], known), line, dotted)
        elif detail["type"] == "missing":
            if dotted not in meant:  # else it is there, misspelt, and has its own line
                yield Problem(path, "is missing", line, dotted)
        else:
            yield Problem(path, _as_clause(detail["msg"]), line, dotted)


def _unknown(location: KeyPath, lines: KeyLines, nearest: tuple[str, ...], known: tuple[str, ...]) -> str:
    kind = "section" if location in lines.headers else "key"
    if not nearest:
        return f"there is no such {kind}"
    names = " or ".join(_named(key, known) for key in nearest)
    return f"there is no such {kind}; the nearest is {names}"


def _named(key: str, known: tuple[str, ...]) -> str:
    is_section = any(other.startswith(f"{key}.") for other in known)
    return f"[{key}]" if is_section else key


def _dotted(location: KeyPath) -> str:
    words = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(words).removeprefix(".")


def _as_clause(message: str) -> str:
    """Return a message of pydantic's or tomllib's in the form that errors have here."""
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:] if message[1:2].islower() or message[1:2] == " " else message
