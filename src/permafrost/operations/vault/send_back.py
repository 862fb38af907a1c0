"""permafrost vault send-back: a vault sends its history and the media to a new server. The other half: vault_receive.

What goes out comes from the history, which the vault has compared byte by byte and no server can touch. Whatever the
vault still shares with the old server stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from permafrost.documents.vault_copies import VaultSendBackDocument
from permafrost.errors import ConfigurationError, IntegrityError, ReplicationError, UsageError
from permafrost.events import Progress, Reporter, Steps, Warned
from permafrost.openpgp.fingerprints import in_groups
from permafrost.runs import SENT_BACK, RunRecords
from permafrost.sharing.handshake import LOOK_S, Now, knock, now_utc, showing
from permafrost.sharing.outgoing_copy import OutgoingCopy, outgoing_place, take_copy_away
from permafrost.syncthing.access import opened
from permafrost.syncthing.answers import SyncthingEvent
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, ensure_device, ensure_folder
from permafrost.syncthing.holdings import missing_on
from permafrost.vault.sending import SENT_FILE, SendBackRequest, Sent, parse_request
from permafrost.vault.settings import Vault, VaultServer

SILENCE_S = 900.0
_DEVICE = "new server"
_GREETING_BYTES = 1 << 16
_STOP = "permafrost vault send-back --stop --path DIR stops it"


@dataclass(slots=True)
class _Meter:
    """What has left over the connections to a device, and how long that took, as far as `look` has seen it."""

    client: Client
    device_id: str
    _began: float = field(default_factory=time.monotonic)
    _ended: float = field(default_factory=time.monotonic)
    _before: int = 0
    _current: int = 0

    @property
    def sent_bytes(self) -> int:
        """What has left, over all connections."""
        return self._before + self._current

    @property
    def duration_s(self) -> float:
        """How long it took, a look too long at the most: it begins when nothing but a greeting had been sent."""
        return self._ended - self._began

    def look(self) -> None:
        """See how much has left; call it every few seconds."""
        known = self.client.connections().get(self.device_id)
        current = known.sent_bytes if known is not None and known.connected else 0
        if current < self._current:
            self._before += self._current  # the next connection counts from 0
        self._current, self._ended = current, time.monotonic()
        if self.sent_bytes < _GREETING_BYTES:
            self._began, self._before = self._ended, 0


@dataclass(frozen=True, slots=True)
class SentBack:
    """What the new server has taken."""

    server: str
    device_id: str
    sent: Sent
    duration_s: float
    """How long the transfer took, from when the new server had let the vault in."""

    def document(self) -> VaultSendBackDocument:
        """Return it for JSON."""
        return VaultSendBackDocument(
            server=self.server,
            device_id=self.device_id,
            snapshots=self.sent.snapshots,
            media_files=self.sent.media.files if self.sent.media else None,
            media_as_of=self.sent.media_as_of,
            bytes=self.sent.size_bytes,
            duration_s=round(self.duration_s, 1),
        )


def send_back(
    vault: Vault,
    line: str,
    *,
    server_name: str | None = None,
    snapshot: str | None = None,
    silence_s: float = SILENCE_S,
    report: Reporter,
    now: Now = now_utc,
) -> SentBack:
    """Return once the new server that printed `line` holds all that this vault keeps of the server; shares are gone.

    How fast it went is recorded for the server's forecast.

    `snapshot` says as of when the media are; None for the newest. Called again with the same line, it resumes.
    Raise `UsageError` for a line that is not valid or has expired, `IntegrityError` if the new server asks for another
    server's copies, `ReplicationError` if it does not take them within `silence_s` after the last sign of life.
    """
    steps = Steps(report, 6)
    with steps.step("read the invitation"):
        server = chosen_server(vault, server_name)
        request = parse_request(line)
        copy = OutgoingCopy(vault, server, request)
        goes_on = copy.begun() == request
        if not goes_on and request.has_expired(now()):
            raise UsageError(
                f"the invitation expired at {request.expires_at:%Y-%m-%d %H:%M} UTC",
                unchanged="everything",
                hint="on the new server: permafrost vault receive --to DIR; or is this machine's clock wrong?",
            )
        if request.fingerprint not in (None, server.fingerprint):
            raise IntegrityError(
                f"the new server asks for snapshots signed by {in_groups(str(request.fingerprint))}, and those of "
                f"{server.name} are signed by {in_groups(server.fingerprint)}",
                unchanged="everything",
                hint="is it another server's recovery sheet? --server NAME selects the server",
            )
    with opened(vault.syncthing(), vault.settings.name) as client:
        with steps.step("lay out what is kept"):
            if not goes_on:
                take_copy_away(client, vault, server)
            sent = copy.lay_out(snapshot, report)
        with steps.step("let Syncthing read it"):
            _index(client, copy)
        with steps.step("wait for the new server to admit the vault"):
            meter = _Meter(client, request.device_id)
            _knock(client, copy, meter, silence_s)
        with steps.step("wait until the new server has everything"):
            _wait_until_taken(client, copy, sent, meter, silence_s, report)
        _record(copy, meter, report)
        with steps.step("remove the share"):
            take_copy_away(client, vault, server)
    return SentBack(server.name, request.device_id, sent, meter.duration_s)


def stop_sending_back(vault: Vault, server_name: str | None) -> str:
    """Make nothing of that server be sent back any more, and return its name; raise `UsageError` if nothing is."""
    server = chosen_server(vault, server_name)
    if not outgoing_place(vault, server).exists():
        raise UsageError(f"nothing of {server.name} is being sent back", unchanged="everything")
    with opened(vault.syncthing(), vault.settings.name) as client:
        take_copy_away(client, vault, server)
    return server.name


def chosen_server(vault: Vault, name: str | None) -> VaultServer:
    """Return the server of that name, or the only one; raise `UsageError` if it is not clear which."""
    if name is not None:
        return vault.server(name)
    if len(vault.settings.servers) != 1:
        names = ", ".join(server.name for server in vault.settings.servers) or "none"
        raise UsageError("say which server: --server NAME", unchanged="everything", hint=f"this vault keeps: {names}")
    return vault.settings.servers[0]


def _index(client: Client, copy: OutgoingCopy) -> None:
    """Make Syncthing know all files of the copy."""
    folder_id = copy.request.folder_id
    ensure_folder(client, copy.folder)
    client.scan(folder_id)
    errors = client.folder_errors(folder_id)
    if errors:
        first = min(errors)
        raise ReplicationError(
            f"Syncthing cannot read {len(errors)} files, the first is {first}: {errors[first]}",
            unchanged="what the vault keeps",
            hint="they are in the server's folder in the vault, in sending-back/copy; fix that, and run this again",
        )


def _knock(client: Client, copy: OutgoingCopy, meter: _Meter, wait_s: float) -> None:
    """Return once the new server takes what is shared with it."""
    request = copy.request
    own_id = client.own_id()
    looked_for = ("dynamic",) if copy.vault.settings.syncthing.discovery else ()
    addresses = tuple(dict.fromkeys((*request.addresses, *looked_for))) or ("dynamic",)

    def is_let_in(_events: Sequence[SyncthingEvent]) -> bool:
        meter.look()
        return not missing_on(client, request.folder_id, request.device_id, [SENT_FILE])

    with showing(client, own_id, request.proof_of(own_id), copy.vault.settings.name):
        was_known = client.device(request.device_id) is not None
        ensure_device(client, Device(request.device_id, _DEVICE, addresses))
        ensure_folder(client, copy.folder, [request.device_id])
        if not knock(client, request.device_id, is_let_in, wait_s, was_known=was_known):
            raise ReplicationError(
                "the new server has not admitted this vault",
                unchanged="what the vault keeps",
                hint="check that permafrost vault receive is running there and can be reached, and run this again "
                f"with the same line; {_STOP}",
            )


def _record(copy: OutgoingCopy, meter: _Meter, report: Reporter) -> None:
    """Write down how fast it went, for the vault's receipts."""
    now = datetime.now(UTC)
    details = {
        "server": copy.server.name,
        "size_bytes": meter.sent_bytes,
        "duration_s": round(meter.duration_s, 1),
    }
    try:
        records = RunRecords(copy.vault.state)
        number = records.begin(SENT_BACK, now - timedelta(seconds=meter.duration_s))
        records.end(number, now, "done", details=details)
    except ConfigurationError as error:  # everything has been sent all the same
        report(Warned(f"how long it took is not recorded: {error.message}"))


