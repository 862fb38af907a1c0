"""Fingerprints as people read and type them; programs (JSON, configuration, gpg) get them without spaces."""

from __future__ import annotations

LENGTH = 40
_GROUP = 4
_DIGITS = frozenset("0123456789ABCDEF")
_MOST_MISTYPED = 3


def in_groups(fingerprint: str) -> str:
    """Return a fingerprint in groups of four, so that it can be compared with paper by eye."""
    return " ".join(_groups(fingerprint))


def plain(typed: str) -> str:
    """Return a fingerprint without the spaces and dashes, and in the capitals, that a person may have typed or not."""
    return "".join(typed.replace("-", " ").split()).upper()


def what_is_mistyped(typed: str) -> str:
    """Return why this is no fingerprint, by group as the recovery sheet has them; "" if it can be one."""
    fingerprint = plain(typed)
    for number, group in enumerate(_groups(fingerprint), 1):
        strange = sorted(set(group) - _DIGITS)
        if strange:
            named = ", ".join(repr(letter) for letter in strange)
            return f"group {number} ({group}) has {named}, and a fingerprint has only 0 to 9 and A to F"
    if len(fingerprint) != LENGTH:
        return f"it has {len(fingerprint)} characters instead of {LENGTH}"
    return ""


def differing_groups(typed: str, other: str) -> str:
    """Return which groups differ, if so few do that it looks mistyped; "" if it is another fingerprint."""
    pairs = zip(_groups(plain(typed)), _groups(plain(other)), strict=False)
    numbers = [str(number) for number, (one, another) in enumerate(pairs, 1) if one != another]
    if not numbers or len(numbers) > _MOST_MISTYPED:
        return ""
    return f"group {numbers[0]} differs" if len(numbers) == 1 else f"groups {', '.join(numbers)} differ"


def _groups(fingerprint: str) -> list[str]:
    return [fingerprint[start : start + _GROUP] for start in range(0, len(fingerprint), _GROUP)]
