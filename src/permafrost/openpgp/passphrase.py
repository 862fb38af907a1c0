"""Makes passphrases that a person can copy from paper, and finds where a copy went wrong.

Eight groups of six letters: five at random and a check letter, which no single wrong letter and no two exchanged ones
leave right. It also counts the group's number, so that exchanged groups are found. gpg gets the passphrase as it stands
on the sheet; whoever types it may use capitals, spaces or no separators at all (`as_printed`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 letters, 5 bits each; without 0 and o, 1 and l, which look alike on paper."""

GROUPS = 8
RANDOM_LENGTH = 5
GROUP_LENGTH = RANDOM_LENGTH + 1
_SEPARATORS = str.maketrans("", "", " \t-_.,\u00a0\u2010\u2011\u2012\u2013\u2014")
_MOSTLY = 0.7
_POLYNOMIAL = 0b100101  # x^5 + x^2 + 1, primitive over GF(2): x generates all 31 non-zero elements


def new_passphrase(choose: Callable[[str], str] = secrets.choice) -> str:
    """Return eight groups of six letters, joined by hyphens: 200 random bits, and a check letter in each group.

    `choose` picks one letter of the alphabet, each with the same chance.
    """
    groups = []
    for number in range(GROUPS):
        letters = "".join(choose(ALPHABET) for _ in range(RANDOM_LENGTH))
        groups.append(letters + check_letter(number, letters))
    return "-".join(groups)


def check_letter(number: int, letters: str) -> str:
    """Return the check letter of group `number` (from 0) with these random letters: their value at x in GF(32)."""
    value = number + 1
    for letter in letters:
        value = _times_x(value) ^ ALPHABET.index(letter)
    return ALPHABET[_times_x(value)]


def _times_x(value: int) -> int:
    value <<= 1
    return value ^ _POLYNOMIAL if value & 0b100000 else value


def as_printed(typed: str) -> str | None:
    """Return the passphrase as the sheet has it, whatever case and separators were typed; None if it is no such one."""
    letters = typed.lower().translate(_SEPARATORS)
    groups = _groups(letters)
    return "-".join(groups) if len(letters) == GROUPS * GROUP_LENGTH and not _wrong(groups) else None


def what_is_mistyped(typed: str) -> str:
    """Return what is wrong with a mistyped passphrase of the sheet's form; "" if it is of another form, or right."""
    letters = typed.lower().translate(_SEPARATORS)
    if abs(len(letters) - GROUPS * GROUP_LENGTH) > GROUP_LENGTH:
        return ""
    groups = typed.lower().replace("_", "-").split("-") if typed.count("-") == GROUPS - 1 else _groups(letters)
    wrong = _wrong(groups)
    if not wrong or len(wrong) > GROUPS * _MOSTLY:
        return ""  # mostly wrong: it is no passphrase of ours, but somebody's own
    found = []
    for number in wrong:
        group = groups[number]
        strange = sorted(set(group) - set(ALPHABET))
        if strange:
            named = ", ".join(f"{letter!r}" for letter in strange)
            found.append(f"group {number + 1} ({group}) has {named}, which no passphrase contains")
        elif len(group) != GROUP_LENGTH:
            found.append(f"group {number + 1} ({group}) has {len(group)} letters instead of {GROUP_LENGTH}")
        else:
            found.append(f"group {number + 1} ({group}) has a wrong letter")
    return "; ".join(found)


def _groups(letters: str) -> list[str]:
    return [letters[start : start + GROUP_LENGTH] for start in range(0, len(letters), GROUP_LENGTH)]


def _wrong(groups: Sequence[str]) -> list[int]:
    """Return the numbers, from 0, of the groups that are not right."""
    return [
        number
        for number, group in enumerate(groups)
        if len(group) != GROUP_LENGTH
        or not set(group) <= set(ALPHABET)
        or group[-1] != check_letter(number, group[:-1])
    ]
