"""Admission: the invitations that a server has issued, and the verdict on each machine that connects.

Open invitations lie in the state folder, one small file each. Losing them only means to invite again: which vaults
are paired is in Syncthing's own configuration. A used one stays until it expires, so that a second use can be told
from a wrong one.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from permafrost.repository.durable import make_folder_durably, write_durably
from permafrost.small_files import read_small
from permafrost.syncthing.answers import PendingDevice
from permafrost.vault.invitation import PROOF_PREFIX, Invitation, join_proof

_MOST_BYTES = 1 << 16


class GivenInvitation(BaseModel):
    """What a server remembers of an invitation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vault_name: str
    secret: str = Field(repr=False)
    expires_at: datetime
    sealed_media: bool = False
    """Whether the vault gets sealed media only."""
    used_by: str | None = None
    """The device id of the vault that was let in with it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a device that knocks: let it in for `invitation`, or refuse it for `refusal`."""

    device_id: str
    invitation: GivenInvitation | None = None
    refusal: str = ""


def judge(
    device: PendingDevice, server_device_id: str, given: tuple[GivenInvitation, ...], now: datetime
) -> Verdict | None:
    """Return the verdict on a device that knocks, None if it shows no proof at all and is not ours to judge."""
    if not device.name.startswith(PROOF_PREFIX):
        return None
    for invitation in given:
        proof = join_proof(invitation.secret, server_device_id, device.device_id, invitation.vault_name)
        if not hmac.compare_digest(proof.encode("utf-8"), device.name.encode("utf-8")):
            continue
        if invitation.used_by not in (None, device.device_id):
            return Verdict(device.device_id, refusal=f"the invitation of {invitation.vault_name} was used already")
        if now >= invitation.expires_at:
            return Verdict(device.device_id, refusal=f"the invitation of {invitation.vault_name} has expired")
        return Verdict(device.device_id, invitation)
    return Verdict(device.device_id, refusal="its proof matches no invitation of this server")


class InvitationStore:
    """The invitations given, as files 0600 in a folder 0700."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, invitation: Invitation) -> None:
        """Remember a new invitation; an older one for the same vault is no longer valid."""
        given = GivenInvitation(
            vault_name=invitation.vault_name,
            secret=invitation.secret,
            expires_at=invitation.expires_at,
            sealed_media=any(folder.kind == "sealed-media" for folder in invitation.folders),
        )
        self._write(given)

    def all(self) -> tuple[GivenInvitation, ...]:
        """Return the invitations, used and expired ones too; a damaged file counts as none."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(GivenInvitation.model_validate_json(read_small(path, _MOST_BYTES)))
            except (OSError, ValidationError):
                continue
        return tuple(found)

    def mark_used(self, invitation: GivenInvitation, device_id: str) -> None:
        """Make the invitation good for that device only, from now on and after a power cut."""
        self._write(invitation.model_copy(update={"used_by": device_id}))

    def forget(self, vault_name: str) -> None:
        """Take back the invitation for that vault, if there is one."""
        self._place(vault_name).unlink(missing_ok=True)

    def forget_older_than(self, moment: datetime) -> None:
        """Forget what expired before `moment`."""
        for given in self.all():
            if given.expires_at < moment:
                self.forget(given.vault_name)

    def _write(self, given: GivenInvitation) -> None:
        make_folder_durably(self._folder, 0o700)
        write_durably(self._place(given.vault_name), given.model_dump_json().encode("utf-8") + b"\n", 0o600)

    def _place(self, vault_name: str) -> Path:
        return self._folder / f"{vault_name}.json"
