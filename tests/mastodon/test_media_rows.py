"""What the media list says in SQL is what Mastodon's path rules and the masked paths say."""

from __future__ import annotations

import psycopg
import pytest

from permafrost.mastodon.media_paths import EXTENSION, id_partition
from permafrost.mastodon.media_rows import PARTITION, snapshot_xmin, written_since
from permafrost.repository.media_list import masked_path
from samples.media import id_partition as samples_rule


@pytest.mark.format("9.2")
def test_folders_of_rows(database: str) -> None:
    """The folder of a row's number is the same in SQL, for every count of digits, as by Paperclip's rule."""
    numbers = [1, 123, 999_999_999, *(int("123456789123456789"[:digits]) for digits in range(10, 19)), 10**18 + 7]
    with psycopg.connect(database) as connection:
        query = f"SELECT {PARTITION} FROM unnest(%s::int8[]) WITH ORDINALITY AS t (id, place) ORDER BY place"
        folders = [row[0] for row in connection.execute(query.encode(), (numbers,))]
    assert folders == [id_partition(number) for number in numbers]
    assert folders == [samples_rule(number) for number in numbers]


@pytest.mark.format("9.4")
def test_extensions(database: str) -> None:
    """What SQL takes for a name's extension is what a masked path keeps of it, for odd names too."""
    names = [
        "a.png",
        ".png",
        "a.",
        "a.b.JPG",
        "a.ä",
        "none",
        f"x.{'y' * 16}",
        f"x.{'y' * 17}",
        "a b.7z",
        "a..b",
        "ä.gif",
        "..png",
        "a.b.jpeg",
        ".jpeg",
        "ä.webp",
        "a.pn!",
    ]
    with psycopg.connect(database) as connection:
        query = f"SELECT {EXTENSION.format(name='t.name')} FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, place)"
        extensions = [row[0] for row in connection.execute(f"{query} ORDER BY place".encode(), (names,))]
    masked = [masked_path("0" * 32, f"accounts/avatars/000/000/001/original/{name}".encode()) for name in names]
    assert extensions == [str(path).rpartition("/")[2][24:] for path in masked]
    assert extensions[:5] == [".png", "", "", ".JPG", ""]


def test_what_was_written_since(database: str) -> None:
    """Numbers from the earlier snapshot's on are recent; older ones, frozen ones and those of the future are not."""
    with psycopg.connect(database, autocommit=True) as connection:
        since = snapshot_xmin(connection)
        used = [row[0] for _ in range(3) for row in connection.execute("SELECT pg_current_xact_id()::text::int8")]

        def is_recent(xid: int) -> bool:
            condition = written_since(f"'{xid % 2**32}'::xid", since)
            row = connection.execute(f"SELECT {condition}".encode()).fetchone()
            assert row is not None
            return bool(row[0])

        assert all(is_recent(xid) for xid in (since, *used))
        assert not any(is_recent(xid) for xid in (since - 1, 2, since + 1000, since + 2**30, since + 2**31 + 5))
