"""What every segment store must do: the same contract for the one in memory and the repository's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import zstandard

from permafrost.errors import ToolError
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import OpeningKey, PassphraseSealing, open_bytes
from permafrost.repository.objects import StoredObject, stored_objects
from permafrost.segments.repository_store import RepositoryStore
from permafrost.segments.rows import Uint32
from permafrost.segments.worker import THIS_RUNS_DELTA
from permafrost.timing import WorkTimes
from tests.fixtures.server import MakeServer
from tests.segments.memory_store import MemoryStore, members_of

NONE = np.empty(0, np.uint32)


class Store(Protocol):
    """A store, and how to see what it holds."""

    def put_base(self, chunks: Iterable[bytes]) -> str: ...
    def add_delta(self, gone: Uint32, chunks: Iterable[bytes]) -> tuple[int, int]: ...
    def delta(self) -> str | None: ...
    def content(self, name: str) -> bytes: ...


class InMemory(MemoryStore):
    """The model test's."""

    def delta(self) -> str | None:
        return self.finish()

    def content(self, name: str) -> bytes:
        return self.objects[name]


class InRepository(RepositoryStore):
    """The real one, opened again by gpg and zstd."""

    def __init__(self, server_path: Path, home: Path, passphrase_file: Path) -> None:
        from permafrost.repository.layout import Layout  # noqa: PLC0415 - only here

        self._key = OpeningKey(passphrase_file)
        self._named: Mapping[str, StoredObject] = {}
        super().__init__(Layout(server_path), home, PassphraseSealing(passphrase_file), WorkTimes(), jobs=2)

    def delta(self) -> str | None:
        self._named = self.finish()
        return THIS_RUNS_DELTA if THIS_RUNS_DELTA in self._named else None

    def content(self, name: str) -> bytes:
        sealed = self._layout.object(self._named[name].name).read_bytes()
        opened = open_bytes(self._home, self._key, [sealed], limit_bytes=1 << 30)
        return zstandard.ZstdDecompressor().decompressobj().decompress(opened)


@pytest.fixture(params=["memory", "repository"])
def store(request: pytest.FixtureRequest, make_server: MakeServer) -> Iterator[Store]:
    """Each kind of store."""
    if request.param == "memory":
        yield InMemory()
        return
    server = make_server()
    with temporary_home() as home:
        yield InRepository(server.path, home, server.passphrase_file)


def test_bases(store: Store) -> None:
    """A base holds the text that was given, in whatever pieces it came; two are two objects."""
    first, second = store.put_base([b"one\n", b"", b"two\n"]), store.put_base([])
    assert store.delta() is None
    assert store.content(first) == b"one\ntwo\n"
    assert store.content(second) == b""
    assert first != second


def test_deltas(store: Store) -> None:
    """All deltas of a run are members of one object, numbered as told, with their gone lines and new text."""
    told = [
        store.add_delta(np.array([0, 7], np.uint32), [b"new\n"]),
        store.add_delta(NONE, [b"a\n" * 700_000, b"b\n" * 700_000]),
        store.add_delta(np.array([3], np.uint32), []),
    ]
    name = store.delta()
    assert name is not None
    assert members_of(store.content(name)) == {
        0: ([0, 7], b"new\n"),
        1: ([], b"a\n" * 700_000 + b"b\n" * 700_000),
        2: ([3], b""),
    }
    assert told == [(0, 8), (1, 2_800_000), (2, 2)]


def test_many_at_once(store: Store) -> None:
    """Threads that add at the same time get members of their own, each with its own text whole and in order."""

    def add(number: int) -> tuple[int, int]:
        member, _ = store.add_delta(NONE, (f"{number} {line}\n".encode() * 300 for line in range(100)))
        return number, member

    with ThreadPoolExecutor(4) as executor:
        members = dict(executor.map(add, range(12)))
    name = store.delta()
    assert name is not None
    found = members_of(store.content(name))
    for number, member in members.items():
        assert found[member][1] == b"".join(f"{number} {line}\n".encode() * 300 for line in range(100))


def test_reading_that_fails(store: Store) -> None:
    """An error of the reading goes through, and the run's object never appears after it is abandoned."""
    with pytest.raises(ToolError):
        store.put_base(broken_reading())
    with pytest.raises(ToolError):
        store.add_delta(NONE, broken_reading())
    if isinstance(store, InRepository):
        store.abandon()
        assert list(stored_objects(store._layout)) == []
        assert list(store._layout.temporary.iterdir()) == []


def test_a_base_that_fails_after_its_reading(make_server: MakeServer) -> None:
    """What befalls a base once it was read is raised when the next one comes, and at the end; nothing appears."""
    server = make_server()
    with temporary_home() as home:
        store = InRepository(server.path, home, server.passphrase_file)
        store._layout.objects.rmdir()
        store._layout.objects.touch()  # no folder to publish in
        first = store.put_base([b"one\n"])
        assert isinstance(store._bases[first].exception(), FileExistsError)
        with pytest.raises(FileExistsError):
            store.put_base([b"two\n"])
        assert list(store._bases) == [first]
        with pytest.raises(FileExistsError):
            store.finish()
        store.abandon()
        assert list(store._layout.temporary.iterdir()) == []


def broken_reading() -> Iterator[bytes]:
    """Yield some text, then fail as a lost connection does."""
    yield b"half\n" * 1000
    raise ToolError("the connection was lost")
