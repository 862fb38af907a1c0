r"""Reads the files in which Mastodon keeps its environment, like the Ruby gem dotenv.

python-dotenv was tried and reads other values than Mastodon does, which for a password matters: it keeps a `#`
inside of an unquoted value, leaves `$NAME` alone and expands `${NAME}` between single quotes. The gem's rules
(its README, and the cases of its parser's tests):

1. A line is `NAME=value`, `NAME: value`, either after `export`; anything else is passed over.
2. An unquoted value ends at the line's end or at the first `#`, and is stripped.
3. A quoted value may hold `#` and line ends, and ends at the next quote without a backslash before it.
4. Between single quotes nothing is changed. Elsewhere a backslash stands for the next character, except that
   `\n` and `\r` between double quotes stay as they are (the gem since 3.0), and `$NAME` and `${NAME}` become that
   variable's value, or nothing; `\$` is a dollar sign.
5. `$(command)` would be run by the gem. It is never run here, and stays as it is written.
6. Of several files the first that sets a name wins; within one file the last line does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[\w.]+)(?:[ \t]*=|:(?=[ \t]))[ \t]*")
_QUOTED = re.compile(
    r"""(?P<quote>['"])(?P<inside>(?:\\(?P=quote)|(?!(?P=quote)).)*)(?P=quote)[ \t]*(?:\#[^\n]*)?(?=\n|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_REFERENCE = re.compile(r"\\\$|\$(?:\{(?P<braced>\w+)\}|(?P<bare>\w+))", re.ASCII)
_ESCAPE = re.compile(r"\\([^$])", re.DOTALL)
_ESCAPE_IN_DOUBLE_QUOTES = re.compile(r"\\([^$nr])", re.DOTALL)


def parse_dotenv(text: str, earlier: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that `text` sets; `earlier` holds those of the files before it, which win."""
    before = earlier or {}
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, str] = {}
    position = 0
    while position < len(text):
        assignment = _ASSIGNMENT.match(text, position)
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        if assignment:
            quoted = _QUOTED.match(text, assignment.end())
            if quoted:
                value = _quoted_value(quoted["quote"], quoted["inside"], values | dict(before))
                end = quoted.end()
            else:
                raw = text[assignment.end() : end].partition("#")[0].strip()
                value = _unquoted_value(raw, values | dict(before))
            values[assignment["name"]] = value
        position = end + 1
    return values


def _quoted_value(quote: str, inside: str, known: Mapping[str, str]) -> str:
    if quote == "'":
        return inside
    return _expanded(_ESCAPE_IN_DOUBLE_QUOTES.sub(r"\1", inside), known)


def _unquoted_value(raw: str, known: Mapping[str, str]) -> str:
    return _expanded(_ESCAPE.sub(r"\1", raw), known)


def _expanded(value: str, known: Mapping[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match["braced"] or match["bare"]
        return known.get(name, "") if name else "$"

    return _REFERENCE.sub(replacement, value)
