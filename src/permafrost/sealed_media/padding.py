"""Sizes that are seen on a vault are rounded up, so that they do not say which file it is. Pure.

The rounding is Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
2019, section 4): of a size from 2^E on, the last E - S bits are 0, S being how many bits E has. That adds at most 12 %,
and 3 % from some megabytes on.
"""

from __future__ import annotations

SMALLEST_BYTES = 1 << 16
"""No pack is smaller: a single new file of an hour is not known by its size."""
_SKIPPABLE = b"\x50\x2a\x4d\x18"  # RFC 8878, section 3.1.2: decompressors pass such a frame over
_SKIPPABLE_HEAD = 8


def padded_size(size_bytes: int) -> int:
    """Return the size that a pack of that many bytes has before it is sealed."""
    size = max(size_bytes, SMALLEST_BYTES)
    exponent = size.bit_length() - 1
    unit = 1 << max(0, exponent - exponent.bit_length())
    return -(-size // unit) * unit


def skippable_frame(size_bytes: int) -> bytes:
    """Return a zstd frame without content that brings `size_bytes` of compressed data to a rounded size."""
    padding = padded_size(size_bytes + _SKIPPABLE_HEAD) - size_bytes - _SKIPPABLE_HEAD
    return _SKIPPABLE + padding.to_bytes(4, "little") + bytes(padding)
