"""The object list: one reading of a signed text, no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from permafrost.errors import IntegrityError
from permafrost.repository.layout import SnapshotId
from permafrost.repository.object_list import ObjectList, decode_object_list
from permafrost.repository.objects import StoredObject, hash_file

names = st.text("0123456789abcdef", min_size=64, max_size=64)
stored = st.builds(StoredObject, names, st.integers(0, 10**15))
SNAPSHOT = SnapshotId("20261122T234000Z-0a1b2c3d")
REPOSITORY = "5" * 32


def lists(objects: st.SearchStrategy[list[StoredObject]]) -> st.SearchStrategy[ObjectList]:
    """Object lists of one snapshot."""
    unique = objects.map(lambda some: tuple({one.name: one for one in some}.values()))
    return st.builds(ObjectList, st.just(REPOSITORY), st.just(SNAPSHOT), stored, unique)


@pytest.mark.format("4.1")
@given(lists(st.lists(stored, max_size=5)))
def test_round_trip(object_list: ObjectList) -> None:
    """What is written is read back as it was."""
    assert decode_object_list(object_list.encode(), SNAPSHOT) == object_list


@pytest.mark.format("4.2")
@given(lists(st.lists(stored, min_size=1, max_size=3)), st.data())
def test_any_other_byte_is_refused_or_means_something_else(object_list: ObjectList, data: st.DataObject) -> None:
    """No two texts mean the same: a changed text is refused, or says something else than before."""
    content = bytearray(object_list.encode())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_object_list(bytes(content), SNAPSHOT)
    except IntegrityError:
        return
    assert decoded != object_list


@pytest.mark.format("4.2")
def test_another_snapshots_list() -> None:
    """A list that lies in another snapshot's folder is refused."""
    object_list = ObjectList(REPOSITORY, SNAPSHOT, StoredObject("a" * 64, 1), ())
    with pytest.raises(IntegrityError, match="another snapshot"):
        decode_object_list(object_list.encode(), SnapshotId("20261122T234000Z-ffffffff"))


@pytest.mark.format("4.1", "1.4")
@pytest.mark.parametrize("path", ["../../etc/passwd", "objects/../x.gpg", "objects/ab/ABC.gpg", "/etc/passwd"])
def test_paths_that_would_leave(path: str) -> None:
    """A list that names anything but objects at their places is refused."""
    good = ObjectList(REPOSITORY, SNAPSHOT, StoredObject("a" * 64, 1), (StoredObject("b" * 64, 2),))
    text = good.encode().decode().replace(f"objects/bb/{'b' * 64}.gpg", path)
    with pytest.raises(IntegrityError):
        decode_object_list(text.encode(), SNAPSHOT)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"# permafrost objects 1\n", b"# permafrost objects 2\n"])
def test_nonsense(content: bytes) -> None:
    """Nonsense is refused as damage, not as a defect."""
    with pytest.raises(IntegrityError):
        decode_object_list(content, SNAPSHOT)


@pytest.mark.format("4.1")
def test_sha256sum_reads_it(tmp_path: Path) -> None:
    """sha256sum -c, run in the repository's folder, checks the manifest and every object."""
    folder = tmp_path / "snapshots" / str(SNAPSHOT)
    folder.mkdir(parents=True)
    (folder / "manifest.gpg").write_bytes(b"manifest")
    content = tmp_path / "content"
    content.write_bytes(b"object")
    described = hash_file(content)
    place = tmp_path / "objects" / described.name[:2] / f"{described.name}.gpg"
    place.parent.mkdir(parents=True)
    content.rename(place)
    manifest = hash_file(folder / "manifest.gpg")
    (folder / "objects.sha256").write_bytes(ObjectList(REPOSITORY, SNAPSHOT, manifest, (described,)).encode())
    command = ["sha256sum", "--strict", "-c", f"snapshots/{SNAPSHOT}/objects.sha256"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": OK") == 2
    place.write_bytes(b"0bject")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


@pytest.mark.format("4.1", "4.2")
def test_a_name_twice() -> None:
    """A list that names an object twice is refused: a short list could otherwise ask for endless work."""
    twice = StoredObject("b" * 64, 1)
    object_list = ObjectList(REPOSITORY, SNAPSHOT, StoredObject("a" * 64, 1), (twice, twice))
    with pytest.raises(IntegrityError, match="twice"):
        decode_object_list(object_list.encode(), SNAPSHOT)
