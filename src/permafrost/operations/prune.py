"""permafrost prune: keeps what the retention policy says, and removes the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from permafrost.config.models import Configuration
from permafrost.documents.prune import PruneDocument
from permafrost.errors import ReportedError
from permafrost.events import Reporter, Steps
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.newest import is_ahead
from permafrost.repository.repository import Repository
from permafrost.repository.retention import RuleName, rules_that_keep
from permafrost.repository.snapshots import complete_snapshots, remove_snapshots
from permafrost.runs import RunRecords
from permafrost.sharing.declaring import declare
from permafrost.syncthing.presence import has_syncthing


@dataclass(frozen=True, slots=True)
class PruneResult:
    """Which snapshots were kept and removed, and how many objects and bytes that freed."""

    kept: tuple[SnapshotId, ...]
    removed: tuple[SnapshotId, ...]
    objects_removed: int
    bytes_freed: int
    is_dry_run: bool
    kept_by: Mapping[SnapshotId, tuple[RuleName, ...]]
    """For each snapshot that is kept, the rules that keep it."""

    def document(self) -> PruneDocument:
        """Return it for JSON."""
        return PruneDocument(
            kept=tuple(map(str, self.kept)),
            removed=tuple(map(str, self.removed)),
            objects_removed=self.objects_removed,
            bytes_freed=self.bytes_freed,
            kept_by={str(snapshot): self.kept_by.get(snapshot, ()) for snapshot in self.kept},
            dry_run=self.is_dry_run,
        )


def prune(configuration: Configuration, *, is_dry_run: bool, report: Reporter, now: datetime) -> PruneResult:
    """Remove the snapshots that no rule keeps, then the objects that no snapshot names; the newest always stays.

    With `is_dry_run` only tell. Raise `LockedError` if another run holds the repository, `IntegrityError` (and
    remove nothing) if a remaining snapshot's list cannot be read.
    """
    repository = Repository.open(configuration.repository.path)
    layout = repository.layout
    steps = Steps(report, 2)
    with repository_lock(layout, "prune", now), _nothing_removed():
        with steps.step("choose what to keep"):
            kept_by, doomed = _choose(repository, configuration, now)
        if is_dry_run:
            return PruneResult(tuple(kept_by), doomed, 0, 0, is_dry_run=True, kept_by=kept_by)
        with (
            steps.step("remove snapshots, then objects that no remaining snapshot uses"),
            RunRecords(configuration.state.path).recorded("prune", now) as record,
        ):
            repository.prepare_for_writing()
            if has_syncthing(configuration.syncthing):
                declare(configuration, now)
            record.update(removed=[str(snapshot) for snapshot in doomed])
            removed = remove_snapshots(layout, doomed)
            record.update(bytes_freed=removed.size_bytes)
    return PruneResult(
        tuple(kept_by), removed.snapshots, removed.objects, removed.size_bytes, is_dry_run=False, kept_by=kept_by
    )


def prunable(configuration: Configuration, now: datetime) -> bool:
    """Return whether there is a snapshot that no rule keeps."""
    return bool(_choose(Repository.open(configuration.repository.path), configuration, now)[1])


def _choose(
    repository: Repository, configuration: Configuration, now: datetime
) -> tuple[dict[SnapshotId, tuple[RuleName, ...]], tuple[SnapshotId, ...]]:
    """Return which snapshots to keep and by which rules, in order, and which not to keep.

    Those that lie in the future stay, and take no other's place; nor does a folder that lacks a snapshot's own files.
    """
    snapshots = complete_snapshots(repository.layout)
    dated = [snapshot for snapshot in snapshots if not is_ahead(snapshot, now)]
    rules = rules_that_keep((snapshot.made_at for snapshot in dated), configuration.retention)
    doomed = tuple(snapshot for snapshot in dated if snapshot.made_at not in rules)
    kept = (snapshot for snapshot in snapshots if snapshot not in doomed)
    return {
        snapshot_id: () if is_ahead(snapshot_id, now) else rules[snapshot_id.made_at] for snapshot_id in kept
    }, doomed


@contextmanager
def _nothing_removed() -> Iterator[None]:
    try:
        yield
    except ReportedError as error:
        error.hint = error.hint or "repair or move away the snapshot that cannot be read, then prune again"
        raise
