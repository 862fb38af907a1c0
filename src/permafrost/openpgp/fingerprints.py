"""Fingerprints as people read and type them; programs (JSON, configuration, gpg) get them plain."""

from __future__ import annotations


def in_groups(fingerprint: str) -> str:
    """Return a fingerprint in groups of four, so that it can be compared with paper by eye."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))


def plain(typed: str) -> str:
    """Return a fingerprint without the blanks, and in the capitals, that a person may have typed or left out."""
    return "".join(typed.split()).upper()
