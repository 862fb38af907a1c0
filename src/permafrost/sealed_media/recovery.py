"""Finds out again what a store holds, after the state was lost: its objects by the list, its files by the catalog."""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from permafrost.errors import IntegrityError
from permafrost.repository.layout import object_of_path
from permafrost.repository.media_list import ListPart, lines_of
from permafrost.repository.objects import StoredObject
from permafrost.sealed_media.index import SealedIndex
from permafrost.sealed_media.layout import SealedStore
from permafrost.sealed_media.lines import SealedFile, parse_listed
from permafrost.sealed_media.reading import StoreReader
from permafrost.sealed_media.state import NO_INODE, FileFacts, Place, SealedState

_CHUNK_BYTES = 1 << 20


def adopt_objects(store: SealedStore, index: SealedIndex, state: SealedState) -> None:
    """Record the objects that the published list names, so that they stay; what cannot be read names none."""
    catalog = {part.name for part in index.catalog}
    with state.together():
        for part in index.parts:
            try:
                for stored, is_needed in _listed(store, part):
                    if is_needed:
                        state.adopt_object(stored, "catalog" if stored.name in catalog else "pack")
                    else:
                        state.forget_object(stored.name)
            except (OSError, IntegrityError, zstandard.ZstdError):
                continue


def _listed(store: SealedStore, part: ListPart) -> Iterator[tuple[StoredObject, bool]]:
    with (
        (store.parts / part.file_name).open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as reader,
    ):
        for line in lines_of(iter(lambda: reader.read(_CHUNK_BYTES), b"")):
            row = parse_listed(line)
            name = object_of_path(row.folder.encode("ascii")) or ""
            size = row.files[0].size_bytes if row.files else None
            yield StoredObject(name, size or 0), size is not None


def adopt_files(reader: StoreReader, index: SealedIndex, state: SealedState) -> None:
    """Record the files of the catalog, which the key opens; those in objects that are not known stay to be sealed.

    Raise `IntegrityError` or `KeyFileError` if a segment cannot be read, and record none then.
    """
    with state.together():
        for part in index.catalog:
            for said in reader.catalog_lines(StoredObject(part.name, part.size_bytes)):
                if not isinstance(said, SealedFile):
                    state.forget_file(said)
                elif (number := state.number_of(said.object_name)) is not None:
                    facts = FileFacts(said.path, NO_INODE, said.size_bytes, said.mtime_ns, said.mode)
                    state.put(facts, bytes.fromhex(said.sha256), Place(number, said.offset), is_new=False)
