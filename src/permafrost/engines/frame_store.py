"""Stores a log snapshot's frame, unless it is the same as the last one.

The frame is pg_dump's archive without the rows of logged tables and without sequence values: the schema, large
objects, and what pg_dump keeps. It changes only when one of these does, so the same one serves many snapshots. Its
bytes are compared by a hash with the archive's own time of making blanked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import zstandard

from permafrost.engines.context import RunContext
from permafrost.openpgp.sealing import explain_sealing, seal_program
from permafrost.postgres.programs.archive_header import HEAD_BYTES, mask_archive_time
from permafrost.postgres.programs.dump_program import explain_pg_dump
from permafrost.processes.pipeline import Pipeline
from permafrost.processes.program import Program
from permafrost.repository.objects import StoredObject, put_object
from permafrost.repository.sealed import SILENCE_S, compressed

_LEVEL = zstandard.ZstdCompressionParameters.from_level(3)


class _SameAsBeforeError(Exception):
    """The frame turned out to be the one that is stored already."""


class _Hashed:
    """Passes an archive on and hashes it with its time of making blanked; `digest` is None if that is not known."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha256()
        self.digest: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        head = b""
        for chunk in self._chunks:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        masked = mask_archive_time(head)
        self._hash.update(masked or head)
        yield head
        for chunk in self._chunks:
            self._hash.update(chunk)
            yield chunk
        self.digest = self._hash.hexdigest() if masked is not None else None


def store_frame(
    run: RunContext, dump: Program, known: tuple[str, StoredObject] | None
) -> tuple[StoredObject, str | None, bool]:
    """Run pg_dump, and return the frame's object, its digest, and whether it was stored now.

    `known` is the digest and object of the last frame; if the new one has the same digest, nothing is stored.
    """
    with Pipeline([dump], silence_s=SILENCE_S) as dumping:
        hashed = _Hashed(dumping.chunks())
        sealing = Pipeline(
            [seal_program(run.sealing, run.home)], source=compressed(hashed, _LEVEL, run.times), silence_s=SILENCE_S
        )

        def finish() -> None:
            sealing.finish(explain_sealing)
            dumping.finish(explain_pg_dump)
            if known is not None and hashed.digest == known[0]:
                raise _SameAsBeforeError

        with sealing:
            try:
                return put_object(run.layout, sealing.chunks(), finish), hashed.digest, True
            except _SameAsBeforeError:
                assert known is not None  # noqa: S101 - only raised then
                return known[1], hashed.digest, False
