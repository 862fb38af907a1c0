"""A segment store in memory, and the rebuilding of rows from any store's objects, line by line as by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

from permafrost.segments.chain import Outline
from permafrost.segments.delta_file import DeltaWriter, read_delta
from permafrost.segments.rows import Uint32

Members = dict[int, tuple[list[int], bytes]]


class MemoryStore:
    """Keeps bases and delta objects of all runs; passes the same contract test as the repository's store."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._tar: io.BytesIO | None = None
        self._writer: DeltaWriter | None = None

    def put_base(self, chunks: Iterable[bytes]) -> str:
        """Keep a base."""
        name = f"base {len(self.objects)}"
        self.objects[name] = b"".join(chunks)
        return name

    def add_delta(self, gone: Uint32, chunks: Iterable[bytes]) -> tuple[int, int]:
        """Add to the run's delta object."""
        if self._writer is None:
            self._tar = io.BytesIO()
            self._writer = DeltaWriter(self._tar)
        return self._writer.add(gone, chunks)

    def finish(self) -> str | None:
        """End the run's delta object and return its name, None if there is none."""
        if self._writer is None or self._tar is None:
            return None
        self._writer.close()
        name = f"delta {len(self.objects)}"
        self.objects[name] = self._tar.getvalue()
        self._writer = self._tar = None
        return name


def members_of(tar: bytes) -> Members:
    """Return each member's gone lines and new text."""
    found: Members = {}
    for part in read_delta(io.BytesIO(tar)):
        gone, text = found.get(part.member, ([], b""))
        content = b"".join(part.chunks)
        if part.kind == "gone":
            gone = [int(line) for line in content.splitlines()]
        else:
            text += content
        found[part.member] = (gone, text)
    return found


def rebuilt(outline: Outline, object_of: Callable[[str], bytes]) -> list[bytes]:
    """Return a segment's rows: all lines of its chain in order, less all that are gone."""
    lines: list[bytes] = []
    gone: set[int] = set()
    for element in outline:
        if element.member is None:
            text = object_of(element.object_name)
        else:
            numbers, text = members_of(object_of(element.object_name)).get(element.member, ([], b""))
            gone.update(numbers)
        lines += text.split(b"\n")[:-1]
    return [line for number, line in enumerate(lines) if number not in gone]
