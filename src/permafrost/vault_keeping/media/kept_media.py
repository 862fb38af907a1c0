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
from permafrost.vault_keeping.media.list_intake import PLAIN_LIST, SEALED_LIST, ListIntake
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
    is_sealed = server.seals_media
    media = MediaHistory(received_media, root, records, noting.found, server.repository_id, is_sealed=is_sealed)
    assert server.media_folder is not None  # noqa: S101 - it sends media
    return KeptMedia(
        history=media,
        intake=ListIntake(
            *(received_media if is_sealed else vault.received(server), records, media.needed, verifier),
            *(server.repository_id, noting.found, SEALED_LIST if is_sealed else PLAIN_LIST),
            has_room=lambda: room_on_disk(vault) > 0,
        ),
        audit=MediaAudit(
            *(received_media, root, media.versions, records.ledger, noting.found, report),
            client=client,
            folder_id=server.media_folder.folder_id,
        ),
    )
