"""The messages between a vault that sends back and the new server that receives.

The new server makes the invitation, and the vault dials it, as when the vault was paired: the server is the one that
can be reached. The line pins the new server's device id, so the vault sends to no other; with the proof that a vault
shows (invitation.py) the new server lets in no other. Its fingerprint, from the recovery sheet, lets the vault refuse
before anything is sent if it keeps something else.

Both folders of the copy travel as one folder of Syncthing, with `sent.json` beside them: how many files there are, and
a hash over all their names and sizes. So the new server knows by itself when it has everything.
"""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from permafrost.config.values import DeviceAddress, DeviceId, Name
from permafrost.errors import IntegrityError
from permafrost.small_files import NotAFileError, opened_folder, read_small
from permafrost.vault.invitation import (
    Fingerprint,
    FolderId,
    RepositoryId,
    Secret,
    WholeSecond,
    join_proof,
)
from permafrost.vault.line import read_line, write_line

SENT_FILE = "sent.json"
REPOSITORY = "repository"
MEDIA = "media"
_LINE_PREFIX = "permafrost-receive-1."
_ASK_AGAIN = "copy the complete line again, or get a new one on the new server: permafrost vault receive --to DIR"
_SENT_BYTES = 65536
REQUEST_BYTES = 65536
_Count = Annotated[int, Field(ge=0)]


class SendBackRequest(BaseModel):
    """What a new server asks a vault for, until `expires_at` (UTC, whole seconds)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device_id: DeviceId
    folder_id: FolderId
    addresses: Annotated[tuple[DeviceAddress, ...], Field(max_length=16)] = ()
    fingerprint: Fingerprint | None = None
    secret: Secret
    expires_at: WholeSecond

    def has_expired(self, now: datetime) -> bool:
        """Return whether it is too late at `now` to begin; what has begun may go on."""
        return now >= self.expires_at

    def proof_of(self, vault_device_id: str) -> str:
        """Return what the vault with that device id shows to be let in."""
        return join_proof(self.secret, self.device_id, vault_device_id, self.folder_id)

    def as_line(self) -> str:
        """Return the request as the line that the vault's admin is given. It is a secret until it is used."""
        return write_line(_LINE_PREFIX, self)


def parse_request(line: str) -> SendBackRequest:
    """Return the request in `line`; raise `UsageError` if it is none, or was cut or mistyped."""
    return read_line(_LINE_PREFIX, line, SendBackRequest, ask_again=_ASK_AGAIN)


class FolderSum(BaseModel):
    """What all the files below a folder come to; `listing` is a SHA-256 over their names and sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: _Count
    size_bytes: _Count
    listing: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Sent(BaseModel):
    """What a vault has laid out to be sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    server: Name
    repository_id: RepositoryId
    fingerprint: Fingerprint
    snapshots: _Count
    media_as_of: str | None
    """The snapshot at whose arrival the media were like this; None if there are none."""
    repository: FolderSum
    media: FolderSum | None

    @property
    def size_bytes(self) -> int:
        """The size of everything."""
        return self.repository.size_bytes + (self.media.size_bytes if self.media else 0)

    def is_whole(self, copy: Path) -> bool:
        """Return whether all of it is in the folder `copy`, by names and sizes.

        Raise `IntegrityError` if something else than files and folders is there.
        """
        expected = {REPOSITORY: self.repository, MEDIA: self.media}
        return all(sums is None or sum_of(copy / name) == sums for name, sums in expected.items())


def read_sent(copy: Path) -> Sent | None:
    """Return what is said to be sent, None if that has not come; raise `IntegrityError` if it makes no sense."""
    try:
        with opened_folder(copy) as folder:
            return Sent.model_validate_json(read_small(SENT_FILE, _SENT_BYTES, folder=folder))
    except FileNotFoundError:
        return None
    except (ValidationError, NotAFileError) as error:
        raise IntegrityError(f"the vault sends a {SENT_FILE} that cannot be read") from error


def sum_of(folder: Path) -> FolderSum:
    """Return what is below `folder`, nothing if it is not there; unfinished files of Syncthing's count too.

    Raise `IntegrityError` if something else than files and folders is there: no honest vault sends that.
    """
    digest = hashlib.sha256()
    files = size = 0
    root = os.fsencode(folder)
    pending = [root] if folder.exists() or folder.is_symlink() else []
    while pending:
        place = pending.pop()
        if Path(os.fsdecode(place)).is_symlink():
            raise IntegrityError(f"{os.fsdecode(place)} is a link, not a folder")
        with os.scandir(place) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                size_bytes = entry.stat(follow_symlinks=False).st_size
                digest.update(b"%b\0%d\n" % (os.path.relpath(entry.path, root), size_bytes))
                files += 1
                size += size_bytes
            else:
                raise IntegrityError(f"{os.fsdecode(entry.path)} is neither a file nor a folder")
    return FolderSum(files=files, size_bytes=size, listing=digest.hexdigest())
