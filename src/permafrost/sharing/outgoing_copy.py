"""What a vault sends back to a new server, and where that is in the vault until it has been sent.

That is not right beside the received folders, whose place is known: it is in a folder of its own, with the request
that it answers, so that a sending-back that was cut short can go on.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from permafrost.events import Note, Reporter
from permafrost.repository.durable import make_folder_durably, write_durably
from permafrost.sharing.copy_layout import lay_out_copy
from permafrost.small_files import read_small
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Folder, unshare
from permafrost.vault.sending import REQUEST_BYTES, SendBackRequest, Sent, read_sent
from permafrost.vault.settings import Vault, VaultServer

_REQUEST = "request.json"


@dataclass(frozen=True, slots=True)
class OutgoingCopy:
    """The copy of one server's history that answers one request."""

    vault: Vault
    server: VaultServer
    request: SendBackRequest

    @property
    def folder(self) -> Folder:
        """The folder as Syncthing should have it."""
        return Folder(self.request.folder_id, f"{self.server.name} sent back", self._copy, "copy", is_sent=True)

    def begun(self) -> SendBackRequest | None:
        """Return the request that the vault has begun to answer, if any."""
        return _begun(self.vault, self.server)

    def lay_out(self, snapshot: str | None, report: Reporter) -> Sent:
        """Make everything lie in the copy, if an earlier run has not done so, and return what it is.

        `snapshot` says as of when the media are; None for the newest.
        """
        there = read_sent(self._copy)
        if there is not None:  # written last
            report(Note("continuing with what was laid out before"))
            return there
        place = outgoing_place(self.vault, self.server)
        make_folder_durably(place, 0o700)
        write_durably(place / _REQUEST, self.request.model_dump_json().encode("utf-8"), 0o600)
        return lay_out_copy(self.vault, self.server, snapshot, self._copy, report)

    @property
    def _copy(self) -> Path:
        return outgoing_place(self.vault, self.server) / "copy"


def outgoing_place(vault: Vault, server: VaultServer) -> Path:
    """Return the folder that exists while something of the server's is being sent back."""
    return vault.root / server.name / "sending-back"


def take_copy_away(client: Client, vault: Vault, server: VaultServer) -> None:
    """Make neither folder, device nor copy of an earlier sending-back be there."""
    request = _begun(vault, server)
    if request is not None:
        if client.folder(request.folder_id) is not None:
            client.remove_folder(request.folder_id)
        unshare(client, [request.folder_id], request.device_id)
    shutil.rmtree(outgoing_place(vault, server), ignore_errors=True)


def _begun(vault: Vault, server: VaultServer) -> SendBackRequest | None:
    with suppress(OSError, ValueError):
        return SendBackRequest.model_validate_json(read_small(outgoing_place(vault, server) / _REQUEST, REQUEST_BYTES))
    return None
