"""permafrost schema: JSON Schemas (2020-12) of what is printed with --json, made from the documents' classes.

Nothing else needs pydantic to know the documents, so only this module asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from permafrost.config.models import Configuration
from permafrost.documents.backup import BackupDocument
from permafrost.documents.bucket import (
    BucketCheckDocument,
    BucketFetchDocument,
    BucketUploadsDocument,
    BucketVerificationsDocument,
    BucketVerifyDocument,
    MediaPushDocument,
)
from permafrost.documents.failure import ErrorDocument
from permafrost.documents.media import MediaCompareDocument
from permafrost.documents.notify import NotifyTestDocument
from permafrost.documents.prune import PruneDocument
from permafrost.documents.restore import (
    CheckDocument,
    DrillDocument,
    ExportDocument,
    RestoreDocument,
    RestoreTableDocument,
)
from permafrost.documents.setup import ConfigCheckDocument, InitDocument, RekeyDocument, SheetProveDocument
from permafrost.documents.snapshots import SnapshotsDocument, SnapshotsRemoveDocument
from permafrost.documents.status import StatusDocument, VaultOwnStatusDocument
from permafrost.documents.vault_copies import (
    VaultHistoryDocument,
    VaultMediaDocument,
    VaultReceiveDocument,
    VaultSendBackDocument,
    VaultSendBackStopDocument,
    VaultVerifyDocument,
)
from permafrost.documents.vault_pairing import (
    ServersDocument,
    VaultAcceptDocument,
    VaultIdDocument,
    VaultInvitationsDocument,
    VaultInviteDocument,
    VaultJoinDocument,
    VaultRemoveDocument,
    VaultRevokeDocument,
    VaultsDocument,
)
from permafrost.documents.vault_sealing import SealMediaDocument
from permafrost.documents.verify import VerifyDocument
from permafrost.errors import UsageError
from permafrost.events import Event

ERROR, EVENT = "error", "event"
COMMANDS: Mapping[str, tuple[type, ...]] = {
    "init": (InitDocument,),
    "rekey": (RekeyDocument,),
    "sheet prove": (SheetProveDocument,),
    "config check": (ConfigCheckDocument,),
    "config show": (Configuration,),
    "notify test": (NotifyTestDocument,),
    "backup": (BackupDocument,),
    "snapshots": (SnapshotsDocument,),
    "snapshots remove": (SnapshotsRemoveDocument,),
    "verify": (VerifyDocument, BucketVerifyDocument, BucketVerificationsDocument),
    "restore": (RestoreDocument,),
    "restore-table": (RestoreTableDocument,),
    "drill": (DrillDocument,),
    "check": (CheckDocument,),
    "export": (ExportDocument,),
    "prune": (PruneDocument,),
    "status": (StatusDocument,),
    "bucket upload": (BucketUploadsDocument,),
    "bucket check": (BucketCheckDocument,),
    "bucket fetch": (BucketFetchDocument,),
    "media compare": (MediaCompareDocument,),
    "media push": (MediaPushDocument,),
    "vault invite": (VaultInviteDocument,),
    "vault invitations": (VaultInvitationsDocument,),
    "vault revoke": (VaultRevokeDocument,),
    "vault accept": (VaultAcceptDocument,),
    "vault id": (VaultIdDocument,),
    "vault join": (VaultJoinDocument,),
    "vault list": (VaultsDocument, ServersDocument),
    "vault remove": (VaultRemoveDocument,),
    "vault status": (VaultOwnStatusDocument,),
    "vault history": (VaultHistoryDocument,),
    "vault verify": (VaultVerifyDocument,),
    "vault media": (VaultMediaDocument,),
    "vault seal-media": (SealMediaDocument,),
    "vault receive": (VaultReceiveDocument,),
    "vault send-back": (VaultSendBackDocument, VaultSendBackStopDocument),
}
"""The classes of each command's document; several where options decide which it is."""

NAMES = (*COMMANDS, ERROR, EVENT)


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the document or line of that name, one of `NAMES`.

    Keys that it does not know are valid: later versions may add some. Raise `UsageError` if there is no such name.
    """
    if name == EVENT:
        return _schema(f"one line on stderr of a command with --json: an {EVENT}", [_event(event) for event in EVENTS])
    if name == ERROR:
        return _schema("what a command with --json prints if it fails", [_of(ErrorDocument)])
    if name not in COMMANDS:
        near = get_close_matches(name, NAMES, n=1)
        raise UsageError(
            f"there is no document {name!r}",
            hint=f"perhaps: permafrost schema {near[0]}" if near else "permafrost schema lists the names",
        )
    return _schema(f"permafrost {name} --json", [_of(document) for document in COMMANDS[name]])


EVENTS: tuple[type, ...] = get_args(Event)


def _schema(title: str, alternatives: list[dict[str, Any]]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    for alternative in alternatives:
        definitions |= alternative.pop("$defs", {})
    body = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    made = {"$schema": GenerateJsonSchema.schema_dialect, **body, "title": title}
    return {**made, "$defs": definitions} if definitions else made


def _of(document: type) -> dict[str, Any]:
    """Return a class's schema without the titles that pydantic makes of every key."""
    made = TypeAdapter(document).json_schema(mode="serialization")
    for part in (made, *made.get("$defs", {}).values()):
        part.pop("additionalProperties", None)  # a configuration's sections are closed to people, not to versions
        for key in part.get("properties", {}).values():
            key.pop("title", None)
            if "description" in key:
                key["description"] = " ".join(key["description"].split())
    return made


def _event(kind: type) -> dict[str, Any]:
    """Return the schema of an event's line: its fields, and its name as `event`."""
    made = _of(kind)
    named = {"event": {"const": kind.__name__, "description": f"`{kind.__name__}`"}}
    return {**made, "properties": {**named, **made["properties"]}, "required": ["event", *made["required"]]}
