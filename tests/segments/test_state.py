"""The state between runs: what was not written by a run is damage, wherever in the file it stands."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from permafrost.segments import state as state_module
from permafrost.segments.known_segment import KnownSegment
from permafrost.segments.packing import pack_rows
from permafrost.segments.rows import KnownRows, pages_among
from permafrost.segments.state import SegmentState
from permafrost.state_files import DamagedStateError

TABLE = 16384
ROWS = KnownRows(*(np.arange(5, dtype=np.uint32) + first for first in (0, 700, 0)))
LATER = KnownRows(*(np.arange(5, dtype=np.uint32) + first for first in (0, 701, 0)))
EXCHANGED = (
    "UPDATE segments SET (scan_digest, row_count, chain, patch, body_hash, hash) ="
    " (SELECT scan_digest, row_count, chain, patch, body_hash, hash FROM segments AS other WHERE other.number = 1)"
    " WHERE number = 0"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A state with two segments that differ in nothing but their digest, as a run has left it."""
    file = tmp_path / "segments.sqlite"
    state = SegmentState(file)
    with state.changing():
        state.set_fact("identity", {"next_xid": 753})
        state.replace_objects({"a" * 64: ("base", 4096)})
        state.set_signature(TABLE, "id integer")
        for number in (0, 1):
            state.set_segment(TABLE, number, KnownSegment.of((), bytes([number]) * 16, ROWS))
        state.name_objects(TABLE, 0, {})
    state.close()
    return file


def read_everything(file: Path) -> tuple[object, ...]:
    """Return all that the state says."""
    state = SegmentState(file)
    try:
        segments = [state.segment(TABLE, number) for number in (0, 1)]
        assert all(segment is not None for segment in segments)
        said = [
            (one.scan_digest, one.row_count, one.chain(), *(column.tolist() for column in one.rows().columns))
            for one in segments
            if one is not None
        ]
        return state.fact("identity"), state.objects(), state.signatures(), *said
    finally:
        state.close()


def change(file: Path, *statements: str) -> None:
    """Change the file as a run never does."""
    database = sqlite3.connect(file)
    with database:
        for statement in statements:
            database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        EXCHANGED,
        "UPDATE segments SET body_hash = zeroblob(8) WHERE number = 1",
        "UPDATE segments SET patch = zeroblob(9) WHERE number = 1",
        "UPDATE bodies SET packed = CAST(substr(packed, 1, length(packed) - 1) || x'00' AS BLOB)",
        "DELETE FROM bodies WHERE number = 1",
        "UPDATE segments SET scan_digest = zeroblob(16) WHERE number = 1",
        "UPDATE facts SET value = replace(value, '753', '757') WHERE name = 'identity'",
        "UPDATE objects SET size_bytes = 4097",
        "UPDATE objects SET name = replace(name, 'a', 'b')",
        "UPDATE tables SET signature = 'id bigint'",
        "UPDATE tables SET id = id + 1",
    ],
)
def test_what_no_run_wrote_is_damage(file: Path, statement: str) -> None:
    """A value that changed, or that stands under another key, is never believed."""
    change(file, statement)
    with pytest.raises(DamagedStateError):
        read_everything(file)


def test_a_segment_under_another_number_is_damage(file: Path) -> None:
    """A segment's row that stands where another one stood is never believed."""
    change(file, "DELETE FROM segments WHERE number = 1", "UPDATE segments SET number = 1")
    state = SegmentState(file)
    with pytest.raises(DamagedStateError):
        state.segment(TABLE, 1)
    state.close()


def test_a_body_of_an_earlier_run_is_damage(file: Path) -> None:
    """Where the body of a segment stayed as it was while its row was written, the segment is not believed."""
    before = sqlite3.connect(file).execute("SELECT packed FROM bodies WHERE number = 1").fetchone()
    state = SegmentState(file)
    with state.changing():
        state.set_segment(TABLE, 1, KnownSegment.of((), b"", LATER))
    state.close()
    assert read_everything(file)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE bodies SET packed = ? WHERE number = 1", before)
    with pytest.raises(DamagedStateError):
        read_everything(file)


