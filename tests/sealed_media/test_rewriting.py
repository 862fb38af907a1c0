"""Packs of which little is needed, and small ones, are sealed again, a bounded part at a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.fixtures.sealing import files_of, make_sealing_server
from tests.fixtures.server import SigningKey

DAY = timedelta(days=1)


def test_small_packs_are_joined(tmp_path: Path, signing_key: SigningKey) -> None:
    """The packs that single files have made are joined within days, and what they held comes back."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    for number in range(5):
        sealing.write(number, 9 << 20)
    sealing.seal()
    for number in range(10, 18):
        sealing.write(number)
        sealing.seal()
    packs = sealing.needed_packs()
    assert packs == 5 + 8
    sealing.seal(DAY)
    assert sealing.needed_packs() == 5 + 1
    assert sealing.seal(DAY).sealed == 0  # a single small one is not sealed again
    sealing.restored(tmp_path / "restored")
    assert files_of(tmp_path / "restored") == files_of(sealing.media)


def test_half_empty_packs_are_replaced(tmp_path: Path, signing_key: SigningKey) -> None:
    """A pack of which less than half is needed is replaced, but at most a twentieth of the store in a day."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    for number in range(30):
        sealing.write(number, 9 << 20)
    for number in range(30, 60):
        sealing.write(number, 180_000)
    sealing.seal()
    before = sealing.needed_packs()
    for number in range(30, 57):
        (sealing.media / sealing.write(number, 180_000)).unlink()
    sealing.seal()
    assert sealing.needed_packs() == before
    sealed = sealing.seal(DAY).sealed
    assert sealed == 3
    assert sealing.needed_packs() == before
    sealing.restored(tmp_path / "restored")
    assert files_of(tmp_path / "restored") == files_of(sealing.media)
