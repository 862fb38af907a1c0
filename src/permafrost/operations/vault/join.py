"""permafrost vault join: what a vault does with an invitation, until both say that they see each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from permafrost.documents.vault_pairing import VaultJoinDocument
from permafrost.errors import ReplicationError, UsageError
from permafrost.events import Reporter, Steps
from permafrost.sharing.handshake import FIRST_FILE, LOOK_S, TAKEN_S, Now, knock, now_utc, showing
from permafrost.sharing.vault_side import ensure_server, name_after_joining
from permafrost.syncthing.access import opened, wait_for_hangup
from permafrost.syncthing.answers import SyncthingEvent
from permafrost.syncthing.client import Client
from permafrost.vault.invitation import Invitation, parse_invitation
from permafrost.vault.settings import (
    SETTINGS_FILE,
    Vault,
    VaultServer,
    VaultSettings,
    VaultSyncthing,
    open_vault,
    with_invitation,
)

LINGER_S = 3.0


@dataclass(frozen=True, slots=True)
class Joined:
    """What a vault has joined."""

    vault_name: str
    device_id: str
    server: VaultServer
    places: tuple[Path, ...]

    def document(self) -> VaultJoinDocument:
        """Return it for JSON."""
        return VaultJoinDocument(
            vault=self.vault_name,
            device_id=self.device_id,
            server=self.server.name,
            fingerprint=self.server.fingerprint,
            folders=tuple(map(str, self.places)),
        )


def join(
    line: str,
    root: Path,
    *,
    name: str | None = None,
    syncthing: VaultSyncthing | None = None,
    wait_s: float | None = None,
    report: Reporter,
    now: Now = now_utc,
) -> Joined:
    """Make the folder `root` a vault of the server that sent `line`, and return once both see each other.

    An existing vault keeps its name and settings, and gets another server. Waits until the invitation
    expires, or `wait_s`. Raise `UsageError` for a bad or expired line, `ReplicationError` if the server does not
    let the vault in; joining again with a valid line resumes.
    """
    steps = Steps(report, 5)
    with steps.step("read the invitation"):
        invitation = parse_invitation(line)
        left_s = (invitation.expires_at - now()).total_seconds()
        if left_s <= 0:
            raise UsageError(
                f"the invitation expired at {invitation.expires_at:%Y-%m-%d %H:%M} UTC",
                unchanged="everything",
                hint="ask the server for a new one: permafrost vault invite NAME; or is this machine's clock wrong?",
            )
    with steps.step("prepare the vault's folder"):
        vault = _vault_with(root.absolute(), invitation, name, syncthing)
        server = vault.server(invitation.server_name)
        vault.save()
    with opened(vault.syncthing(), vault.settings.name) as client:
        own_id = client.own_id()
        if own_id == server.device_id:
            raise UsageError("this is the server's own Syncthing", hint="join on another machine")
        with showing(client, own_id, invitation.proof_of(own_id), name_after_joining(client, own_id, vault)):
            was_known = client.device(server.device_id) is not None
            with steps.step("prepare the folders in Syncthing"):
                ensure_server(client, vault, server)
            with steps.step("wait for the server to admit the vault"):
                _knock(client, server, left_s if wait_s is None else min(wait_s, left_s), was_known=was_known)
            with steps.step("receive the first file of the repository"):
                _take_first_file(client, server)
    places = tuple(vault.place_of(server, folder) for folder in server.folders if folder.kind != "receipts")
    return Joined(vault.settings.name, own_id, server, places)


def _vault_with(root: Path, invitation: Invitation, name: str | None, syncthing: VaultSyncthing | None) -> Vault:
    known = open_vault(root) if (root / SETTINGS_FILE).exists() else Vault(root=root, settings=VaultSettings())
    settings = with_invitation(known, invitation).settings
    changes = {"name": name or settings.name, "syncthing": syncthing or settings.syncthing}
    try:
        return Vault(root=root, settings=VaultSettings.model_validate({**settings.model_dump(), **changes}))
    except ValidationError as error:
        raise UsageError(
            f"a vault cannot have the name {name!r}",
            unchanged="everything",
            hint="a name has lower-case letters, digits, dots and hyphens, at most 63 of them",
        ) from error


def _knock(client: Client, server: VaultServer, wait_s: float, *, was_known: bool) -> None:
    """Return once the server has sent what its repository holds, which it does only for a vault that it let in."""
    folder_id = _repository_folder(server)

    def is_let_in(events: Sequence[SyncthingEvent]) -> bool:
        if (server.device_id, folder_id) in {(event.data.get("device"), event.data.get("folder")) for event in events}:
            return True
        facts = client.file(folder_id, FIRST_FILE)
        return facts is not None and server.device_id in facts.available_on

    if not knock(client, server.device_id, is_let_in, wait_s, was_known=was_known):
        raise ReplicationError(
            f"the server {server.name} has not admitted this vault",
            unchanged="what the vault holds",
            hint="run permafrost vault accept on the server, and meanwhile join again here with the same line; if it "
            "was used or has expired, with a new one",
        )


def _take_first_file(client: Client, server: VaultServer) -> None:
    """Return once the vault has the first file and the server has had time to learn of it."""
    folder_id = _repository_folder(server)
    deadline = time.monotonic() + TAKEN_S
    seen = client.latest_event(("LocalIndexUpdated",))
    while True:
        facts = client.file(folder_id, FIRST_FILE)
        if facts is not None and facts.local.is_usable and facts.local.version == facts.newest.version:
            break
        if time.monotonic() > deadline:
            raise ReplicationError(
                f"the server {server.name} has admitted this vault, but nothing of its repository has arrived",
                hint="check that this disk has room, and join again with the same line",
            )
        events = client.events(("LocalIndexUpdated",), seen, LOOK_S)
        seen = events[-1].event_id if events else seen
    # If this Syncthing ends with the command, the server must have heard of it; it may hang up when it has.
    wait_for_hangup(client, LINGER_S)


def _repository_folder(server: VaultServer) -> str:
    return next(folder.folder_id for folder in server.folders if folder.kind == "repository")
