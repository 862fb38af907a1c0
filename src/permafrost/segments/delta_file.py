"""The content of a delta object: a tar with the gone line numbers and the new lines of each changed segment.

docs/format.md, section 5. Segment k of a delta object has members named `k.gone` (once, if there are any) and
`k.new` (as often as it takes: their contents joined in the tar's order are the new lines), so that nothing has to be
held whole in memory, however large a row or a segment's change is.
"""

from __future__ import annotations

import io
import re
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Literal

from permafrost.errors import IntegrityError
from permafrost.postgres.scan import joined
from permafrost.segments.lines import gone_text
from permafrost.segments.rows import Uint32

PART_BYTES = 1 << 20
_NAME = re.compile(r"(0|[1-9][0-9]{0,9})\.(gone|new)")


class DeltaWriter:
    """Writes members into a tar on `output`, from several threads at once."""

    def __init__(self, output: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=output, mode="w|", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - see close
        self._lock = threading.Lock()
        self._members = 0

    def add(self, gone: Uint32, chunks: Iterable[bytes]) -> tuple[int, int]:
        """Write a segment's change, and return its member number and the bytes of its text."""
        with self._lock:
            member = self._members
            self._members += 1
        size = 0
        if len(gone):
            size += self._write(f"{member}.gone", gone_text(gone))
        for part in joined(chunks, PART_BYTES):
            size += self._write(f"{member}.new", part)
        return member, size

    def _write(self, name: str, content: bytes) -> int:
        described = tarfile.TarInfo(name)
        described.size = len(content)
        described.mode = 0o600
        with self._lock:
            self._tar.addfile(described, io.BytesIO(content))
        return len(content)

    def close(self) -> None:
        """Write the tar's end."""
        self._tar.close()

    def abandon(self) -> None:
        """Let go of the output, whatever has become of it; tarfile would write its end when it is collected."""
        with suppress(OSError, ValueError):
            self._tar.close()


@dataclass(frozen=True, slots=True)
class Part:
    """A member of the tar: of which segment's change, what it is, and its content in chunks, to be read at once."""

    member: int
    kind: Literal["gone", "new"]
    size_bytes: int
    chunks: Iterator[bytes]


class _PlainMember(tarfile.TarInfo):
    """A member without extended headers: tarfile would read these into memory, however large they say they are."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise IntegrityError(f"a delta object holds {self.name!r}, which does not belong there")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc] # not in its public interface
        return member


def read_delta(stream: IO[bytes]) -> Iterator[Part]:
    """Yield the members of a delta object's tar in order; raise `IntegrityError` for anything that is not one."""
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_PlainMember) as archive:
            for described in archive:
                match = _NAME.fullmatch(described.name)
                opened = archive.extractfile(described) if described.isreg() else None
                if match is None or opened is None:
                    raise IntegrityError(f"a delta object holds {described.name!r}, which does not belong there")
                kind: Literal["gone", "new"] = "gone" if match[2] == "gone" else "new"
                yield Part(int(match[1]), kind, described.size, iter(partial(opened.read, PART_BYTES), b""))
    except tarfile.TarError as error:
        raise IntegrityError(f"a delta object cannot be read: {error}") from error
