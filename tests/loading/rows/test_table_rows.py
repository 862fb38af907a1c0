"""COPY text is cut out of pg_restore's script wherever its pieces end."""

from __future__ import annotations

import pytest

from permafrost.loading.rows.table_rows import _between

ROWS = b"1\ta\\\\.\n\\\\.\t2\n\n3\t\\N\n"
HEAD = b"--\n-- PostgreSQL\n--\n\nSET x = 0;\n\nCOPY public.t (a, b) FROM stdin;\n"
TAIL = b"\\.\n\n\n--\n-- complete\n--\nCOPY public.u (a) FROM stdin;\n9\n\\.\n"


@pytest.mark.parametrize("rows", [ROWS, b"", b"\n\n\n"])
def test_any_chunks(rows: bytes) -> None:
    """Whatever the size of the pieces, exactly the rows come out."""
    script = HEAD + rows + TAIL
    for size in range(1, len(script) + 1):
        chunks = [script[at : at + size] for at in range(0, len(script), size)]
        assert b"".join(_between(chunks)) == rows, size
