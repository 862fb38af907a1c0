"""permafrost bucket upload: every snapshot goes into a bucket, the newest first, and stays locked there.

It holds no lock of the repository, so that it never delays a backup; what a prune removes meanwhile is left out. It
resumes wherever it ended: what is there is recorded, file by file.

What fails on the way does not keep locks from being renewed. And nothing is removed from the bucket, or left without a
lock, because it is gone here for a reason that nobody recorded: a broken disk is no prune.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from permafrost.buckets.address import address_of
from permafrost.buckets.client import Pace
from permafrost.buckets.files import RepositoryFile, base_files, object_files, snapshot_files
from permafrost.buckets.held import HeldBucket, held_bucket
from permafrost.buckets.report import Problem
from permafrost.buckets.store import BucketStore
from permafrost.buckets.uploading import Uploader, first_lock_end
from permafrost.config.buckets import Bucket
from permafrost.documents.bucket import BucketUploadDocument
from permafrost.errors import (
    BucketClockError,
    BucketFullError,
    BucketRefusedError,
    BucketUnreachableError,
    IntegrityError,
    PermafrostError,
    RepositoryError,
)
from permafrost.events import Note, Progress, Reporter, Steps, ignore_events
from permafrost.repository.layout import SnapshotId
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import complete_snapshots

PASS_EVERY = timedelta(hours=6)
MOST_SKEW_S = 900.0
"""Object stores refuse requests from clocks that differ by more, and a lock until a wrong date cannot be undone."""
_REPORT_EVERY_S = 1.0
_KINDS: tuple[tuple[type[PermafrostError], Problem], ...] = (
    (BucketUnreachableError, "unreachable"),
    (BucketRefusedError, "refused"),
    (BucketFullError, "full"),
    (BucketClockError, "clock"),
    (IntegrityError, "damaged"),
)


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """Which repository goes into which bucket; `state` is the folder that has its records.

    `removed` are the snapshots that were removed from the repository on purpose.
    """

    bucket: Bucket
    repository: Path
    state: Path
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What was put into the bucket, renewed and removed there."""

    bucket: str
    address: str
    snapshots: tuple[SnapshotId, ...]
    files: int
    size_bytes: int
    renewed: int
    removed: int
    requests: int
    has_lock: bool
    duration_s: float

    def document(self) -> BucketUploadDocument:
        """Return it for JSON."""
        return BucketUploadDocument(
            bucket=self.bucket,
            address=self.address,
            snapshots=tuple(map(str, self.snapshots)),
            files=self.files,
            bytes=self.size_bytes,
            renewed=self.renewed,
            removed=self.removed,
            requests=self.requests,
            has_lock=self.has_lock,
            duration_s=self.duration_s,
        )


def upload(request: UploadRequest, *, report: Reporter, clock: Callable[[], datetime]) -> UploadResult:
    """Put into the bucket what it lacks, renew locks a few times a day, and remove what is not needed.

    What it left, or why it failed, is written for `status`. Raise `BucketError` if the store does not do what it
    should, `LockedError` if another upload to the bucket is under way, `IntegrityError` if a file here has rotted; what
    was put there until then counts.
    """
    repository = Repository.open(request.repository)
    with held_bucket(request.state, request.bucket, repository.repository_id, "bucket upload", clock()) as held:
        try:
            return _Upload(request, repository, held, clock).run(report)
        except PermafrostError as error:
            _report_failure(held, error, clock())
            raise


def _report_failure(held: HeldBucket, error: PermafrostError, now: datetime) -> None:
    kind: Problem = next((kind for made, kind in _KINDS if isinstance(error, made)), "other")
    known = held.report()
    since = known.failing_since or now
    changed = {"tried_at": now, "failing_since": since, "problem_kind": kind, "problem": error.message}
    held.write_report(known.model_copy(update=changed))


