"""The header of a pg_dump archive: its format, and the time at which it was made."""

from __future__ import annotations

from permafrost.errors import IntegrityError

# The archive's header (PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c, WriteHead): "PGDMP", three bytes of
# version, sizes of int and offset, format, compression, then the time in seven ints of sign and four bytes.
_TIME_BYTES = 7 * 5
_TIME_STARTS = {(1, 14): 16, (1, 15): 12, (1, 16): 12}
# since which major version pg_dump writes it, and pg_restore reads it (pg_backup_archiver.h, K_VERS_1_*)
_MAJORS = {(1, 14): 12, (1, 15): 16, (1, 16): 17}
HEAD_BYTES = 64


def archive_major_of(pg_dump_major: int) -> int:
    """Return the oldest major version whose pg_restore can read what a pg_dump of this one writes."""
    return max((major for major in _MAJORS.values() if major <= pg_dump_major), default=pg_dump_major)


def archive_major(head: bytes) -> int:
    """Return the oldest major version of PostgreSQL whose pg_restore can read the archive that begins with `head`.

    Of a format that is newer than those known here, the newest one that is. Raise `IntegrityError` if it is none.
    """
    if head[:5] != b"PGDMP" or len(head) < 8:
        raise IntegrityError(
            "the snapshot's frame is not an archive of pg_dump", hint="restore from another snapshot, and report this"
        )
    return _MAJORS.get((head[5], head[6]), 12 if (head[5], head[6]) < (1, 14) else max(_MAJORS.values()))


def mask_archive_time(head: bytes) -> bytes | None:
    """Return the beginning of an archive with its time of making blanked, None if its version is not known.

    So two archives of the same contents are the same bytes. `head` must hold at least `HEAD_BYTES`.
    """
    start = _TIME_STARTS.get((head[5], head[6])) if head[:5] == b"PGDMP" and len(head) >= HEAD_BYTES else None
    if start is None or head[8] != 4:
        return None
    return head[:start] + bytes(_TIME_BYTES) + head[start + _TIME_BYTES :]
