"""Scripts written by pg_restore: split into statements, or made fit for an older server and for psql."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from secrets import token_hex

from permafrost.errors import DatabaseError, ToolError

# One statement: quoted names, quoted text (standard_conforming_strings is on), comments, and the lines that tell psql
# not to take commands out of what follows (since August 2025; CVE-2025-8714).
_STATEMENT = re.compile(rb'(?:"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'|--[^\n]*\n|[^;"\'-]++|-(?!-))+;')
_BESIDE = re.compile(rb"\A(?:\s+|--[^\n]*\n|\\(?:un)?restrict [^\n]*\n)*")


def split_statements(script: bytes) -> list[bytes]:
    """Return the statements of a script without what lies between them; raise `DatabaseError` if one has no end."""
    statements = []
    end = 0
    for found in _STATEMENT.finditer(script):
        if found.start() != end:
            raise DatabaseError("pg_restore wrote a script that cannot be read")
        end = found.end()
        statements.append(_BESIDE.sub(b"", found.group()))
    if _BESIDE.sub(b"", script[end:]):
        raise DatabaseError("pg_restore wrote a truncated script")
    return statements


_SETTINGS_SINCE = {"transaction_timeout": 17}
"""What pg_restore sets at the head of every script, with the version that first does (pg_backup_archiver.c,
_doSetFixedOutputState); older settings are known to every server that is still supported."""
_HEAD_BYTES = 4096


def newer_settings_than(server_major: int, program_major: int) -> list[str]:
    """Return the settings in scripts of a pg_restore of `program_major` that the server does not know."""
    return [name for name, since in _SETTINGS_SINCE.items() if server_major < since <= program_major]


def known_to_server(script: Iterable[bytes], server_major: int, program_major: int) -> Iterator[bytes]:
    """Yield a script without the settings at its head that the server does not know."""
    unknown = newer_settings_than(server_major, program_major)
    for head, is_head in _with_head(script):
        text = head
        for name in unknown if is_head else ():
            text = text.replace(f"\nSET {name} = 0;\n".encode(), b"\n", 1)
        yield text


def closed_to_commands(script: Iterable[bytes]) -> Generator[bytes, None, None]:
    """Yield a script that psql may run: it begins by telling psql to take no commands out of what follows.

    Whoever names a table in the source could otherwise start programs here (CVE-2025-8714). Raise `ToolError` if the
    pg_restore that wrote it is too old for that.
    """
    for head, is_head in _with_head(script):
        if is_head and b"\n\\restrict " not in head:
            raise ToolError(
                "pg_restore is too old: its scripts let whoever made the database start programs through psql",
                hint="install the newest update of PostgreSQL's client programs, of August 2025 or later",
            )
        yield head


def brackets() -> tuple[bytes, bytes]:
    """Return the lines between which psql takes no commands but the second, whose key nobody in a database knows.

    For statements that were taken out of a script, and are to be run by hand. A psql from before August 2025 does not
    know the first line, and stops there if it stops at errors.
    """
    key = token_hex(16)
    return f"\\restrict {key}\n".encode(), f"\\unrestrict {key}\n".encode()


def _with_head(script: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield the script, its head as the first piece, and whether a piece is the head."""
    head, chunks = b"", iter(script)
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    yield head, True
    yield from ((chunk, False) for chunk in chunks)
