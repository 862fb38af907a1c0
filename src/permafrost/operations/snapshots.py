"""permafrost snapshots: the snapshots in a repository, as far as they can be described without a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.documents.snapshots import SnapshotDocument, SnapshotsDocument
from permafrost.errors import PermafrostError
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import is_ahead
from permafrost.repository.repository import Repository
from permafrost.repository.retention import RuleName
from permafrost.repository.snapshots import list_snapshots, read_object_list
from permafrost.runs import RunRecords
from permafrost.schedule import calendar_of, local_zone
from permafrost.status.keeping import Kept, reasons
from permafrost.status.written import read_written


@dataclass(frozen=True, slots=True)
class OwnSnapshot:
    """What a server's records, its vaults' receipts and its retention say of one of its snapshots."""

    is_audited: bool
    is_proven: bool
    vaults: tuple[str, ...]
    kept_by: tuple[RuleName, ...]
    kept_until: datetime | None


@dataclass(frozen=True, slots=True)
class ListedSnapshot:
    """A snapshot's name and time, and what its list says; sizes are None while the list is not readable."""

    snapshot: SnapshotId
    made_at: datetime
    objects: int | None
    size_bytes: int | None
    new_bytes: int | None
    problem: str | None
    own: OwnSnapshot | None = None
    """What the server that made it knows besides; None if another one reads the repository."""

    def document(self) -> SnapshotDocument:
        """Return it for JSON."""
        return SnapshotDocument(
            snapshot=str(self.snapshot),
            made_at=self.made_at,
            objects=self.objects,
            size_bytes=self.size_bytes,
            new_bytes=self.new_bytes,
            problem=self.problem,
            audited=self.own.is_audited if self.own else None,
            proven=self.own.is_proven if self.own else None,
            vaults=self.own.vaults if self.own else (),
            kept_by=self.own.kept_by if self.own else (),
            kept_until=self.own.kept_until if self.own else None,
        )


def snapshots_document(path: Path, listed: Sequence[ListedSnapshot]) -> SnapshotsDocument:
    """Return the list of a repository's snapshots for JSON."""
    return SnapshotsDocument(str(path), tuple(item.document() for item in listed))


def list_repository(path: Path) -> tuple[ListedSnapshot, ...]:
    """Return the repository's snapshots, oldest first.

    `size_bytes` is all that a snapshot needs, `new_bytes` what no older one there needs.
    """
    repository = Repository.open(path)
    known: set[str] = set()
    listed = []
    for snapshot in list_snapshots(repository.layout):
        try:
            object_list, _, _ = read_object_list(repository.layout, snapshot)
        except PermafrostError as error:
            listed.append(ListedSnapshot(snapshot, snapshot.made_at, None, None, None, error.message))
            continue
        size = sum(stored.size_bytes for stored in object_list.objects) + object_list.manifest.size_bytes
        fresh = [stored for stored in object_list.objects if stored.name not in known]
        known.update(stored.name for stored in fresh)
        new = sum(stored.size_bytes for stored in fresh) + object_list.manifest.size_bytes
        listed.append(ListedSnapshot(snapshot, snapshot.made_at, len(object_list.objects), size, new, None))
    return tuple(listed)


def list_own(configuration: Configuration, now: datetime) -> tuple[ListedSnapshot, ...]:
    """Return the snapshots of the configured repository, oldest first, with all that is known of them here."""
    listed = list_repository(configuration.repository.path)
    records = RunRecords(configuration.state.path, is_read_only=True)
    written = read_written(configuration.state.path)
    held: dict[str, list[str]] = {}
    for vault in written.vaults if written is not None else ():
        for received in vault.receipt.snapshots if vault.receipt is not None else ():
            held.setdefault(received.snapshot, []).append(vault.name)
    audited, proven = records.audited(), records.proven()
    rhythms = calendar_of(configuration.schedule, local_zone()).rhythms
    dated = [item.made_at for item in listed if not is_ahead(item.snapshot, now)]
    kept = reasons(dated, configuration.retention, rhythms.get("backup") or rhythms.get("audit"), now)
    unkept = Kept((), None)
    return tuple(
        replace(
            item,
            own=OwnSnapshot(
                is_audited=str(item.snapshot) in audited,
                is_proven=str(item.snapshot) in proven,
                vaults=tuple(held.get(str(item.snapshot), ())),
                kept_by=(why := kept.get(item.made_at, unkept)).rules,
                kept_until=why.until,
            ),
        )
        for item in listed
    )
