"""What a media list says of local rows, read from the database: all of them, or those that have changed.

A row version that was written since an earlier snapshot has a transaction number from that snapshot's `xmin` on, by
its age, and one that has been gone since is no longer among the ids. The numbers of rows that were frozen long ago stay
as they were, and seem to be of the future once 2**31 have passed: their age is negative. One that has come round again
only lists a row once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from permafrost.mastodon.columns import SCHEMA, columns_of
from permafrost.mastodon.media_paths import ATTACHMENTS, Attachment
from permafrost.postgres.copy_out import copy_out

_CHUNK_BYTES = 1 << 20
_MOST_XID = 0xFFFFFFFF
Ids = npt.NDArray[np.int64]

# as id_partition: nine digits or twelve or more, in threes, without what is left over; by to_char, since a regular
# expression takes ten times as long
_GROUPS = {count: "FM" + '"/"'.join(["000"] * count) for count in (3, 4, 5, 6)}
PARTITION = (
    f"CASE WHEN t.id < 1000000000 THEN to_char(t.id, '{_GROUPS[3]}')"
    f" WHEN t.id < 1000000000000 THEN to_char(t.id, '{_GROUPS[4]}') "
    + " ".join(
        f"WHEN t.id < {10**digits} THEN to_char(t.id / {10 ** (digits % 3)}, '{_GROUPS[digits // 3]}')"
        for digits in range(13, 19)
    )
    + f" ELSE to_char(t.id / 10, '{_GROUPS[6]}') END"
)


def listed_attachments(connection: psycopg.Connection) -> dict[Attachment, str]:
    """Return the classes of files that this database has, each with the condition of its rows; none if it has none."""
    found = {}
    for attachment in ATTACHMENTS:
        where = attachment.condition(columns_of(connection, attachment.table))
        if where is not None:
            found[attachment] = where
    return found


def snapshot_xmin(connection: psycopg.Connection) -> int:
    """Return the lowest transaction number that may be unknown to the transaction's snapshot, 64 bits wide."""
    row = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8").fetchone()
    assert row is not None  # noqa: S101 - the function gives one row
    return int(row[0])


def written_since(xid: str, since: int) -> str:
    """Return, in SQL, whether the transaction number `xid` is from `since` on (64 bits wide), and not of the future."""
    return f"age({xid}) BETWEEN 0 AND age('{since & _MOST_XID}'::xid)"


def ids_of_rows(connection: psycopg.Connection, attachment: Attachment, where: str) -> Ids:
    """Return the ids of all rows that have files, in order."""
    query = f"SELECT coalesce(string_agg(int8send(t.id), ''), '') FROM {SCHEMA}.{attachment.table} t WHERE {where}"  # noqa: S608
    row = connection.execute(query.encode(), binary=True, prepare=False).fetchone()
    assert row is not None  # noqa: S101 - an aggregate gives one row
    return np.sort(np.frombuffer(row[0], ">i8").astype(np.int64))


def listed_rows(
    connection: psycopg.Connection, attachments: Mapping[Attachment, str], repository_id: str, since: int | None
) -> Iterator[bytes]:
    """Yield the lines of a media list (docs/format.md, section 9), in chunks of whole lines.

    Of all rows, or of those with a version that the snapshot with the xmin `since` did not see.
    """
    for attachment, where in attachments.items():
        name = sql.SQL(_MASK).format(salt=sql.Literal(f"{repository_id}/".encode("ascii")))
        yield from copy_out(connection, _lines(connection, attachment, where, name, since), _CHUNK_BYTES)


def key_rows(
    connection: psycopg.Connection, attachments: Mapping[Attachment, str], since: int | None
) -> Iterator[bytes]:
    """Yield the lines of a key list (docs/format.md, section 9): the same rows, with the names of their files."""
    for attachment, where in attachments.items():
        yield from copy_out(connection, _lines(connection, attachment, where, sql.SQL(_NAME), since), _CHUNK_BYTES)


_NAME = "encode(textsend(left(name, length(name) - length(extension))), 'hex')"
"""By textsend, in the client's encoding, which is the database's (postgres/connection.py): convert_to takes longer."""
_MASK = (
    "encode(substr(sha256({salt} || textsend(row_folder || '/' || left(name, length(name) - length(extension)))),"
    " 1, 12), 'hex')"
)


def _lines(
    connection: psycopg.Connection, attachment: Attachment, where: str, name: sql.Composable, since: int | None
) -> sql.Composed:
    size_column = f"{attachment.prefix}_file_size"
    has_size = size_column in columns_of(connection, attachment.table)
    size, size_too = (f"t.{size_column}::int8", f", t.{size_column}") if has_size else ("NULL", "")
    styles = attachment.styles_of_rows("t.extension")
    recent = f" AND {written_since('t.xmin', since)}" if since is not None else ""
    query = f"""COPY (
        SELECT row_folder, size, {{name}},
            'original' || extension || CASE WHEN styles <> '' THEN ',' || styles ELSE '' END
        FROM (SELECT '{attachment.folder}/' || {PARTITION} AS row_folder, {size} AS size,
                t.{attachment.name_column} AS name, t.extension, {styles} AS styles
            FROM (SELECT t.id, t.{attachment.name_column}, t.{attachment.kind_column}{size_too},
                    {attachment.extension} AS extension
                FROM {SCHEMA}.{attachment.table} t WHERE {where}{recent} OFFSET 0) AS t OFFSET 0) AS listed
        ) TO STDOUT"""  # noqa: S608 - every part is one of ours
    before, after = query.split("{name}")
    return sql.Composed([sql.SQL(before), name, sql.SQL(after)])
