"""Seals what has changed among the media since the last run: new files, other permissions, and what is gone.

Every file is looked at, and only what is not the one that was sealed is read. Packs are recorded as soon as they are
durable, and what was sealed is published now and then, so a long first run can be killed anywhere, and is resumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from permafrost.errors import ConfigurationError
from permafrost.events import Progress, Reporter
from permafrost.sealed_media.ignores import Ignores
from permafrost.sealed_media.packs import ChangedFileError, Packer, Sealer, facts_of
from permafrost.sealed_media.publishing import Moment, Publisher
from permafrost.sealed_media.state import NO_INODE, FileFacts, SealedState
from permafrost.small_files import open_regular
from permafrost.vault.media.walk import Presence, files_below

PUBLISHED_EVERY_BYTES = 1 << 30
"""So much is sealed at most before it is published."""
WORN_SHARE = 0.05
"""Of all packs, in bytes, at most so much is sealed again in a run that does that."""
SMALL_PACK_BYTES = 1 << 20
_COMMIT_EVERY = 1000
_TELL_EVERY = 10_000
_NAMED_AT_MOST = 5


@dataclass(slots=True)
class Looked:
    """What a run saw: files that are sealed or were, `removed` ones, and those that could not be read."""

    files: int = 0
    removed: int = 0
    not_sealed: int = 0
    first_not_sealed: list[str] = field(default_factory=list)

    def odd(self, path: bytes, reason: str) -> None:
        """Count a path that is not sealed."""
        self.not_sealed += 1
        if len(self.first_not_sealed) < _NAMED_AT_MOST:
            shown = path.decode("utf-8", "backslashreplace") or "the media folder"
            self.first_not_sealed.append(f"{shown}: {reason}")


class SealingRun:
    """One run over the media folder."""

    def __init__(
        self,
        media: Path,
        ignores: Ignores,
        state: SealedState,
        sealer: Sealer,
        publisher: Publisher,
        moment: Moment,
        report: Reporter,
        published: Callable[[], object],
    ) -> None:
        """`published` is called whenever the index has been replaced."""
        self._root = os.fsencode(media)
        self._ignores = ignores
        self._state = state
        self._publisher = publisher
        self._moment = moment
        self._report = report
        self._published = published
        self._packer = Packer(state, sealer)
        self._worn: frozenset[int] = frozenset()
        self._published_bytes = 0
        self.looked = Looked()

    @property
    def packer(self) -> Packer:
        """What has been sealed."""
        return self._packer

    def do(self, *, rewrites: bool) -> None:
        """Seal what is new, record what is gone, and publish both; `rewrites`: worn and small packs are replaced."""
        if rewrites:
            self._worn = self._state.wear_out(WORN_SHARE, SMALL_PACK_BYTES)
        self._seal_new()
        self._end_gone()
        self._publish()

    def _seal_new(self) -> None:
        for folder, path, name in files_below(self._root, self.looked.odd, leaves_out=self._ignores.prunes):
            if self._ignores.leaves_out(path):
                continue
            self.looked.files += 1
            try:
                self._look_at(folder, path, name)
            except FileNotFoundError:
                continue  # gone since it was listed
            except (OSError, ChangedFileError) as error:
                self.looked.odd(path, str(error.strerror if isinstance(error, OSError) else error))
            if self.looked.files % _COMMIT_EVERY == 0:
                self._state.commit()
            if self.looked.files % _TELL_EVERY == 0:
                self._tell()
        self._packer.flush()
        self._state.commit()

    def _look_at(self, folder: int, path: bytes, name: bytes) -> None:
        found = facts_of(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
        known = self._state.known(path)
        if known is not None and known[1] not in self._worn and _is_same(known[0], found):
            if known[0] != found:
                self._state.touch(found)
            return
        descriptor = open_regular(os.fsdecode(name), folder=folder)
        try:
            has_sealed = self._packer.add(facts_of(path, os.fstat(descriptor)), descriptor)
        finally:
            os.close(descriptor)
        if has_sealed:
            self._tell()
            done_bytes = self._packer.done.object_bytes - self._published_bytes
            if done_bytes >= PUBLISHED_EVERY_BYTES and not self._publisher.is_anew:
                self._packer.flush()
                self._publish()

    def _end_gone(self) -> None:
        """Record which of the sealed files are gone, or are left out by now."""
        if not self.looked.files and self._state.totals()[0]:
            raise ConfigurationError(
                f"the media folder {os.fsdecode(self._root)} has no files any more",
                unchanged="everything that was sealed",
                hint="is its disk mounted? If the files are really gone, remove [media] from the configuration",
            )
        with closing(Presence(self._root)) as presence:
            for path in self._paths():
                if self._ignores.leaves_out(path) or presence.is_gone(path):
                    self._state.remove(path)
                    self.looked.removed += 1
        self._state.commit()

    def _paths(self) -> Iterator[bytes]:
        batch = self._state.paths_after(None)
        while batch:
            yield from batch
            self._state.commit()
            batch = self._state.paths_after(batch[-1])

    def _publish(self) -> None:
        self._published_bytes = self._packer.done.object_bytes
        if self._publisher.publish(self._moment):
            self._published()

    def _tell(self) -> None:
        self._report(Progress(self._packer.done.content_bytes, None, "bytes"))


def _is_same(known: FileFacts, found: FileFacts) -> bool:
    """Return whether the file is the one that was sealed, by what changes whenever its bytes do."""
    return (known.size_bytes, known.mtime_ns) == (found.size_bytes, found.mtime_ns) and known.inode in (
        found.inode,
        NO_INODE,
    )
