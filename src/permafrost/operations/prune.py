"""permafrost prune: keeps what the retention policy says, removes the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from permafrost.config.models import Configuration
from permafrost.documents.prune import PruneDocument
from permafrost.errors import PermafrostError
from permafrost.events import Reporter, Steps
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.repository import Repository
from permafrost.repository.retention import snapshots_to_keep
from permafrost.repository.snapshots import list_snapshots, remove_snapshots
from permafrost.runs import RunRecords


@dataclass(frozen=True, slots=True)
class PruneResult:
    """Which snapshots were kept and removed, and how many objects and bytes that freed."""

    kept: tuple[SnapshotId, ...]
    removed: tuple[SnapshotId, ...]
    objects_removed: int
    bytes_freed: int
    is_dry_run: bool

    def document(self) -> PruneDocument:
        """Return it for JSON."""
        return PruneDocument(
            kept=tuple(map(str, self.kept)),
            removed=tuple(map(str, self.removed)),
            objects_removed=self.objects_removed,
            bytes_freed=self.bytes_freed,
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
            kept, doomed = _choose(repository, configuration)
        if is_dry_run:
            return PruneResult(kept, doomed, 0, 0, is_dry_run=True)
        with (
            steps.step("remove snapshots, then objects that none names"),
            RunRecords(configuration.state.path).recorded("prune", now) as record,
        ):
            repository.prepare_for_writing()
            record.update(removed=[str(one) for one in doomed])
            removed = remove_snapshots(layout, doomed)
            record.update(bytes_freed=removed.size_bytes)
    return PruneResult(kept, removed.snapshots, removed.objects, removed.size_bytes, is_dry_run=False)


def prunable(configuration: Configuration) -> bool:
    """Return whether there is a snapshot that no rule keeps."""
    return bool(_choose(Repository.open(configuration.repository.path), configuration)[1])


def _choose(
    repository: Repository, configuration: Configuration
) -> tuple[tuple[SnapshotId, ...], tuple[SnapshotId, ...]]:
    """Return which snapshots to keep, and which not."""
    there = list_snapshots(repository.layout)
    moments = snapshots_to_keep((one.made_at for one in there), configuration.retention)
    kept = tuple(one for one in there if one.made_at in moments)
    return kept, tuple(one for one in there if one.made_at not in moments)


@contextmanager
def _nothing_removed() -> Iterator[None]:
    try:
        yield
    except PermafrostError as error:
        error.hint = error.hint or "repair or move away the snapshot that cannot be read, then prune again"
        raise
