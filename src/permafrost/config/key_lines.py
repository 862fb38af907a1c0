"""Finds the line of each key in a TOML document, which tomllib does not report.

The document has passed tomllib, so it is valid TOML 1.0: only the ends of names, strings, arrays and comments
have to be found here. tomllib itself reads the names, quoted ones too.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_COMMENT = re.compile(r"#[^\n]*")


@dataclass
class KeyLines:
    """Line numbers, from 1, by key path: of `key =` lines, and of `[section]` headers.

    An array of tables counts its tables in the path, as in ("vaults", 0, "name").
    """

    keys: dict[KeyPath, int] = field(default_factory=dict)
    headers: dict[KeyPath, int] = field(default_factory=dict)

    def line_of(self, path: KeyPath) -> int | None:
        """Return the line of the key at `path`, else of the key or section around it; None if there is none."""
        for length in range(len(path), 0, -1):
            part = path[:length]
            line = self.keys.get(part) or self.headers.get(part)
            if line is not None:
                return line
        return None


def find_key_lines(text: str) -> KeyLines:
    """Return where the keys of `text` stand; `text` is valid TOML with line feeds, or CR LF, as line ends."""
    found = KeyLines()
    section: KeyPath = ()
    table_counts: dict[KeyPath, int] = {}
    position = _skip_blank(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        if text[position] == "[":
            is_array = text.startswith("[[", position)
            start = position + (2 if is_array else 1)
            end = _end_of(text, start, "]")
            names = _names(text[start:end])
            section = _current_table(names, table_counts)
            if is_array:
                count = table_counts.get(section, 0)
                table_counts[section] = count + 1
                section = (*section, count)
            found.headers[section] = line
            position = end + (2 if is_array else 1)
        else:
            end = _end_of(text, position, "=")
            found.keys[(*section, *_names(text[position:end]))] = line
            position = _end_of(text, end + 1, "\n")
        position = _skip_blank(text, position)
    return found


def _skip_blank(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _end_of(text: str, position: int, end: str) -> int:
    """Return where `end` stands next, outside of strings, comments, arrays and inline tables."""
    depth = 0
    while position < len(text):
        letter = text[position]
        if letter == end and depth == 0:
            return position
        if letter in "\"'":
            match = _STRING.match(text, position)
            position = match.end() if match else position + 1
            continue
        if letter == "#":
            match = _COMMENT.match(text, position)
            position = match.end() if match else position + 1
            continue
        depth += (letter in "[{") - (letter in "]}")
        position += 1
    return position


def _names(dotted: str) -> tuple[str, ...]:
    """Return the parts of a dotted key as tomllib reads them."""
    names: list[str] = []
    value: object = tomllib.loads(f"{dotted.strip()} = 0")
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        names.append(name)
    return tuple(names)


def _current_table(names: tuple[str, ...], table_counts: dict[KeyPath, int]) -> KeyPath:
    """Return the path of a header's table: a name of an array of tables on the way means its last table."""
    path: KeyPath = ()
    for index, name in enumerate(names):
        path = (*path, name)
        if index < len(names) - 1 and path in table_counts:
            path = (*path, table_counts[path] - 1)
    return path
