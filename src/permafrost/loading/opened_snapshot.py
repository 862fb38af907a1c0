"""A snapshot opened for reading: its manifest, and its objects as streams of the programs that open them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from permafrost.config.outside import MOST_SECRET_BYTES
from permafrost.errors import PermafrostError
from permafrost.openpgp.sealing import OpeningKey, explain_opening, explain_sealing, open_bytes, open_program
from permafrost.postgres.programs.archive_header import HEAD_BYTES, archive_major
from permafrost.postgres.programs.restore_program import explain_pg_restore
from permafrost.processes.pipeline import Pipeline
from permafrost.processes.program import Finished, Program
from permafrost.repository.layout import SnapshotId
from permafrost.repository.manifest import Manifest
from permafrost.repository.objects import StoredObject, open_object
from permafrost.repository.reading import CheckedSnapshot, check_objects
from permafrost.repository.repository import Repository
from permafrost.repository.secret_archive import SecretFile, unpack_secrets

_UNZSTD = Program(("zstd", "-d", "-q", "-c"))


@dataclass(frozen=True, slots=True)
class OpenedSnapshot:
    """A checked snapshot with the means to read its objects, for as long as its repository is open.

    `key` opens the objects; `home` is the GnuPG home that holds it, if it is a secret key.
    """

    repository: Repository
    key: OpeningKey
    home: Path
    checked: CheckedSnapshot

    @property
    def id(self) -> SnapshotId:
        """The snapshot's name."""
        return self.checked.object_list.snapshot

    @property
    def manifest(self) -> Manifest:
        """What the snapshot is."""
        return self.checked.manifest

    @property
    def frame_index(self) -> int:
        """The index of the object that holds the frame, of which every snapshot has one."""
        (index,) = self.manifest.indices("frame")
        return index

    def stored(self, index: int) -> StoredObject:
        """Return the object at `index` of the snapshot's list."""
        return self.checked.stored(index)

    def check_objects(self, on_bytes: Callable[[int, int], None]) -> None:
        """Read every object and compare it with its name; raise `IntegrityError` for the first bad one.

        `on_bytes` hears bytes done and in all.
        """
        check_objects(self.repository, self.checked, on_bytes)

    @contextmanager
    def unsealed(self, index: int, *programs: Program, reads_all: bool = True) -> Iterator[Pipeline]:
        """Yield gpg that opens the object, piped through `programs`; all have ended well after the block.

        The object's bytes are compared with its name before. What it holds is compressed with zstd. Unless the last
        program `reads_all`, those before it are cut off as soon as it ends well, and how they end then means nothing.
        Raise what the failure of a program means.
        """
        with (
            open_object(self.repository.layout, self.stored(index)) as descriptor,
            Pipeline([open_program(self.key, self.home), *programs], source=descriptor) as pipeline,
        ):
            yield pipeline
            pipeline.finish(_explain, last_only=not reads_all)

    @contextmanager
    def unsealed_frame(self, *programs: Program, reads_all: bool = True) -> Iterator[Pipeline]:
        """Yield the frame's pg_dump archive from its head, piped through `programs`, as `unsealed` does."""
        with self.unsealed(self.frame_index, _UNZSTD, *programs, reads_all=reads_all) as pipeline:
            yield pipeline

    def archive_major(self) -> int:
        """Return the oldest major version of PostgreSQL whose pg_restore can read the frame."""
        with self.unsealed_frame(Program(("head", "-c", str(HEAD_BYTES))), reads_all=False) as pipeline:
            return archive_major(b"".join(pipeline.chunks()))

    def secret_files(self) -> list[SecretFile]:
        """Return the snapshot's secret files, opened in memory."""
        files: list[SecretFile] = []
        for index in self.manifest.indices("secrets"):
            with open_object(self.repository.layout, self.stored(index)) as descriptor:
                packed = open_bytes(self.home, self.key, descriptor, limit_bytes=MOST_SECRET_BYTES)
            files.extend(unpack_secrets(packed))
        return files


def _explain(finished: Finished) -> PermafrostError | None:
    return explain_opening(finished) or explain_pg_restore(finished) or explain_sealing(finished)
