"""Dropping gone lines, whatever the chunks that the text comes in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from permafrost.errors import IntegrityError
from permafrost.segments.lines import gone_text, parse_gone, surviving_lines

lines = st.lists(st.binary(max_size=6).map(lambda raw: raw.replace(b"\n", b"n")), max_size=30)


def cut(text: bytes, places: list[int]) -> list[bytes]:
    """Return the text in chunks, cut at these places."""
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


@given(lines, st.sets(st.integers(0, 60)), st.lists(st.integers(0, 500), max_size=20), st.integers(0, 30))
def test_as_by_hand(rows: list[bytes], gone: set[int], places: list[int], first: int) -> None:
    """The surviving text is what picking line by line gives, wherever the text is cut."""
    text = b"".join(row + b"\n" for row in rows)
    numbers = np.array(sorted(gone), dtype=np.uint32)
    expected = b"".join(row + b"\n" for number, row in enumerate(rows, first) if number not in gone)
    assert b"".join(surviving_lines(cut(text, places), first, len(rows), numbers)) == expected


@given(lines, st.lists(st.integers(0, 500), max_size=20), st.integers(-3, 3).filter(bool))
def test_other_counts_are_refused(rows: list[bytes], places: list[int], off: int) -> None:
    """Text with more or fewer lines than it should have is an integrity error."""
    text = b"".join(row + b"\n" for row in rows)
    if len(rows) + off >= 0:
        with pytest.raises(IntegrityError):
            list(surviving_lines(cut(text, places), 0, len(rows) + off, np.empty(0, np.uint32)))


def test_text_that_ends_in_the_middle_of_a_line() -> None:
    """A last line without its newline is an integrity error."""
    with pytest.raises(IntegrityError):
        list(surviving_lines([b"one\ntwo"], 0, 2, np.empty(0, np.uint32)))
    with pytest.raises(IntegrityError):
        list(surviving_lines([b"one\ntwo"], 0, 1, np.empty(0, np.uint32)))


@given(st.sets(st.integers(0, 2**31)))
def test_gone_round_trip(numbers: set[int]) -> None:
    """Gone lines are read as they were written."""
    gone = np.array(sorted(numbers), dtype=np.uint32)
    assert parse_gone(gone_text(gone), 2**31 + 1).tolist() == gone.tolist()


@pytest.mark.parametrize("text", [b"1\n1\n", b"2\n1\n", b"10\n", b"-1\n", b"x\n", b"99999999999999999999999\n"])
def test_gone_lines_out_of_range_or_order(text: bytes) -> None:
    """Gone lines that are out of range, out of order or no numbers are refused."""
    with pytest.raises(IntegrityError):
        parse_gone(text, 10)