def test_a_body_is_written_only_when_it_is_new(file: Path) -> None:
    """A run that changes a few pages of a segment writes its patch; the body stays, and both are read together."""
    rows = KnownRows(*(np.arange(1000, dtype=np.uint32) << np.uint32(shift) for shift in (16, 0, 0)))
    state = SegmentState(file)
    with state.changing():
        state.set_segment(TABLE, 1, KnownSegment.of((), b"", rows))
    written = sqlite3.connect(file).execute("SELECT packed FROM bodies WHERE number = 1").fetchone()
    pages = pages_among(rows.places[500:502])
    known = state.segment(TABLE, 1)
    assert known is not None
    with state.changing():
        now = KnownRows(rows.places[500:501], rows.xmins[500:501], np.array([1000], np.uint32))
        state.set_segment(TABLE, 1, known.continued((), b"", pages, now, 998))
    assert sqlite3.connect(file).execute("SELECT packed FROM bodies WHERE number = 1").fetchone() == written
    after = state.segment(TABLE, 1)
    assert after is not None
    assert after.rows().lines.tolist() == [*range(500), 1000, *range(502, 1000)]
    assert after.rows_on(pages).lines.tolist() == [1000]
    state.close()


def as_version_1_left_it(file: Path, *, has_hashes: bool) -> None:
    """Make the same state as version 1 would have left it: the rows of a segment are one value, beside its chain."""
    database = sqlite3.connect(file)
    database.create_function("hash_of", -1, state_module._hash_of)
    with database:
        segments = database.execute("SELECT table_id, number, scan_digest, row_count, chain FROM segments").fetchall()
        database.execute("DROP TABLE segments")
        database.execute("DROP TABLE bodies")
        database.execute(
            "CREATE TABLE segments (table_id INTEGER NOT NULL, number INTEGER NOT NULL, scan_digest BLOB NOT NULL,"
            " row_count INTEGER NOT NULL, chain BLOB NOT NULL, known BLOB NOT NULL, hash BLOB,"
            " PRIMARY KEY (table_id, number)) STRICT"
        )
        for segment in segments:
            database.execute(
                "INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6, hash_of(?1, ?2, ?3, ?4, ?5, ?6))",
                (*segment, pack_rows(ROWS)),
            )
        database.execute("UPDATE facts SET value = '1', hash = hash_of('version', '1') WHERE name = 'version'")
        for table in ("facts", "objects", "tables", "segments") if not has_hashes else ():
            database.execute(f"ALTER TABLE {table} DROP COLUMN hash")
    database.close()


@pytest.mark.parametrize("has_hashes", [True, False])
def test_the_state_of_an_older_version_is_continued(file: Path, has_hashes: bool) -> None:
    """A state of version 1, with hashes or without, says what it said, and is protected from then on."""
    before = read_everything(file)
    as_version_1_left_it(file, has_hashes=has_hashes)
    assert read_everything(file) == before
    assert read_everything(file) == before
    change(file, "UPDATE objects SET size_bytes = 4097")
    with pytest.raises(DamagedStateError):
        read_everything(file)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE segments SET row_count = 4",
        "UPDATE segments SET known = (SELECT known FROM segments WHERE number = 1), chain = x'00' WHERE number = 0",
        "UPDATE facts SET value = '3' WHERE name = 'version'",
    ],
)
def test_an_older_state_with_damage_is_not_continued(file: Path, statement: str) -> None:
    """What version 1 did not write is damage as well, and nothing of the file is changed."""
    as_version_1_left_it(file, has_hashes=True)
    change(file, statement)
    before = file.read_bytes()
    with pytest.raises(DamagedStateError):
        SegmentState(file)
    assert file.read_bytes() == before
