"""A server's history, opened for work: its folder, and everything that works on it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from permafrost.events import Reporter
from permafrost.findings import FindingKind
from permafrost.openpgp.home import temporary_home
from permafrost.repository.lock import repository_lock
from permafrost.repository.reading import make_verifier
from permafrost.syncthing.client import Client
from permafrost.vault.arrivals import KEPT, Arrival, KeptObject
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault_keeping.bitrot import Audit
from permafrost.vault_keeping.intake import Intake
from permafrost.vault_keeping.local_changes import LocalChanges
from permafrost.vault_keeping.media.kept_media import KeptMedia, kept_media
from permafrost.vault_keeping.noting import LONG_AGO, Noting
from permafrost.vault_keeping.quota import Usage
from permafrost.vault_keeping.receiving import Receiving
from permafrost.vault_keeping.removals import Removals


@dataclass(frozen=True, slots=True)
class OpenedHistory:
    """What works on one server's history; `media` is None if the server sends none."""

    folder: HistoryFolder
    intake: Intake
    removals: Removals
    local_changes: LocalChanges
    audit: Audit
    media: KeptMedia | None
    usage: Usage
    receiving: Receiving


def open_history(
    vault: Vault,
    server: VaultServer,
    client: Client | None,
    noting: Noting,
    stack: ExitStack,
    report: Reporter,
    wall: datetime,
) -> OpenedHistory | None:
    """Open and lock the history, which `stack` closes; None while nothing of the server's repository has come."""
    received = vault.received(server)
    history = HistoryFolder.opened(vault.history(server), received, server)
    if history is None:
        return None
    with ExitStack() as opening:
        opening.enter_context(repository_lock(history.layout, "vault run", wall))
        history.repository.prepare_for_writing()
        verifier = make_verifier(history.repository, server.fingerprint, opening.enter_context(temporary_home()))
        _reconcile(history, noting, wall)
        stack.enter_context(opening.pop_all())
    folder_id = next(folder.folder_id for folder in server.folders if folder.kind == "repository")
    media = kept_media(vault, server, history, verifier, noting, report, stack, client=client)
    usage = Usage(history, noting.records, vault.records(server), media.history if media is not None else None)
    return OpenedHistory(
        folder=history,
        intake=Intake(received, history, verifier, noting.records, noting.found, report),
        removals=Removals(
            received,
            history,
            noting.records,
            noting.found,
            client=client,
            folder_id=folder_id,
            nothing_new_minutes=vault.settings.nothing_new_minutes,
        ),
        local_changes=LocalChanges(client, folder_id, noting.found),
        audit=Audit(received, history, noting.records, noting.found, report, client=client, folder_id=folder_id),
        media=media,
        usage=usage,
        receiving=Receiving(vault, server, client, usage, noting.found),
    )


def _reconcile(history: HistoryFolder, noting: Noting, wall: datetime) -> None:
    """Make the records agree with the history, which is what counts."""
    records, now = noting.records, noting.now
    on_disk = history.snapshots()
    known = {arrival.snapshot for arrival in records.arrivals(KEPT)}
    for snapshot, made in on_disk.items():
        if str(snapshot) not in known:
            records.record(
                Arrival(str(snapshot), now, KEPT, arrived_at=min(made, now), arrived_by_clock=min(made, wall))
            )
    lost = known - {str(snapshot) for snapshot in on_disk}
    records.forget(lost)
    for snapshot_name in sorted(lost):
        noting.found(FindingKind.LOST, snapshot_name, f"snapshot {snapshot_name} is no longer in the history")
    objects = dict(history.objects())
    unknown = [name for name in objects if records.object(name) is None]
    with records.together():
        records.forget_objects([name for name in records.object_names() if name not in objects])
        records.record_objects(KeptObject(name, objects[name], LONG_AGO, is_good=True) for name in unknown)
