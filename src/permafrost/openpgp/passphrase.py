"""Makes passphrases that a person can copy from paper."""

from __future__ import annotations

import secrets
from collections.abc import Callable

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 letters, 5 bits each; without 0 and o, 1 and l, which look alike on paper."""

GROUPS = 8
GROUP_LENGTH = 5


def new_passphrase(choose: Callable[[str], str] = secrets.choice) -> str:
    """Return eight groups of five letters, joined by hyphens: 200 random bits.

    `choose` picks one letter of the alphabet, each with the same chance.
    """
    groups = ("".join(choose(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)
