"""The invitation: one printable line that carries all that a vault needs to join a server, and a one-time secret.

The line pins the server's device id, so the vault speaks to nobody else, and its fingerprint, so it believes no
other signature. The secret proves the vault: it shows the server, as its device name in Syncthing's greeting, a
proof that only a holder of the secret can make, and that is bound to both device ids, so that nobody who overhears
it can use it. A server admits a device by its proof alone.

The line begins with `permafrost-invite-1.` (line.py). Line and proof are pure: clock and randomness are handed in.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from permafrost.config.values import DeviceAddress, DeviceId, Name
from permafrost.vault.line import encode, read_line, write_line

SECRET_BYTES = 20
PROOF_PREFIX = "permafrost-join-1."
LINE_PREFIX = "permafrost-invite-1."
_ASK_AGAIN = "copy the complete line again, or get a new one on the server: permafrost vault invite NAME"

FolderId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
RepositoryId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Fingerprint = Annotated[str, Field(pattern=r"^(?:[0-9A-F]{40}|[0-9A-F]{64})$")]
Secret = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * SECRET_BYTES}}}$", repr=False)]


def _whole_second(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(microsecond=0)


WholeSecond = Annotated[datetime, AfterValidator(_whole_second)]


def media_list_folder_id(repository_id: str) -> str:
    """Return the id of the folder of a media list that is not in the repository; no invitation names it.

    A vault that gets the media is always ready to receive it, and a server sends it once another one gets sealed media.
    """
    return f"permafrost-{repository_id}-media-list"


class OfferedFolder(BaseModel):
    """A folder that a server shares with a vault: two that it sends, and one for the receipts that it gets back.

    Media are sent as they are, or sealed; a vault of a version that does not know the latter refuses the invitation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder_id: FolderId
    kind: Literal["repository", "media", "media-keys", "sealed-media", "receipts"]


class Invitation(BaseModel):
    """What a server offers to one vault, once, until `expires_at` (UTC, whole seconds)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server_name: Name
    server_device_id: DeviceId
    repository_id: RepositoryId
    fingerprint: Fingerprint
    vault_name: Name
    folders: Annotated[tuple[OfferedFolder, ...], Field(min_length=1, max_length=3)]
    addresses: Annotated[tuple[DeviceAddress, ...], Field(max_length=16)] = ()
    secret: Secret
    expires_at: WholeSecond

    @model_validator(mode="after")
    def _one_folder_of_a_kind(self) -> Self:
        kinds = [folder.kind for folder in self.folders]
        if "repository" not in kinds or len({kind.removeprefix("sealed-") for kind in kinds}) != len(kinds):
            raise ValueError("needs one repository folder, and at most one for media and one for receipts")
        if {"media", "media-keys"} <= set(kinds):
            raise ValueError("media are sent, or fetched from an object store, and not both")
        return self

    def has_expired(self, now: datetime) -> bool:
        """Return whether it is too late at `now`."""
        return now >= self.expires_at

    def proof_of(self, vault_device_id: str) -> str:
        """Return what the vault with that device id shows to be let in."""
        return join_proof(self.secret, self.server_device_id, vault_device_id, self.vault_name)

    def as_line(self) -> str:
        """Return the invitation as the line that the vault's admin is given. It is a secret until it is used."""
        return write_line(LINE_PREFIX, self)


def parse_invitation(line: str) -> Invitation:
    """Return the invitation in `line`; blanks and line breaks that mail or a terminal put in do not matter.

    Raise `UsageError` if it is none, was cut or mistyped, or says what no server of ours would.
    """
    return read_line(LINE_PREFIX, line, Invitation, ask_again=_ASK_AGAIN)


def join_proof(secret: str, server_device_id: str, vault_device_id: str, vault_name: str) -> str:
    """Return the device name by which a holder of `secret` (hexadecimal) proves that it was invited."""
    said = "\0".join(("permafrost join 1", server_device_id, vault_device_id, vault_name))
    return PROOF_PREFIX + encode(hmac.digest(bytes.fromhex(secret), said.encode("utf-8"), "sha256"))
