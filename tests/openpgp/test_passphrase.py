"""A passphrase that was copied wrongly is recognized, and where; somebody's own is left alone."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from permafrost.openpgp.fingerprints import differing_groups
from permafrost.openpgp.fingerprints import what_is_mistyped as fingerprint_mistyped
from permafrost.openpgp.passphrase import ALPHABET, GROUP_LENGTH, GROUPS, as_printed, new_passphrase, what_is_mistyped

passphrases = st.builds(
    lambda letters: new_passphrase(lambda _: letters.pop()),
    st.lists(st.sampled_from(ALPHABET), min_size=40, max_size=40),
)


@given(printed=passphrases, separator=st.sampled_from(["-", " ", "", " - ", "\u2013"]), is_upper=st.booleans())
def test_case_spaces_and_dashes_do_not_matter(printed: str, separator: str, *, is_upper: bool) -> None:
    """However it is typed, the passphrase of the sheet is recognized; as it stands it is not changed."""
    typed = separator.join(printed.split("-"))
    assert as_printed(typed.upper() if is_upper else typed) == printed
    assert as_printed(printed) == printed
    assert what_is_mistyped(printed) == ""


@given(passphrases, st.integers(0, GROUPS - 1), st.integers(0, GROUP_LENGTH - 1), st.sampled_from(ALPHABET))
def test_each_wrong_letter_is_found(printed: str, group: int, place: int, letter: str) -> None:
    """One wrong letter anywhere: the group is named, and no other."""
    groups = printed.split("-")
    assume(groups[group][place] != letter)
    groups[group] = groups[group][:place] + letter + groups[group][place + 1 :]
    typed = "-".join(groups)
    assert as_printed(typed) is None
    assert what_is_mistyped(typed) == f"group {group + 1} ({groups[group]}) has a wrong letter"


@given(passphrases, st.integers(0, GROUPS - 1), st.integers(0, GROUP_LENGTH - 2))
def test_exchanged_neighbours_are_found(printed: str, group: int, place: int) -> None:
    """Two neighbours exchanged within a group, or two groups: found."""
    groups = printed.split("-")
    first, second = groups[group][place], groups[group][place + 1]
    assume(first != second)
    exchanged = list(groups)
    exchanged[group] = groups[group][:place] + second + first + groups[group][place + 2 :]
    assert f"group {group + 1} " in what_is_mistyped("-".join(exchanged))
    other = (group + 1) % GROUPS
    assume(groups[group] != groups[other])
    groups[group], groups[other] = groups[other], groups[group]
    assert as_printed("-".join(groups)) is None


@pytest.mark.parametrize(("right", "wrong"), [("i", "1"), ("i", "l"), ("2", "0")])
def test_letters_that_cannot_occur(right: str, wrong: str) -> None:
    """1, l, 0 and o are pointed at."""
    printed = new_passphrase(lambda _: right)
    typed = printed.replace(right, wrong, 1)
    assert what_is_mistyped(typed).startswith(f"group 1 ({typed.split('-')[0]}) has {wrong!r}")


def test_a_letter_too_few() -> None:
    """A group that lost a letter is named with its length, where the dashes are there."""
    groups = new_passphrase().split("-")
    groups[4] = groups[4][1:]
    assert what_is_mistyped("-".join(groups)) == f"group 5 ({groups[4]}) has 5 letters instead of 6"


@pytest.mark.parametrize(
    "own",
    ["correct horse battery staple", "TESTS-ONLY5-PASSP-HRASE-23456", "a" * 48, "Q7" * 24, "x", "ABCDE-" * 7 + "FGHJK"],
)
def test_somebodys_own_passphrase(own: str) -> None:
    """Another passphrase, that of an older init too, is no mistyped one of ours."""
    assert as_printed(own) is None
    assert what_is_mistyped(own) == ""


def test_fingerprints() -> None:
    """Letters that cannot occur, a wrong length, and a few groups that differ are named."""
    fingerprint = "1A2B3C4D5E6F70819293A4B5C6D7E8F901234567"
    assert fingerprint_mistyped(f" {fingerprint.lower()} ") == ""
    assert "group 1 (IA2B) has 'I'" in fingerprint_mistyped("I" + fingerprint[1:])
    assert fingerprint_mistyped(fingerprint[:-2]) == "it has 38 characters instead of 40"
    assert differing_groups(fingerprint, "0" + fingerprint[1:]) == "group 1 differs"
    assert differing_groups(fingerprint, fingerprint[::-1]) == ""
