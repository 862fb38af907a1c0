"""A vault joins the servers whose lines its settings name, while it does the rest of its work.

Each line is read when the service starts, and the server is kept from then on, so the file may go once the vault was
let in. Until then the vault shows the invitation's proof as its name (sharing/handshake.py), one server at a time; the
line of a vault that the server declares proves nothing, and nothing has to be proven.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

from permafrost.config.secret_files import read_secret_file
from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.sharing.handshake import FIRST_FILE, Now, now_utc, showing
from permafrost.sharing.vault_side import ensure_server, name_after_joining
from permafrost.syncthing.client import Client
from permafrost.vault.invitation import Invitation, parse_invitation
from permafrost.vault.settings import Vault, VaultServer, with_invitation

DIAL_S = 5.0


class DeclaredServers:
    """Call `learn` at the start, `turn` about once a second while `is_waiting`, and `close` at the end."""

    def __init__(self, report: Reporter, now: Now = now_utc) -> None:
        self._report = report
        self._now = now
        self._waiting: list[Invitation] = []
        self._shown_on: Client | None = None
        self._showing = ExitStack()
        self._dialled = float("-inf")

    @property
    def is_waiting(self) -> bool:
        """Whether a server has not let the vault in yet."""
        return bool(self._waiting)

    def learn(self, vault: Vault) -> Vault:
        """Return the vault with the servers of its lines, recorded. What cannot be read or joined is reported."""
        for file in vault.settings.line_files:
            try:
                vault = self._learn(vault, file)
            except PermafrostError as error:
                if os.path.lexists(file) or not vault.settings.servers:
                    self._report(Warned(f"the line in {file} is of no use: {error.message}"))
        return vault

    def _learn(self, vault: Vault, file: Path) -> Vault:
        invitation = parse_invitation(read_secret_file(file))
        is_known = any(_is_of(invitation, server) for server in vault.settings.servers)
        if invitation.has_expired(self._now()):
            if not is_known:
                self._report(Warned(f"the line in {file} expired at {invitation.expires_at:%Y-%m-%d %H:%M} UTC"))
            return vault
        if not is_known:
            vault = with_invitation(vault, invitation)
            vault.save()
            self._report(Note(f"joining the server {invitation.server_name}"))
        self._waiting.append(invitation)
        return vault

    def turn(self, client: Client | None, vault: Vault) -> None:
        """Let the next server see who asks, or go on once it has let the vault in or the line has expired."""
        if client is None or not self._waiting:
            return
        invitation = self._waiting[0]
        server = next((candidate for candidate in vault.settings.servers if _is_of(invitation, candidate)), None)
        try:
            if server is None:  # removed by hand meanwhile
                self._end(client)
            elif _is_admitted(client, server):
                self._end(client)
                self._report(Note(f"the server {server.name} has admitted this vault"))
            elif invitation.has_expired(self._now()):
                self._end(client)
                self._report(Warned(f"the server {server.name} has not admitted this vault, and its line has expired"))
            else:
                self._knock(client, vault, server, invitation)
        except PermafrostError as error:
            self._report(Warned(f"the server {invitation.server_name} cannot be joined now: {error.message}"))
            self._shown_on = None
            self._dialled = time.monotonic()

    def close(self) -> None:
        """Give the vault its own name back."""
        self._showing.close()
        self._shown_on = None

    def _end(self, client: Client) -> None:
        if self._shown_on is client:
            self.close()
        self._waiting.pop(0)

    def _knock(self, client: Client, vault: Vault, server: VaultServer, invitation: Invitation) -> None:
        if self._shown_on is not client:
            self._showing = ExitStack()  # an earlier client's Syncthing has ended
            own_id = client.own_id()
            name = name_after_joining(client, own_id, vault)
            ensure_server(client, vault, server)
            self._showing.enter_context(showing(client, own_id, invitation.proof_of(own_id), name))
            self._shown_on = client
        if time.monotonic() - self._dialled > DIAL_S:
            self._dialled = time.monotonic()
            if not client.connections()[server.device_id].connected:
                client.dial_again(server.device_id)


def _is_of(invitation: Invitation, server: VaultServer) -> bool:
    theirs = (invitation.server_device_id, invitation.repository_id)
    return (server.device_id, server.repository_id) == theirs


def _is_admitted(client: Client, server: VaultServer) -> bool:
    """Return whether the server has sent what its repository holds, which it does only for a vault that it let in."""
    folder = next(folder.folder_id for folder in server.folders if folder.kind == "repository")
    facts = client.file(folder, FIRST_FILE)
    return facts is not None and server.device_id in facts.available_on
