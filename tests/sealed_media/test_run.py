"""Sealing media: everything comes back, what is new alone is sealed, and nothing can be read in the store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.sealed_media.index import read_index
from tests.fixtures.sealing import CONTENT_PART, NAME_PART, SealingServer, files_of, has_bytes, make_sealing_server
from tests.fixtures.server import SigningKey


@pytest.fixture
def sealing(tmp_path: Path, signing_key: SigningKey) -> SealingServer:
    """A server with some media, small, large, equal and empty."""
    made = make_sealing_server(tmp_path / "server", signing_key)
    for number in range(30):
        made.write(number)
    made.write(30, 9 << 20)
    made.write(31, content=(made.media / made.write(5)).read_bytes())
    made.write(32, content=b"")
    return made


def test_all_comes_back(sealing: SealingServer, tmp_path: Path) -> None:
    """Restored media are equal to the last byte, permission and time; the store has neither names nor contents."""
    (sealing.media / sealing.write(7)).chmod(0o600)
    result = sealing.seal()
    assert (result.files, result.sealed, result.not_sealed_count) == (33, 32, 0)
    restored = sealing.restored(tmp_path / "restored")
    assert (restored.files, restored.not_copied) == (33, 0)
    assert files_of(tmp_path / "restored") == files_of(sealing.media)
    assert not has_bytes(sealing.store.root, NAME_PART.encode())
    assert not has_bytes(sealing.store.root, CONTENT_PART)
    assert has_bytes(sealing.media, CONTENT_PART)
    index = read_index(sealing.store.index, sealing.server.repository.repository_id).index
    assert index.rows == result.objects  # how many files there are is nobody's business


def test_only_what_is_new_is_sealed(sealing: SealingServer, tmp_path: Path) -> None:
    """A run without changes makes nothing; one file costs one pack; a chmod alone costs none, and is restored."""
    sealing.seal()
    before = sealing.objects()
    assert sealing.seal().new_bytes == 0
    assert sealing.objects() == before
    sealing.write(100)
    (sealing.media / sealing.write(101, content=b"x")).unlink()
    (sealing.media / "media_attachments/files/000/003/original" / f"{NAME_PART}3.png").chmod(0o600)
    (sealing.media / "media_attachments/files/000/004/original" / f"{NAME_PART}4.png").unlink()
    result = sealing.seal()
    assert (result.sealed, result.removed) == (1, 1)
    assert len(sealing.objects() - before) == 2  # the pack, and a segment of the catalog
    sealing.restored(tmp_path / "restored")
    assert files_of(tmp_path / "restored") == files_of(sealing.media)


def test_remote_media_are_left_out(sealing: SealingServer, tmp_path: Path) -> None:
    """What [media] ignore names is not sealed."""
    cached = sealing.media / "cache" / "remote.png"
    cached.parent.mkdir()
    cached.write_bytes(b"remote")
    sealing.seal()
    sealing.restored(tmp_path / "restored")
    assert not (tmp_path / "restored" / "cache").exists()
    assert len(files_of(tmp_path / "restored")) == 33


def test_lost_state_is_found_again(sealing: SealingServer, tmp_path: Path) -> None:
    """Without its state, a server that has the passphrase seals nothing twice."""
    sealing.seal()
    before = sealing.objects()
    for file in sealing.configuration.state.path.glob("sealed-media.sqlite*"):
        file.unlink()
    sealing.write(50)
    assert sealing.seal().sealed == 1
    assert before <= sealing.objects()
    sealing.restored(tmp_path / "restored")
    assert files_of(tmp_path / "restored") == files_of(sealing.media)


def test_a_lost_object_is_sealed_again(sealing: SealingServer, tmp_path: Path) -> None:
    """Whatever is taken out of the store is there again after the next run."""
    sealing.seal()
    for name in sorted(sealing.objects()):
        sealing.store.layout.object(name).unlink()
        sealing.seal()
        target = tmp_path / name
        assert sealing.restored(target).not_copied == 0
        assert files_of(target) == files_of(sealing.media)


def test_what_is_not_needed_goes_after_days(sealing: SealingServer) -> None:
    """A pack of which nothing is left stays for three days, and goes then."""
    sealing.seal()
    large = sealing.media / sealing.write(30, 9 << 20)
    before = sealing.objects()
    large.unlink()
    sealing.seal()
    sealing.seal(timedelta(days=2))
    assert before & sealing.objects() == before
    sealing.seal(timedelta(days=2))
    sealing.seal()
    assert sum(file.stat().st_size for file in sealing.store.layout.objects.rglob("*.gpg")) < 1 << 20
