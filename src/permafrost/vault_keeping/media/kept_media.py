"""Everything that works on the media of one server's history."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.events import Reporter
from permafrost.openpgp.signing import Verifier
from permafrost.syncthing.client import Client
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.media.history import MediaHistory
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault_keeping.media.audit import MediaAudit
from permafrost.vault_keeping.media.list_intake import ListIntake
from permafrost.vault_keeping.noting import Noting
from permafrost.vault_keeping.quota import room_on_disk


@dataclass(frozen=True, slots=True)
class KeptMedia:
    """The media in the history, the list of what they should be, and the audit of their bytes."""

    history: MediaHistory
    intake: ListIntake
    audit: MediaAudit


def kept_media(
    vault: Vault,
    server: VaultServer,
    history: HistoryFolder,
    verifier: Verifier,
    noting: Noting,
    report: Reporter,
    *,
    client: Client | None,
) -> KeptMedia | None:
    """Return what works on the media of a server, None if it sends none."""
    received_media = vault.media(server)
    if received_media is None:
        return None
    root, records = history.layout.root, noting.records
    media = MediaHistory(received_media, root, records, noting.found, server.repository_id)
    folder_id = next(folder.folder_id for folder in server.folders if folder.kind == "media")
    return KeptMedia(
        history=media,
        intake=ListIntake(
            *(vault.received(server), records, media.needed, verifier, server.repository_id, noting.found),
            has_room=lambda: room_on_disk(vault) > 0,
        ),
        audit=MediaAudit(
            *(received_media, root, media.versions, records.ledger, noting.found, report),
            client=client,
            folder_id=folder_id,
        ),
    )
