"""The header of a pg_dump archive, which holds the time at which it was made."""

from __future__ import annotations

# The archive's header (PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c, WriteHead): "PGDMP", three bytes of
# version, sizes of int and offset, format, compression, then the time in seven ints of sign and four bytes.
_TIME_BYTES = 7 * 5
_TIME_STARTS = {(1, 14): 16, (1, 15): 12, (1, 16): 12}


def mask_archive_time(head: bytes) -> bytes | None:
    """Return the beginning of an archive with its time of making blanked, None if its version is not known.

    So two archives of the same contents are the same bytes. `head` must hold at least 64 bytes.
    """
    start = _TIME_STARTS.get((head[5], head[6])) if head[:5] == b"PGDMP" and len(head) >= 64 else None
    if start is None or head[8] != 4:
        return None
    return head[:start] + bytes(_TIME_BYTES) + head[start + _TIME_BYTES :]
