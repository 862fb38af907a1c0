"""A repository: created once, opened by every command, never without checking its format number."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.repository.durable import fsync_folder, make_folder_durably, space_errors, write_durably
from permafrost.repository.layout import FOLDER_MODE, FORMAT, Layout, is_repository_id
from permafrost.small_files import read_small

SMALL_BYTES = 1 << 20
"""repository.json, signing-key.asc and the emergency files have a tenth of it."""
_EMERGENCY_FILES = (("README.txt", 0o444), ("restore.py", 0o555))
EMERGENCY_NAMES = tuple(name for name, _ in _EMERGENCY_FILES)


class RepositoryFacts(BaseModel):
    """repository.json: what a reader has to know before it can read anything else. Never a secret."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int
    repository: str
    made_at: datetime
    sealing: Literal["passphrase", "recipients"]
    recipients: tuple[str, ...] = ()
    signing_key: str


@dataclass(frozen=True, slots=True)
class Repository:
    """An opened repository of a known format."""

    path: Path
    facts: RepositoryFacts

    @property
    def layout(self) -> Layout:
        """Its places."""
        return Layout(self.path)

    @property
    def repository_id(self) -> str:
        """Its id: 32 hexadecimal digits, the same in every copy."""
        return self.facts.repository

    @property
    def fingerprint(self) -> str:
        """The signing key's fingerprint, as repository.json claims it; what is trusted comes from elsewhere."""
        return self.facts.signing_key

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        sealing: Literal["passphrase", "recipients"],
        recipients: tuple[str, ...],
        fingerprint: str,
        signing_public_key: bytes,
        now: datetime,
        repository_id: str | None = None,
    ) -> Repository:
        """Make an empty repository at `path`, which must not be there or be an empty folder; its id is a new one.

        repository.json is written last: before it, the folder is not a repository. Raise `RepositoryError` if
        something exists already.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RepositoryError(
                f"{path} already exists and is not empty", unchanged="everything", hint="choose another folder"
            )
        facts = RepositoryFacts(
            format=FORMAT,
            repository=repository_id or new_repository_id(),
            made_at=now.astimezone(UTC).replace(microsecond=0),
            sealing=sealing,
            recipients=recipients,
            signing_key=fingerprint,
        )
        layout = Layout(path)
        with space_errors(path):
            for folder in (path, layout.objects, layout.snapshots):
                make_folder_durably(folder, FOLDER_MODE)
        repository = cls(path, facts)
        repository.prepare_for_writing()
        repository.place_emergency_files()
        write_durably(layout.signing_key, signing_public_key, 0o444)
        write_durably(layout.facts, facts.model_dump_json(indent=2).encode() + b"\n", 0o444)
        return repository

    @classmethod
    def open(cls, path: Path) -> Repository:
        """Return the repository at `path`; raise `RepositoryError` if there is none or its format is not known."""
        layout = Layout(path)
        try:
            content = read_small(layout.facts, SMALL_BYTES)
        except OSError as error:
            raise RepositoryError(
                f"no repository at {path}: {layout.facts.name} cannot be read ({error.strerror})",
                hint="give the folder that contains repository.json, or create one with permafrost init",
            ) from error
        try:
            facts = RepositoryFacts.model_validate_json(content)
        except ValidationError as error:
            raise IntegrityError(
                f"{layout.facts} is not what permafrost writes: {error.errors()[0]['msg']}",
                hint="copy this file from another vault",
            ) from error
        if facts.format != FORMAT:
            raise RepositoryError(
                f"the repository at {path} has format {facts.format}, but this permafrost only knows format {FORMAT}",
                hint="use the permafrost release that wrote it, or a newer one; restore.py in the folder may also work",
            )
        if not is_repository_id(facts.repository):
            raise IntegrityError(f"{layout.facts} has no valid repository id", hint="copy it from another vault")
        return cls(path, facts)

    def seal_from_now_on(self, sealing: Literal["passphrase", "recipients"], recipients: tuple[str, ...]) -> None:
        """Make repository.json name this way of sealing, if it names another."""
        facts = self.facts.model_copy(update={"sealing": sealing, "recipients": recipients})
        if facts != self.facts:
            write_durably(self.layout.facts, facts.model_dump_json(indent=2).encode() + b"\n", 0o444)

    def prepare_for_writing(self) -> None:
        """Make the folder of unfinished files, and empty it of what a run that died left there.

        Only a holder of the lock (or the maker of the repository) may call this.
        """
        temporary = self.layout.temporary
        with space_errors(self.path):
            temporary.mkdir(mode=0o700, exist_ok=True)
        for left_over in temporary.iterdir():
            if left_over.is_dir() and not left_over.is_symlink():
                _make_removable(left_over)
                shutil.rmtree(left_over)
            else:
                left_over.unlink()
        fsync_folder(self.path)

    def place_emergency_files(self) -> None:
        """Put README.txt and restore.py of this version into the repository, if they are not there as they are."""
        for name, mode in _EMERGENCY_FILES:
            content = emergency_file(name)
            place = self.path / name
            if _small_content(place) != content:
                write_durably(place, content, mode)


def _small_content(place: Path) -> bytes | None:
    """Return the file's bytes, None if there is none, or something else."""
    try:
        return read_small(place, SMALL_BYTES)
    except OSError:
        return None


def new_repository_id() -> str:
    """Return an id that no other repository has."""
    return secrets.token_hex(16)


def emergency_file(name: str) -> bytes:
    """Return README.txt or restore.py as this version ships it."""
    return resources.files("permafrost.repository").joinpath("emergency", name).read_bytes()


def _make_removable(folder: Path) -> None:
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o700)
