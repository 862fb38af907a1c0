"""Passphrases of the admin's own: those that can be guessed are told from those that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from permafrost.openpgp.passphrase import new_passphrase
from permafrost.openpgp.passphrase_strength import weakness_of

FILE = Path("/etc/permafrost/passphrase")


@pytest.mark.parametrize("weak", ["a", "hunter2", "mastodon2026", "Tr0ub4dor&3", "qwertyuiop1234567890", "a" * 200])
def test_weak(weak: str) -> None:
    """Words with digits, keyboard rows and repetitions can be guessed, however long they are."""
    assert str(FILE) in weakness_of(weak, FILE)


@pytest.mark.parametrize(
    "strong", ["rider clamp oven mimic salad lunar", "vX9#qLm2$Rz7!pWk4&", "né " * 9 + "7 Zwölfe blau"]
)
def test_strong(strong: str) -> None:
    """Six words by dice, or random letters, are as good as needed."""
    assert weakness_of(strong, FILE) == ""


def test_our_own() -> None:
    """A passphrase as init makes it is never called weak, however it is written."""
    assert weakness_of(new_passphrase().upper(), FILE) == ""
