"""The rows of one table of a snapshot as COPY text: from the log's objects, or from the frame by pg_restore."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from permafrost.errors import IntegrityError, RestoreRefusedError
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.rows.log_lines import table_lines
from permafrost.postgres.catalog import TableName
from permafrost.postgres.programs.clients import archive_reader
from permafrost.postgres.programs.restore_program import pg_restore_rows_program
from permafrost.repository.manifest import Manifest, Table

_COPY = b"COPY "
_FROM_STDIN = b" FROM stdin;\n"
_END = b"\\.\n"
_HEADER_BYTES = 4 << 20  # 1,600 columns of 63 bytes each, quoted, with room to spare


def find_table(manifest: Manifest, name: str) -> Table:
    """Return the table that a person named: `public.accounts`, or `accounts` of the schema public.

    Raise `RestoreRefusedError` with the names that are like it if there is none.
    """
    by_name = {f"{table.schema_name}.{table.name}": table for table in manifest.tables}
    if found := by_name.get(name) or by_name.get(f"public.{name}"):
        return found
    near = difflib.get_close_matches(name, by_name, n=5, cutoff=0.5)
    near += [known for known in by_name if known.rpartition(".")[2] == name.rpartition(".")[2] and known not in near]
    like = f"do you mean {', '.join(near)}? " if near else ""
    raise RestoreRefusedError(
        f"the snapshot has no table {name} with rows of its own",
        unchanged="everything",
        hint=f"{like}Rows of a partitioned table are in its partitions; views have none, so restore the whole snapshot "
        "into a new database to see them",
    )


def copy_text(snapshot: OpenedSnapshot, table: Table) -> Iterator[bytes]:
    """Yield the table's rows as COPY text, in the columns' order of the table, generated columns left out.

    The text is in the snapshot's encoding. Raise `IntegrityError` if it does not hold as many rows as the manifest
    says.
    """
    rows = 0
    is_logged = table.segments is not None
    for chunk in (table_lines if is_logged else _framed_lines)(snapshot, table):
        rows += chunk.count(b"\n")
        yield chunk
    if rows != table.rows:
        raise IntegrityError(
            f"{table.schema_name}.{table.name} has {rows} rows instead of {table.rows}",
            hint="restore from another snapshot, and please report this",
        )


def _framed_lines(snapshot: OpenedSnapshot, table: Table) -> Iterator[bytes]:
    encoding = _PYTHON_NAMES.get(snapshot.manifest.database.encoding, "utf-8")
    name = TableName(table.schema_name, table.name)
    reader = archive_reader(snapshot.archive_major(), snapshot.manifest.database.server_major)
    rows = pg_restore_rows_program(reader, name, encoding)
    with snapshot.unsealed_frame(rows) as pipeline:
        yield from _between(pipeline.chunks())


_PYTHON_NAMES = {"UTF8": "utf-8", "LATIN1": "latin-1", "SQL_ASCII": "latin-1", "EUC_JP": "euc_jp"}


def _between(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what stands between pg_restore's COPY command and its end mark; the rest is read and left out.

    A table without columns has a COPY of its own form, and rows of empty lines.
    """
    head = b""
    tail: bytes | None = None
    is_over = False
    for chunk in chunks:
        if is_over:
            continue
        if tail is None:
            head += chunk
            start = 0 if head.startswith(_COPY) else head.find(b"\n" + _COPY)
            end = head.find(_FROM_STDIN, start) if start >= 0 else -1
            if end < 0:
                if len(head) > _HEADER_BYTES:
                    raise IntegrityError("pg_restore wrote no COPY command where one was expected")
                continue
            text = b"\n" + head[end + len(_FROM_STDIN) :]
            head = b""
        else:
            text = tail + chunk
        # rows never hold \. alone on a line (manual, COPY, "Text Format"); a newline is kept to look before it
        stop = text.find(b"\n" + _END)
        if stop >= 0:
            yield text[1 : stop + 1]
            is_over = True
            continue
        kept = max(1, len(text) - len(_END))
        yield text[1:kept]
        tail = text[kept - 1 :]
