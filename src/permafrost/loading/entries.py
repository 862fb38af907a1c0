"""Single entries of a pg_dump archive's table of contents: whose rows they hold, and their SQL alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from permafrost.repository.manifest import Table

_TEXT = re.compile(r"\d+; \d+ \d+ (.*)")
_DATA = ("TABLE DATA ", "BLOBS ", "BLOB ")
_HEAD = re.compile(rb"\A.*?\nSET row_security = off;\n", re.DOTALL)
_TAIL = re.compile(rb"--\n-- PostgreSQL database dump complete\n--.*\Z", re.DOTALL)


def holds_data(line: str) -> bool:
    """Return whether an entry holds rows or large objects, and no statement to run again."""
    found = _TEXT.match(line)
    return found is not None and found[1].startswith(_DATA)


def table_of_rows(line: str, tables: Iterable[Table]) -> Table | None:
    """Return the one of `tables` whose rows an entry holds, None if it holds none of theirs.

    Names stand in it as they are, with blanks between them, and the owner's last: where more than one fits, none is
    returned.
    """
    found = _TEXT.match(line)
    if found is None or not found[1].startswith("TABLE DATA "):
        return None
    fitting = [table for table in tables if found[1].startswith(f"TABLE DATA {table.schema_name} {table.name} ")]
    return fitting[0] if len(fitting) == 1 else None


def bare_statements(script: bytes) -> bytes:
    """Return pg_restore's script of an entry without what sets up its session and says that it ends."""
    return _TAIL.sub(b"", _HEAD.sub(b"", script, count=1)).strip()
