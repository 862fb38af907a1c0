"""What disks, editors, other programs and enemies make of a file: pure, by a random generator that is handed in."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_ODD_NUMBERS = (
    *(b"0", b"-1", b"9223372036854775808", b"18446744073709551616", b"1e999", b"1e18", b"0.5", b"NaN", b"-Infinity"),
    *(
        b"9" * 400,
        "\N{ARABIC-INDIC DIGIT THREE}".encode(),
        "\N{FULLWIDTH DIGIT ONE}".encode(),
        b"1_0",
        b"0x1f",
        b"true",
        b"null",
        b'"7"',
        b"[]",
        b"1979-05-27",
    ),
    *(b"00000000", b"99991231", b"\x00"),
)
_ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        1 << 63,
        10**30,
        0.5,
        1e300,
        float("nan"),
        float("inf"),
        "",
        "x" * 70_000,
        "\x1b[2J",
        "\ud800",
    ),
    *(
        "../../etc/passwd",
        "a\x00b",
        "\N{ARABIC-INDIC DIGIT THREE}4",
        "9999-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00-23:59",
        "2026-11-26",
        [],
    ),
    *({}, [[[[]]]], {"unknown": 1}, ["x"] * 1000, "-1", "1e9", "'; DROP TABLE x; --", "e\u0301", "99999999T999999Z-00"),
)
_ODD_TOML = (
    *("nan", "inf", "-1", "0", "true", "[]", "{}", '""', "'\\u0000'", "9223372036854775808", "1e400", "0x7fffffff"),
    *("1979-05-27", "00:00:00", "[[[[1]]]]", '"../../etc"', '"\\u001b[2J"', '"' + "x" * 70_000 + '"', "[" * 3000),
    *(
        '["a", 1, nan]',
        "{ a = { b = 1 } }",
        '"\\ud800"',
        "\N{ARABIC-INDIC DIGIT THREE}",
        '"postgresql://[::1"',
        '"/dev/zero"',
        '"~nobody/x"',
    ),
    *('"61 * * * *"', '"* * * * * *"', '"0 0 31 2 *"', '"' + "0 " * 500 + '"', '"host=\'"', '"%41%zz"'),
)

Json = Any
Change = Callable[[bytes, Sequence[bytes], Random], bytes]


def flipped(content: bytes, _others: Sequence[bytes], at: Random) -> bytes:
    """Return the content with some bits flipped."""
    changed = bytearray(content or b"\0")
    for _ in range(at.choice((1, 1, 3, 30))):
        changed[at.randrange(len(changed))] ^= 1 << at.randrange(8)
    return bytes(changed)


def cut(content: bytes, _others: Sequence[bytes], at: Random) -> bytes:
    """Return the beginning of the content, or nothing."""
    return content[: at.choice((0, 1, at.randrange(len(content) or 1), max(0, len(content) - 1)))]


def doubled(content: bytes, _others: Sequence[bytes], at: Random) -> bytes:
    """Return the content with a piece of it twice, or very often."""
    first = at.randrange(len(content) or 1)
    last = min(len(content), first + at.choice((1, 16, 500, len(content))))
    return content[:last] + content[first:last] * at.choice((1, 2, 300)) + content[last:]


def spliced(content: bytes, others: Sequence[bytes], at: Random) -> bytes:
    """Return the beginning of the content and the end of another file."""
    other = at.choice(others)
    return content[: at.randrange(len(content) or 1)] + other[at.randrange(len(other) or 1) :]


def exchanged(_content: bytes, others: Sequence[bytes], at: Random) -> bytes:
    """Return another file."""
    return at.choice(others)


def noise(content: bytes, _others: Sequence[bytes], at: Random) -> bytes:
    """Return the content with some noise in it."""
    place = at.randrange(len(content) + 1)
    return content[:place] + at.choice((b"\0", b"\r", b"\xff\xfe", b"\xef\xbb\xbf", at.randbytes(40))) + content[place:]


def renumbered(content: bytes, _others: Sequence[bytes], at: Random) -> bytes:
    """Return the content with one of its numbers exchanged for an odd one."""
    numbers = list(_NUMBER.finditer(content))
    if not numbers:
        return at.choice(_ODD_NUMBERS)
    number = at.choice(numbers)
    return content[: number.start()] + at.choice(_ODD_NUMBERS) + content[number.end() :]


def deep(content: bytes, _others: Sequence[bytes], at: Random) -> bytes:
    """Return the content with much nesting somewhere in it."""
    place = at.randrange(len(content) + 1)
    return content[:place] + at.choice((b"[", b'{"a":', b"{a=")) * at.choice((500, 100_000)) + content[place:]


def rewritten_json(content: bytes, others: Sequence[bytes], at: Random) -> bytes:
    """Return JSON with one value exchanged, one key gone or one too many; anything else as `flipped` does."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return flipped(content, others, at)
    return json.dumps(changed_value(document, at)).encode("utf-8", "surrogatepass")


