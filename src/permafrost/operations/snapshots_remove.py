"""permafrost snapshots remove: one snapshot goes, whatever the retention says of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.config.models import Configuration
from permafrost.documents.snapshots import SnapshotsRemoveDocument
from permafrost.errors import RepositoryError, UsageError
from permafrost.events import Reporter, Steps
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.newest import is_ahead, newest
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import list_snapshots, remove_snapshots
from permafrost.runs import RunRecords

_STEPS = 2


@dataclass(frozen=True, slots=True)
class RemovedSnapshot:
    """What was removed: the snapshot, and the objects that no other needs."""

    snapshot: SnapshotId
    objects: int
    size_bytes: int

    def document(self) -> SnapshotsRemoveDocument:
        """Return it for JSON."""
        return SnapshotsRemoveDocument(
            removed=str(self.snapshot), objects_removed=self.objects, bytes_freed=self.size_bytes
        )


def remove_snapshot(
    configuration: Configuration, doomed: SnapshotId, *, is_forced: bool, report: Reporter, now: datetime
) -> RemovedSnapshot:
    """Remove one snapshot here, and the objects that no other needs; what vaults keep is theirs.

    Raise `RepositoryError` if there is no such snapshot, and `UsageError`, unless it `is_forced`, if it is the last
    one that a drill has proven, or the newest. Nothing is removed then.
    """
    repository = Repository.open(configuration.repository.path)
    records = RunRecords(configuration.state.path)
    steps = Steps(report, _STEPS)
    with repository_lock(repository.layout, "snapshots remove", now):
        with steps.step("check that it may be removed"):
            snapshots = list_snapshots(repository.layout)
            if doomed not in snapshots:
                raise RepositoryError(
                    f"the repository has no snapshot {doomed}",
                    unchanged="everything",
                    hint="permafrost snapshots lists them",
                )
            reason = _reason_to_keep(snapshots, doomed, records, now)
            if reason and not is_forced:
                raise UsageError(
                    f"snapshot {doomed} is {reason}", unchanged="everything", hint="use --force to remove it anyway"
                )
        with steps.step("remove it, then the objects that no other needs"), records.recorded("prune", now) as details:
            repository.prepare_for_writing()
            details.update(removed=[str(doomed)])
            removed = remove_snapshots(repository.layout, [doomed])
            details.update(bytes_freed=removed.size_bytes)
    return RemovedSnapshot(doomed, removed.objects, removed.size_bytes)


def _reason_to_keep(snapshots: list[SnapshotId], doomed: SnapshotId, records: RunRecords, now: datetime) -> str:
    """Return why the snapshot should stay, "" if nothing speaks for it."""
    if snapshots == [doomed]:
        return "the only one"
    proven = records.proven()
    if str(doomed) in proven and not any(str(other) in proven for other in snapshots if other != doomed):
        return "the last one that a drill has proven"
    if doomed == newest(snapshots, now) and not is_ahead(doomed, now):
        return "the newest"
    return ""
