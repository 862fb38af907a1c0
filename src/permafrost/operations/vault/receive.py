"""permafrost vault receive: a new server gets repository and media from a vault. The vault's half: vault_send_back.

For this it has a Syncthing of its own, with keys of its own, in `.receiving` below the folder; it is gone afterwards,
and so is whatever the vault could send. Nothing has its name before all of it has come and was read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from permafrost.config.models import Syncthing
from permafrost.documents.vault_copies import VaultReceiveDocument
from permafrost.errors import ConfigurationError, IntegrityError, ReplicationError, UsageError
from permafrost.events import Note, Progress, Reporter, Steps, steps_as_notes
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.verify import VerifyResult, verify
from permafrost.repository.durable import make_folder_durably
from permafrost.sharing.door import Door
from permafrost.sharing.handshake import LOOK_S, Now, now_utc
from permafrost.sharing.incoming_copy import IncomingCopy
from permafrost.sharing.server_side import addresses_to_offer
from permafrost.syncthing.access import opened, wait_for_hangup
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, admit, ensure_folder, sharers
from permafrost.vault.admission import GivenInvitation
from permafrost.vault.invitation import SECRET_BYTES
from permafrost.vault.sending import REPOSITORY, SendBackRequest, Sent, read_sent
from permafrost.vault.settings import VaultSyncthing

VALID_FOR = timedelta(days=1)
SILENCE_S = 900.0
HANGUP_S = 60.0
DEFAULT_GUI = "127.0.0.1:8387"  # beside a server's and a vault's
_DEVICE = "vault"
_SYNCTHING = VaultSyncthing(gui=DEFAULT_GUI)


@dataclass(frozen=True, slots=True)
class ReceivedBack:
    """What has come, and what was found in it."""

    repository: Path
    media: Path | None
    sent: Sent
    verified: VerifyResult

    def document(self) -> VaultReceiveDocument:
        """Return it for JSON."""
        return VaultReceiveDocument(
            server=self.sent.server,
            repository=str(self.repository),
            media=str(self.media) if self.media else None,
            fingerprint=self.verified.fingerprint,
            snapshots=self.verified.snapshots,
            objects=self.verified.objects,
            media_files=self.sent.media.files if self.sent.media else None,
            media_as_of=self.sent.media_as_of,
            bytes=self.sent.size_bytes,
            findings=tuple(finding.document() for finding in self.verified.findings),
        )


def receive_back(
    root: Path,
    *,
    fingerprint: str | None,
    syncthing: VaultSyncthing = _SYNCTHING,
    valid_for: timedelta = VALID_FOR,
    silence_s: float = SILENCE_S,
    show_line: Callable[[str], None],
    report: Reporter,
    now: Now = now_utc,
) -> ReceivedBack:
    """Return once `root`/repository and `root`/media hold all that a vault sends, and every object was read.

    `show_line` is called with the line that the vault needs. Called again after an interruption, it resumes.
    What `verify` finds is in the answer, and does not keep the rest from being put in place. Raise `UsageError` if
    something is at these places, `ReplicationError` if no vault comes, or nothing more for `silence_s`,
    `IntegrityError` if what comes is not signed with the key of that `fingerprint` (if one is given).
    """
    copy = IncomingCopy(root.absolute())
    copy.refuse_what_is_there()
    steps = Steps(report, 5)
    settings = Syncthing(home=copy.syncthing, **syncthing.model_dump())
    addresses = _addresses(settings)
    make_folder_durably(copy.root, 0o700)
    make_folder_durably(copy.working, 0o700)
    with opened(settings, "permafrost new server") as client:
        with steps.step("prepare a Syncthing for this"):
            request = _asked(copy, client, addresses, fingerprint, valid_for, now)
            ensure_folder(client, copy.folder(request))
        with steps.step("wait for the vault"):
            vault_id = _let_in(client, request, show_line, report, now)
        with steps.step("receive"):
            sent = _receive(client, copy, request, silence_s, report)
        with steps.step("read every object, and check the signatures"):
            verified = verify(
                copy.received / REPOSITORY,
                fingerprint,
                patience=timedelta(0),
                report=steps_as_notes(report),
                now=now() + timedelta(hours=1),
            )
        _let_the_vault_learn(client, vault_id)
    with steps.step("move repository and media into place"):
        repository, media = copy.finish(sent)
    return ReceivedBack(repository, media, sent, verified)


def _addresses(settings: Syncthing) -> tuple[str, ...]:
    try:
        return addresses_to_offer(settings)
    except ConfigurationError as error:
        raise UsageError(
            "without discovery, the vault needs an address of this machine",
            unchanged="everything",
            hint="give --listen tcp://ADDRESS:PORT with an address that the vault can reach",
        ) from error


def _asked(
    copy: IncomingCopy,
    client: Client,
    addresses: tuple[str, ...],
    fingerprint: str | None,
    valid_for: timedelta,
    now: Now,
) -> SendBackRequest:
    own_id = client.own_id()
    earlier = copy.request()
    if earlier is not None and earlier.device_id == own_id:
        if sharers(client, earlier.folder_id) - {own_id} or not earlier.has_expired(now()):
            return earlier
        client.remove_folder(earlier.folder_id)
    request = SendBackRequest(
        device_id=own_id,
        folder_id=f"permafrost-back-{secrets.token_hex(8)}",
        addresses=addresses,
        fingerprint=fingerprint,
        secret=secrets.token_hex(SECRET_BYTES),
        expires_at=now() + valid_for,
    )
    copy.remember(request)
    return request


def _let_in(
    client: Client, request: SendBackRequest, show_line: Callable[[str], None], report: Reporter, now: Now
) -> str:
    """Return the device id of the vault that has proven to have the line, once it shares the folder."""
    show_line(request.as_line())
    there = sharers(client, request.folder_id) - {request.device_id}
    if there:
        report(Note("a vault was admitted before; if it no longer sends, run its command again, with this line"))
        return min(there)
    given = GivenInvitation(vault_name=request.folder_id, secret=request.secret, expires_at=request.expires_at)
    door = Door(lambda: (given,), report, now)
    kinds = ("PendingDevicesChanged",)
    while not request.has_expired(now()):
        for device_id, _ in door.proven(client):
            admit(client, Device(device_id, _DEVICE), [request.folder_id])
            return device_id
        client.events(kinds, client.latest_event(kinds), LOOK_S)
    raise ReplicationError(
        "no vault has connected",
        unchanged="everything",
        hint="run this again, and on the vault: permafrost vault send-back",
    )


def _receive(client: Client, copy: IncomingCopy, request: SendBackRequest, silence_s: float, report: Reporter) -> Sent:
    heard_at, last = time.monotonic(), (-1, -1)
    sum_after = 0.0
    sent: Sent | None = None
    while True:
        need = client.completion(request.folder_id, request.device_id)
        if sent is None and (sent := read_sent(copy.received)) is not None:
            _refuse_another(sent, request)
            _announce(sent, need.need_bytes, copy, report)
        if sent is not None:
            report(Progress(max(0, sent.size_bytes - need.need_bytes), sent.size_bytes, "bytes"))
        if sent is not None and not need.need_items and time.monotonic() >= sum_after:
            began = time.monotonic()
            if sent.is_whole(copy.received):
                return sent
            sum_after = time.monotonic() + 10 * (time.monotonic() - began)
        if (need.need_bytes, need.need_items) != last:
            heard_at, last = time.monotonic(), (need.need_bytes, need.need_items)
        if time.monotonic() - heard_at > silence_s:
            raise ReplicationError(
                f"nothing more has arrived for {silence_s:.0f} s",
                unchanged="what has arrived already",
                hint="check what the vault's command reports, run it again with the same line, and then this one",
            )
        kinds = ("LocalIndexUpdated",)
        client.events(kinds, client.latest_event(kinds), LOOK_S)


def _let_the_vault_learn(client: Client, vault_id: str) -> None:
    """Return when the vault has hung up, which it does once it knows that everything has come; or after a time."""
    deadline = time.monotonic() + HANGUP_S
    while client.connections()[vault_id].connected and time.monotonic() < deadline:
        wait_for_hangup(client, LOOK_S)


def _refuse_another(sent: Sent, request: SendBackRequest) -> None:
    if request.fingerprint not in (None, sent.fingerprint):
        raise IntegrityError(
            f"the vault sends data signed by {in_groups(sent.fingerprint)}, and not by "
            f"{in_groups(str(request.fingerprint))}",
            hint="check that it is the right vault, and the right recovery sheet",
        )


def _announce(sent: Sent, need_bytes: int, copy: IncomingCopy, report: Reporter) -> None:
    media = f", and {sent.media.files} media files" if sent.media else ""
    report(Note(f"{sent.server}: {sent.snapshots} snapshots{media}, {sent.size_bytes / 1e9:.2f} GB in all"))
    copy.refuse_too_much(need_bytes)