def _wait_until_taken(
    client: Client, copy: OutgoingCopy, sent: Sent, meter: _Meter, silence_s: float, report: Reporter
) -> None:
    request = copy.request
    heard_at, last_need = time.monotonic(), -1
    while not _is_taken(client, request):
        need = client.completion(request.folder_id, request.device_id).need_bytes
        report(Progress(max(0, sent.size_bytes - need), sent.size_bytes, "bytes"))
        if need != last_need:
            heard_at, last_need = time.monotonic(), need
        if time.monotonic() - heard_at > silence_s:
            raise ReplicationError(
                f"the new server has received nothing more for {silence_s:.0f} s",
                unchanged="what the vault keeps",
                hint="check that permafrost vault receive is running there, and run this again with the same line; if "
                f"it has finished there, {_STOP}",
            )
        meter.look()
        client.events(("RemoteIndexUpdated",), client.latest_event(("RemoteIndexUpdated",)), LOOK_S)
    meter.look()


def _is_taken(client: Client, request: SendBackRequest) -> bool:
    """Return whether the new server's Syncthing needs nothing, which it says of each file after having synced it."""
    if missing_on(client, request.folder_id, request.device_id, [SENT_FILE]):
        return False
    return next(client.remote_need(request.folder_id, request.device_id), None) is None
