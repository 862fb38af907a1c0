"""Sealed objects: what goes in is encrypted before it reaches the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import zstandard

from permafrost.errors import PermafrostError
from permafrost.openpgp.sealing import Sealing, explain_sealing, seal_program
from permafrost.processes.pipeline import Pipeline
from permafrost.processes.program import Finished, Program
from permafrost.repository.layout import Layout
from permafrost.repository.objects import StoredObject, put_object
from permafrost.timing import WorkTimes

Explain = Callable[[Finished], PermafrostError | None]

SILENCE_S = 1800.0
"""How long a chain of programs may produce nothing: pg_dump reads the catalog and waits for locks in silence."""


def put_sealed(
    layout: Layout,
    home: Path,
    sealing: Sealing,
    *,
    programs: Sequence[Program] = (),
    source: Iterable[bytes] | None = None,
    explain: Explain | None = None,
    on_bytes: Callable[[int], None] | None = None,
    times: WorkTimes | None = None,
) -> StoredObject:
    """Store what `programs` write (or `source` yields, through them) as one sealed object, once all have ended well.

    `explain` turns a program's failure into a telling error; `on_bytes` hears how many sealed bytes there are. Of
    `times`, "seal" is what is left of the whole when the source does not keep gpg and the disk waiting.
    """

    def judged(finished: Finished) -> PermafrostError | None:
        return (explain(finished) if explain else None) or explain_sealing(finished)

    def put(source: Iterable[bytes] | None) -> StoredObject:
        with Pipeline([*programs, seal_program(sealing, home)], source=source, silence_s=SILENCE_S) as pipeline:
            return put_object(layout, _counted(pipeline.chunks(), on_bytes), lambda: pipeline.finish(judged))

    if times is None or source is None:
        return put(source)
    with times.around("seal", source) as metered:
        return put(metered)


def compressed(
    chunks: Iterable[bytes], parameters: zstandard.ZstdCompressionParameters, times: WorkTimes
) -> Iterator[bytes]:
    """Yield `chunks` compressed by zstd, as one frame."""
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    for chunk in chunks:
        with times.of("compress"):
            out = compressor.compress(chunk)
        if out:
            yield out
    with times.of("compress"):
        out = compressor.flush()
    yield out


def _counted(chunks: Iterable[bytes], on_bytes: Callable[[int], None] | None) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if on_bytes is not None:
            on_bytes(size)
        yield chunk


def seal_bytes(home: Path, sealing: Sealing, content: bytes) -> bytes:
    """Return `content` as one sealed message."""
    with Pipeline([seal_program(sealing, home)], source=[content], silence_s=SILENCE_S) as pipeline:
        sealed = b"".join(pipeline.chunks())
        pipeline.finish(explain_sealing)
    return sealed