def changed_value(document: Json, at: Random) -> Json:
    """Return a JSON value with one value in it exchanged, one key gone or one too many."""
    if not isinstance(document, dict | list) or not document or at.random() < 0.08:
        return at.choice(_ODD_VALUES)
    changed: Any = document.copy()
    key = at.choice(list(changed) if isinstance(changed, dict) else range(len(changed)))
    match at.randrange(12):
        case 0:
            del changed[key]
        case 1 if isinstance(changed, dict):
            changed[at.choice(("unknown", "", "format", "__class__", key * 2))] = at.choice(_ODD_VALUES)
        case 1 | 2 if isinstance(changed, list):
            changed.append(changed[key])
        case _:
            changed[key] = changed_value(changed[key], at)
    return changed


def rewritten_toml(content: bytes, others: Sequence[bytes], at: Random) -> bytes:
    """Return TOML with one line changed."""
    lines = content.decode("utf-8", "replace").splitlines()
    settings = [number for number, line in enumerate(lines) if "=" in line]
    if not settings:
        return flipped(content, others, at)
    number = at.choice(settings)
    key = lines[number].partition("=")[0]
    match at.randrange(8):
        case 0:
            lines.insert(number, lines[number])
        case 1:
            lines[number] = f"{key.strip()}x = 1"
        case 2:
            del lines[number]
        case 3:
            lines.append(at.choice(lines))
        case _:
            lines[number] = f"{key}= {at.choice(_ODD_TOML)}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


CHANGES: tuple[Change, ...] = (flipped, cut, doubled, spliced, exchanged, noise, renumbered, renumbered, deep)


def changed(name: str, content: bytes, others: Sequence[bytes], at: Random) -> tuple[str, bytes]:
    """Return what was done to a file of that name, and what it then contains."""
    options: list[Change] = list(CHANGES)
    if name.endswith(".toml"):
        options += [rewritten_toml] * 14
    elif content.lstrip()[:1] in (b"{", b"["):
        options += [rewritten_json] * 14
    change = at.choice(options)
    return change.__name__, change(content, others, at)


def change_row(file: Path, at: Random) -> str:
    """Exchange one value in one row of an SQLite file for an odd one, and return what was done."""
    odd = [value for value in _ODD_VALUES if isinstance(value, str | float | int) and value not in (10**30, "\ud800")]
    with closing(sqlite3.connect(file)) as connection, connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        filled = [name for (name,) in tables if connection.execute(f'SELECT 1 FROM "{name}"').fetchone()]
        if not filled:
            return "no row"
        table = at.choice(filled)
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        column, value = at.choice(columns), at.choice([*odd, None, b"\xff\x00", (1 << 62)])
        value = min(value, (1 << 63) - 1) if isinstance(value, int) else value
        connection.execute("PRAGMA ignore_check_constraints = on")
        try:
            connection.execute(f'UPDATE OR REPLACE "{table}" SET "{column}" = ?', (value,))
        except sqlite3.Error as error:
            return f"no change: {error}"
    return f"{table}.{column} = {value!r:.40}"
