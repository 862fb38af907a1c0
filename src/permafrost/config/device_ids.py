"""Whether a text is a device id of Syncthing's, check letters included.

Made of 52 base-32 letters, each 13 followed by a check letter (Luhn's algorithm modulo 32), shown in eight groups
of seven: https://docs.syncthing.net/dev/device-ids.html.
"""

from __future__ import annotations

import re

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PART = 13
_SHAPE = re.compile(r"(?:[A-Z2-7]{7}-){7}[A-Z2-7]{7}")


def is_device_id(text: str) -> bool:
    """Return whether `text` is a device id in its usual form with all check letters right."""
    if _SHAPE.fullmatch(text) is None:
        return False
    letters = text.replace("-", "")
    parts = (letters[at : at + PART + 1] for at in range(0, len(letters), PART + 1))
    return all(part[-1] == check_letter(part[:-1]) for part in parts)


def check_letter(letters: str) -> str:
    """Return the check letter of one part of an id."""
    total = 0
    for position, letter in enumerate(letters):
        addend = _ALPHABET.index(letter) * (1 + position % 2)
        total += addend // 32 + addend % 32
    return _ALPHABET[-total % 32]
