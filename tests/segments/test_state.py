"""The state between runs: what was not written by a run is damage, wherever in the file it stands."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from permafrost.segments.packing import pack_chain, pack_rows
from permafrost.segments.rows import KnownRows
from permafrost.segments.state import KnownSegment, SegmentState
from permafrost.state_files import DamagedStateError

TABLE = 16384
ROWS = KnownRows(*(np.arange(5, dtype=np.uint32) + first for first in (0, 700, 0)))
EXCHANGED = (
    "UPDATE segments SET (scan_digest, row_count, chain, known, hash) ="
    " (SELECT scan_digest, row_count, chain, known, hash FROM segments AS other WHERE other.number = 1)"
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
            state.set_segment(TABLE, number, KnownSegment(bytes([number]) * 16, 5, (), pack_chain(()), pack_rows(ROWS)))
        state.name_objects(TABLE, 0, {})
    state.close()
    return file


def read_everything(file: Path) -> tuple[object, ...]:
    """Return all that the state says."""
    state = SegmentState(file)
    try:
        segments = [state.segment(TABLE, number) for number in (0, 1)]
        assert all(segment is not None for segment in segments)
        return state.fact("identity"), state.objects(), state.signatures(), *segments
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


def test_the_state_of_an_older_version_is_continued(file: Path) -> None:
    """A state that has no hashes yet gets them, says what it said, and is protected from then on."""
    before = read_everything(file)
    change(file, *(f"ALTER TABLE {table} DROP COLUMN hash" for table in ("facts", "objects", "tables", "segments")))
    assert read_everything(file) == before
    change(file, "UPDATE objects SET size_bytes = 4097")
    with pytest.raises(DamagedStateError):
        read_everything(file)
