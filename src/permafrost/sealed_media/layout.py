"""Names and places in a sealed media store (docs/format.md, section 10).

    sealed-media.json        signed: the list's parts, and the objects of the catalog
    list/NAME.zst            a part of the list: the objects that there must be, for a vault that has no key
    objects/ab/abcd....gpg   packs of files, and segments of the catalog; no name says which
    signing-key.asc          the public key of the signature
    restore_media.py         restores the files with Python's standard library, gpg and zstd

Objects are those of a repository, and lie as there. `tmp/`, `lock` and what begins with a dot are never sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from permafrost.repository.layout import Layout

INDEX_FILE = "sealed-media.json"
LIST = "list"
SCRIPT = "restore_media.py"


@dataclass(frozen=True, slots=True)
class SealedStore:
    """The places in the store at `root`."""

    root: Path

    @property
    def layout(self) -> Layout:
        """The places that it has as a repository has them: objects, tmp and lock."""
        return Layout(self.root)

    @property
    def index(self) -> Path:
        """The signed index."""
        return self.root / INDEX_FILE

    @property
    def parts(self) -> Path:
        """The folder of the list's parts."""
        return self.root / LIST

    @property
    def exists(self) -> bool:
        """Whether there is a store, with something in it or not."""
        return self.layout.objects.is_dir()
