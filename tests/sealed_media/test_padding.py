"""Sizes of what is sealed are rounded, so that they do not say which file it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from permafrost.sealed_media.padding import SMALLEST_BYTES, padded_size, skippable_frame
from tests.fixtures.sealing import make_sealing_server
from tests.fixtures.server import SigningKey

_MESSAGE_BYTES = 256
"""More than OpenPGP adds to a message of these sizes."""


@pytest.mark.format("10.4")
@given(st.integers(min_value=0, max_value=1 << 50))
def test_rounded(size_bytes: int) -> None:
    """A rounded size is not smaller, at most 12 % larger from the smallest on, and has few bits other than 0."""
    padded = padded_size(size_bytes)
    assert padded >= max(size_bytes, SMALLEST_BYTES)
    assert padded <= max(size_bytes * 1.12, SMALLEST_BYTES)
    exponent = padded.bit_length() - 1
    assert len(f"{padded:b}".rstrip("0")) <= exponent.bit_length() + 1
    assert padded_size(padded) == padded


@given(st.integers(min_value=0, max_value=1 << 22))
def test_a_frame_fills_up(size_bytes: int) -> None:
    """With its frame, compressed data of any size has a rounded one."""
    whole = size_bytes + len(skippable_frame(size_bytes))
    assert padded_size(whole) == whole


@pytest.mark.format("10.4")
def test_what_lies_on_the_disk(tmp_path: Path, signing_key: SigningKey) -> None:
    """Single files of nearly the same size make objects of exactly the same size, and a small one says nothing."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    sealing.write(0, 10)
    sealing.seal()
    sizes = []
    for number, size_bytes in enumerate((1_000, 20_000, 64_000, 1_000_000, 1_010_000), 1):
        before = sealing.objects()
        sealing.write(number, size_bytes)
        sealing.seal()
        new = (sealing.store.layout.object(name).stat().st_size for name in sealing.objects() - before)
        sizes.append(max(new))
    assert len(set(sizes[:3])) == 1
    assert sizes[3] == sizes[4]
    assert 0 < sizes[0] - SMALLEST_BYTES < _MESSAGE_BYTES
