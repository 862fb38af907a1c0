"""Everything that works on the media of one server's history."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from permafrost.events import Reporter
from permafrost.openpgp.signing import Verifier
from permafrost.syncthing.client import Client
from permafrost.syncthing.refetching import Refetching
from permafrost.vault.history_folder import HistoryFolder
from permafrost.vault.media.history import MediaHistory
from permafrost.vault.media.keys import MediaKeys
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault_keeping.media.audit import MediaAudit
from permafrost.vault_keeping.media.list_intake import (
    KEY_LIST_FORM,
    MEDIA_LIST_FORM,
    SEALED_LIST_FORM,
    ListForm,
    ListIntake,
    ListTable,
)
from permafrost.vault_keeping.media.pulling import MediaPull
from permafrost.vault_keeping.noting import Noting
from permafrost.vault_keeping.quota import room_on_disk


@dataclass(frozen=True, slots=True)
class KeptMedia:
    """The media in the history, the list of what they should be, and the audit of their bytes.

    `pull` fetches them, as the list says that `key_intake` takes in; None where Syncthing brings them.
    """

    history: MediaHistory
    intake: ListIntake
    audit: MediaAudit
    key_intake: ListIntake | None = None
    pull: MediaPull | None = None


def kept_media(
    vault: Vault,
    server: VaultServer,
    history: HistoryFolder,
    verifier: Verifier,
    noting: Noting,
    report: Reporter,
    stack: ExitStack,
    *,
    client: Client | None,
) -> KeptMedia | None:
    """Return what works on the media of a server, which `stack` closes; None if it has none."""
    received_media = vault.media(server)
    if received_media is None:
        return None
    root, records = history.layout.root, noting.records
    is_sealed = server.seals_media
    media = MediaHistory(received_media, root, records, noting.found, server.repository_id, is_sealed=is_sealed)

    def intake(folder: Path | tuple[Path, ...], table: ListTable, form: ListForm) -> ListIntake:
        has_room = lambda: room_on_disk(vault) > 0  # noqa: E731 - a condition
        known = (verifier, server.repository_id, noting.found)
        return ListIntake(folder, records, table, *known, form=form, has_room=has_room)

    if is_sealed:
        needed = intake(received_media, media.needed, SEALED_LIST_FORM)
    else:
        apart = (vault.root / server.name,) if server.list_folder_id is not None else ()
        needed = intake((*apart, vault.received(server)), media.needed, MEDIA_LIST_FORM)
    audited = (received_media, root, media.versions, records.ledger, noting.found)
    keys_folder = vault.media_keys(server)
    if keys_folder is None:
        assert server.media_folder is not None  # noqa: S101 - it sends media
        refetching = Refetching(client, server.media_folder.folder_id, report)
        return KeptMedia(media, needed, MediaAudit(*audited, refetching=refetching))
    keys = MediaKeys(records.database)
    pull = MediaPull(vault, server, received_media, media, keys, noting)
    stack.callback(pull.close)
    audit = MediaAudit(*audited, refetching=pull)
    return KeptMedia(media, needed, audit, intake(keys_folder, keys, KEY_LIST_FORM), pull)
