"""Objects: durable, named by their bytes, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from permafrost.errors import IntegrityError, ToolError
from permafrost.repository.layout import Layout
from permafrost.repository.objects import StoredObject, open_object, put_object, stored_objects


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """The places of an empty repository."""
    layout = Layout(tmp_path)
    for folder in (layout.objects, layout.snapshots, layout.temporary):
        folder.mkdir()
    return layout


def put(layout: Layout, content: bytes) -> StoredObject:
    """Store some bytes."""
    return put_object(layout, [content], lambda: None)


@pytest.mark.format("2.1", "2.2")
def test_named_by_its_bytes(layout: Layout) -> None:
    """An object lies where its hash says, is read-only, and holds what was put."""
    stored = put(layout, b"sealed")
    place = layout.root / "objects" / stored.name[:2] / f"{stored.name}.gpg"
    assert stored == StoredObject(hashlib.sha256(b"sealed").hexdigest(), 6)
    assert place.read_bytes() == b"sealed"
    assert place.stat().st_mode & 0o777 == 0o444
    assert list(stored_objects(layout)) == [(stored.name, place)]


@pytest.mark.format("2.3")
def test_failing_maker_leaves_nothing(layout: Layout) -> None:
    """If the bytes' maker turns out to have failed after its last byte, no object and no unfinished file is left."""

    def fail() -> None:
        raise ToolError("the maker failed")

    with pytest.raises(ToolError):
        put_object(layout, [b"half"], fail)
    assert list(stored_objects(layout)) == []
    assert list(layout.temporary.iterdir()) == []


@pytest.mark.format("2.3")
def test_disk_that_lies(layout: Layout) -> None:
    """Bytes that the disk does not give back as they were written never become an object."""

    def damage() -> None:
        (unfinished,) = layout.temporary.iterdir()
        unfinished.write_bytes(b"seal3d")

    with pytest.raises(IntegrityError, match="did not return"):
        put_object(layout, [b"sealed"], damage)
    assert list(stored_objects(layout)) == []


def test_same_bytes_twice(layout: Layout) -> None:
    """The same bytes put twice are one object."""
    assert put(layout, b"same") == put(layout, b"same")
    assert len(list(stored_objects(layout))) == 1


def test_chunks_are_joined(layout: Layout) -> None:
    """What comes in pieces is one object; an empty one is allowed."""

    def pieces() -> Iterator[bytes]:
        yield b"ab"
        yield b""
        yield b"cd"

    assert put_object(layout, pieces(), lambda: None) == put(layout, b"abcd")
    assert put(layout, b"").size_bytes == 0


@pytest.mark.format("7.3")
@pytest.mark.parametrize("damage", ["flipped", "cut off", "longer", "missing", "link"])
def test_damaged_object_is_not_opened(layout: Layout, tmp_path: Path, damage: str) -> None:
    """An object that is not what its name says is refused by name, whatever happened to it."""
    stored = put(layout, b"sealed bytes")
    place = layout.object(stored.name)
    place.chmod(0o644)
    match damage:
        case "flipped":
            place.write_bytes(b"sealed bytez")
        case "cut off":
            place.write_bytes(b"sealed")
        case "longer":
            place.write_bytes(b"sealed bytes.")
        case "missing":
            place.unlink()
        case _:
            other = tmp_path / "elsewhere"
            other.write_bytes(b"sealed bytes")
            place.unlink()
            place.symlink_to(other)
    with pytest.raises(IntegrityError, match=stored.name), open_object(layout, stored):
        pass


@pytest.mark.format("1.3", "1.4")
def test_foreign_files_are_no_objects(layout: Layout) -> None:
    """Whatever else lies in objects/ is passed over: conflict copies, other names, wrong folders."""
    stored = put(layout, b"mine")
    folder = layout.object(stored.name).parent
    (folder / f"{stored.name}.sync-conflict-20261122-101010-ABCDEFG.gpg").write_bytes(b"x")
    (folder / f"{stored.name.upper()}.gpg").write_bytes(b"x")
    (layout.objects / "zz").mkdir()
    (layout.objects / "zz" / f"{stored.name}.gpg").write_bytes(b"x")
    (layout.objects / "stray").write_bytes(b"x")
    assert [name for name, _ in stored_objects(layout)] == [stored.name]
