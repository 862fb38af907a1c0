"""A run that seals media is killed at very many points, and resumed: nothing is lost, and nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.killing import killed_at
from tests.fixtures.sealing import files_of, make_sealing_server
from tests.fixtures.server import SigningKey


@pytest.mark.parametrize("kind", ["first", "later"])
def test_killed_at_every_change(tmp_path: Path, signing_key: SigningKey, kind: str) -> None:
    """Each run is killed one change later than the one before it, until one is done; what there is then is right."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    for number in range(8):
        sealing.write(number)
    sealing.write(8, 9 << 20)
    if kind == "later":
        sealing.seal()
        for number in (1, 20, 21):
            sealing.write(number, 70_000)
        (sealing.media / sealing.write(0)).unlink()
    kills, step = 0, 1
    while killed_at(step, sealing.seal):
        kills += 1
        step += 1
        if kind == "later" and kills == 8:
            sealing.write(22, 80_000)
    assert kills >= 15
    result = sealing.seal()
    assert result.sealed == 0
    assert sealing.restored(tmp_path / "restored").not_copied == 0
    assert files_of(tmp_path / "restored") == files_of(sealing.media)
    assert len(sealing.objects()) == sealing.known_objects()
    contents = {content for content, _, _ in files_of(sealing.media).values()}
    if kind == "first":
        assert sealing.sealed_bytes() == sum(map(len, contents))
    assert not list(sealing.store.layout.temporary.iterdir())