class _Upload:
    """One upload, in steps."""

    def __init__(
        self, request: UploadRequest, repository: Repository, held: HeldBucket, clock: Callable[[], datetime]
    ) -> None:
        self._request = request
        self._repository = repository
        self._held = held
        self._record = record = held.record
        self._known = known = held.report()
        self._clock = clock
        address = address_of(request.bucket, repository.repository_id)
        rate = request.bucket.upload_kib_per_s
        self._store = BucketStore(address, request.bucket.credentials_file, Pace(rate * 1024) if rate else None)
        is_recent = known.passed_at is not None and timedelta(0) <= clock() - known.passed_at < PASS_EVERY
        self._is_pass_due = not is_recent or known.failing_since is not None  # what failed may have left a finding
        self._uploader = Uploader(
            repository.layout,
            self._store,
            record,
            request.bucket.lock_days,
            clock,
            self._moved,
            knows_no_lock=known.has_lock is False,
        )
        self._store.on_sent = self._moved
        self._failure: PermafrostError | None = None
        self._sent_bytes, self._reported_at_s, self._lock = 0, float("-inf"), Lock()
        self._report: Reporter = ignore_events

    def run(self, report: Reporter) -> UploadResult:
        """Do all steps; see `upload`."""
        started = time.monotonic()
        self._report = report
        steps = Steps(report, 3)
        with steps.step("compare clocks with the object store"):
            _check_clock(self._store.clock_ahead_s())
        with steps.step("upload objects, then snapshots"):
            made = self._send_everything()
        with steps.step("renew locks, and remove what is not needed"):
            renewed, removed = self._pass() if self._is_pass_due else (0, 0)
            if self._failure is not None:
                raise self._failure
        now = self._clock()
        done = {"tried_at": now, "done_at": now, "failing_since": None, "problem_kind": None, "problem": ""}
        self._write({**done, **self._mended()})
        return UploadResult(
            bucket=self._request.bucket.name,
            address=str(self._store.address),
            snapshots=made,
            files=self._uploader.sent,
            size_bytes=self._uploader.sent_bytes,
            renewed=renewed,
            removed=removed,
            requests=self._store.requests.total(),
            has_lock=self._uploader.has_lock,
            duration_s=round(time.monotonic() - started, 3),
        )

    def _mended(self) -> Mapping[str, object]:
        """Return that nothing is bad, if all that a verification has found bad is there again."""
        bad = self._known.bad
        return {"bad": (), "bad_count": 0} if bad and len(self._record.files(bad)) == len(bad) else {}

    def _moved(self, sent_bytes: int = 0) -> None:
        """Report, once a second, that something goes on: a service ends a job that is silent for long."""
        with self._lock:
            self._sent_bytes += sent_bytes
            is_due = time.monotonic() >= self._reported_at_s + _REPORT_EVERY_S
            if is_due:
                self._reported_at_s = time.monotonic()
        if is_due:
            self._report(Progress(self._sent_bytes, None, "bytes"))

    def _send_everything(self) -> tuple[SnapshotId, ...]:
        """Put every file and snapshot into the bucket that is not there, the newest first; return which now are.

        A bucket that is full, refuses or fails is given up, and a snapshot that has rotted here passed over; both are
        raised later. Some stores fail when they are full, and take renewals all the same.
        """
        made: list[SnapshotId] = []
        try:
            self._uploader.send(list(base_files(self._repository.layout)))
            for snapshot in self._waiting():
                self._send_in_turn(snapshot, made)
        except (BucketFullError, BucketRefusedError, BucketUnreachableError) as error:
            self._failure = error
        return tuple(made)

    def _waiting(self) -> list[SnapshotId]:
        """Return the snapshots that are here and not in the bucket; those that were removed here are forgotten."""
        known = self._record.whole().keys()
        self._record.forget_whole(known & self._request.removed)
        here = complete_snapshots(self._repository.layout)
        return [snapshot for snapshot in reversed(here) if str(snapshot) not in known]

    def _send_in_turn(self, snapshot: SnapshotId, made: list[SnapshotId]) -> None:
        try:
            is_there = self._send_snapshot(snapshot)
        except IntegrityError as error:
            self._failure = self._failure or error
            return
        if is_there:
            made.append(snapshot)
            self._record.add_whole(str(snapshot), self._clock())
            self._write({"tried_at": self._clock()})
            self._report(Note(f"snapshot {snapshot} is in the bucket {self._request.bucket.name}"))

    def _send_snapshot(self, snapshot: SnapshotId) -> bool:
        """Put the snapshot into the bucket; return False if a prune has removed it meanwhile."""
        layout = self._repository.layout
        try:
            self._uploader.send(object_files(layout, snapshot))
            for file in snapshot_files(layout, snapshot):
                self._uploader.send([file])
        except (RepositoryError, FileNotFoundError) as error:
            if not layout.snapshot(snapshot).exists():
                return False
            if isinstance(error, RepositoryError):
                raise
            raise IntegrityError(
                f"snapshot {snapshot} cannot be uploaded: {error.filename} is gone here",
                unchanged="what is in the bucket",
                hint="permafrost verify names what is lost here; permafrost bucket fetch brings a snapshot back from a "
                "bucket that has it",
            ) from error
        return True

    def _pass(self) -> tuple[int, int]:
        needed, is_explained = self._needed()
        renewed, gone = self._uploader.renew(needed)
        if gone and self._failure is None:
            self._send_again([needed[path] for path in gone])
        removes = self._request.bucket.removes and is_explained
        removed, unneeded = self._uploader.remove_unneeded(needed, removes=removes)
        files = self._record.files()
        self._write(
            {
                "passed_at": self._clock(),
                "unneeded": unneeded,
                "locked_until": first_lock_end(files, needed),
                "objects": sum(path.startswith("objects/") for path in files),
                "size_bytes": sum(one.size_bytes for one in files.values()),
            }
        )
        return renewed, removed

    def _send_again(self, files: Sequence[RepositoryFile]) -> None:
        try:
            self._uploader.send(files)
        except FileNotFoundError as error:
            self._failure = IntegrityError(
                f"{error.filename} is gone from the bucket, and gone here",
                unchanged="all that is left in either place",
                hint="permafrost verify names what is lost here; a vault may have it",
            )

    def _needed(self) -> tuple[dict[str, RepositoryFile], bool]:
        """Return all files that are needed, by path, and whether it is known why each other one is not.

        If a snapshot that is in the bucket is gone here for no known reason, or its list, everything there is needed.
        """
        layout = self._repository.layout
        needed = {file.path: file for file in base_files(layout)}
        here = complete_snapshots(layout)
        is_explained = not (self._record.whole().keys() - set(map(str, here)) - self._request.removed)
        for snapshot in here:
            try:
                files: Iterable[RepositoryFile] = (*object_files(layout, snapshot), *snapshot_files(layout, snapshot))
                needed |= {file.path: file for file in files}
            except (RepositoryError, IntegrityError):  # removed meanwhile, or damaged
                is_explained = False
        if not is_explained:
            everything = self._record.files().values()
            needed |= {one.path: RepositoryFile(one.path, one.sha256, one.size_bytes) for one in everything}
        return needed, is_explained

    def _write(self, changed: Mapping[str, object]) -> None:
        snapshots = tuple(sorted(self._record.whole()))
        has_lock = self._uploader.has_lock if self._request.bucket.lock_days else None
        self._known = self._known.model_copy(update={**changed, "snapshots": snapshots, "has_lock": has_lock})
        self._held.write_report(self._known)


def _check_clock(ahead_s: float) -> None:
    """Raise `BucketClockError` if one of the clocks must be wrong."""
    if abs(ahead_s) > MOST_SKEW_S:
        behind = "behind" if ahead_s > 0 else "ahead of"
        raise BucketClockError(
            f"the clock of this machine is {abs(ahead_s) / 60:.0f} minutes {behind} the object store's",
            unchanged="all snapshots, here and in the bucket",
            hint="set the clock of this machine (timedatectl): a lock until a wrong date cannot be undone",
        )
