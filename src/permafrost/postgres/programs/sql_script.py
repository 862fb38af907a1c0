"""Splits SQL scripts written by pg_restore into statements."""

from __future__ import annotations

import re

from permafrost.errors import DatabaseError

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
