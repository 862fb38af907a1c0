"""permafrost verify: every object's hash, every snapshot's completeness and signature. Needs no passphrase."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TypeVar

from permafrost.documents.verify import VerifyDocument
from permafrost.errors import IntegrityError, RepositoryError
from permafrost.events import Progress, Reporter, Steps, Warned
from permafrost.findings import Finding, FindingKind
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.signing import Verifier
from permafrost.repository.completeness import FileState, Judgement, Seen, SnapshotState, judge
from permafrost.repository.distrust import distrust
from permafrost.repository.layout import SnapshotId
from permafrost.repository.newest import key_clock_warning
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject, hash_file, stored_objects
from permafrost.repository.reading import READERS, make_verifier
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import MANIFEST, list_snapshots, read_object_list
from permafrost.small_files import NotAFileError, read_small

T = TypeVar("T")
_MENDED_BY_NEW_BASES = (FindingKind.CORRUPT_OBJECT, FindingKind.CORRUPT_SNAPSHOT, FindingKind.OVERDUE)
_MOST_UNNAMED_BYTES = 64 << 30
"""An object that no signed list names, and that is larger, is taken for junk: reading it could take for ever."""
DEFAULT_PATIENCE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What was read, and what was found. In-flight snapshots are counted and are no finding."""

    fingerprint: str
    snapshots: int
    in_flight: int
    objects: int
    size_bytes: int
    unreferenced: int
    duration_s: float
    findings: tuple[Finding, ...]
    is_mended_next: bool = False
    """Whether the next backup reads everything again, and so needs nothing of what is damaged or missing."""

    @property
    def is_corrupt(self) -> bool:
        """Whether bytes or signatures are wrong, and not only missing."""
        return any(finding.kind is not FindingKind.OVERDUE for finding in self.findings)

    def document(self, path: Path, *, fingerprint_was_given: bool) -> VerifyDocument:
        """Return it for JSON, with the repository's folder, and whether the key to trust was known from elsewhere."""
        return VerifyDocument(
            repository=str(path),
            fingerprint=self.fingerprint,
            fingerprint_was_given=fingerprint_was_given,
            snapshots=self.snapshots,
            in_flight=self.in_flight,
            objects=self.objects,
            bytes=self.size_bytes,
            unreferenced=self.unreferenced,
            duration_s=self.duration_s,
            findings=tuple(finding.document() for finding in self.findings),
        )


def verify(
    path: Path,
    fingerprint: str | None,
    *,
    patience: timedelta,
    report: Reporter,
    now: datetime,
    state: Path | None = None,
    jobs: int = READERS,
) -> VerifyResult:
    """Read everything in the repository at `path`, `jobs` objects at a time, and return what was found.

    A snapshot with files missing is in flight until `patience` after its folder appeared here, then overdue.
    `state` is the state folder of the server whose repository it is: if new bases repair what was found, its next
    backup reads everything again. Raise `RepositoryError` if there is no repository, `IntegrityError` if its key is not
    `fingerprint`.
    """
    started = time.monotonic()
    repository = Repository.open(path)
    steps = Steps(report, 2)
    judgements: dict[SnapshotId, Judgement] = {}
    with temporary_home() as home:
        verifier = make_verifier(repository, fingerprint, home)
        if verifier.is_clock_behind:
            report(Warned(key_clock_warning(now)))
        lists = _Lists(repository, verifier)
        with steps.step("check every snapshot's signature and list"):
            snapshots = list_snapshots(repository.layout)
            sizes = _listed_sizes(snapshots, lists, jobs)
        with steps.step("read every object and compare it with its name"):
            states, found, size = _hash_objects(repository, sizes, jobs, report)
        for snapshot in snapshots:
            seen = _look_at(repository, snapshot, lists, states)
            if seen is not None:
                judgements[snapshot] = judge(seen, now, patience)
                found += _findings(snapshot, judgements[snapshot])
    is_mended_next = state is not None and _let_next_backup_mend(state, found)
    return VerifyResult(
        fingerprint=verifier.fingerprint,
        snapshots=len(judgements),
        in_flight=sum(judgement.state is SnapshotState.IN_FLIGHT for judgement in judgements.values()),
        objects=len(states),
        size_bytes=size,
        unreferenced=len(states.keys() - sizes.keys()),
        duration_s=round(time.monotonic() - started, 3),
        findings=tuple(found),
        is_mended_next=is_mended_next,
    )


def _listed_sizes(snapshots: Sequence[SnapshotId], lists: _Lists, jobs: int) -> dict[str, int]:
    """Return the size of every object that a signed list names; each list takes a run of gpg."""
    sizes: dict[str, int] = {}
    lock = Lock()

    def add(snapshot: SnapshotId) -> None:
        objects = lists.read(snapshot).objects()
        with lock:
            sizes.update((stored.name, stored.size_bytes) for stored in objects)

    _side_by_side(jobs, snapshots, add)
    return sizes


@dataclass(frozen=True, slots=True)
class _ObjectState:
    state: FileState
    size_bytes: int


def _let_next_backup_mend(state: Path, findings: Sequence[Finding]) -> bool:
    """Make the next backup read everything again, if that repairs what was found, and return whether it does.

    Damaged or missing objects may be needed by the snapshots to come, as these refer to what earlier ones stored.
    Snapshots that need them already stay as they are.
    """
    lost = [finding for finding in findings if finding.kind in _MENDED_BY_NEW_BASES]
    if lost:
        distrust(state, f"verify found that {lost[0].message}")
    return bool(lost)


@dataclass(frozen=True, slots=True)
class _List:
    """A snapshot's object list, None if it has not come; if that is not valid, it is damaged or somebody else's."""

    object_list: ObjectList | None
    is_valid: bool = True

    def objects(self) -> Sequence[StoredObject]:
        """Return the objects that it names."""
        return self.object_list.objects if self.object_list is not None else ()


class _Lists:
    """Reads object lists, and remembers which are signed: all of them at once would fill the memory."""

    def __init__(self, repository: Repository, verifier: Verifier) -> None:
        self._repository = repository
        self._verifier = verifier
        self._signed: set[bytes] = set()

    def read(self, snapshot: SnapshotId) -> _List:
        """Return the snapshot's list as it is now."""
        try:
            object_list, content, signature = read_object_list(self._repository.layout, snapshot)
        except RepositoryError:
            return _List(None)
        except IntegrityError:
            return _List(None, is_valid=False)
        digest = hashlib.sha256(content + signature).digest()
        if digest not in self._signed:
            is_own = object_list.repository_id == self._repository.repository_id
            if not is_own or not self._verifier.is_valid(content, signature):
                return _List(None, is_valid=False)
            self._signed.add(digest)
        return _List(object_list)


def _hash_objects(
    repository: Repository, sizes: Mapping[str, int], jobs: int, report: Reporter
) -> tuple[dict[str, _ObjectState], list[Finding], int]:
    """Return each object's state, findings and bytes read; what is larger than it can be is bad without being read."""
    total = sum(size for _, file in stored_objects(repository.layout) if (size := _size_of(file)) is not None)
    states: dict[str, _ObjectState] = {}
    done = 0
    lock = Lock()

    def read(stored: tuple[str, Path]) -> None:
        nonlocal done
        name, file = stored
        size = _size_of(file)
        if size is None:
            return
        can_be = size == sizes.get(name, size) and (name in sizes or size <= _MOST_UNNAMED_BYTES)
        state = _hashed_state(name, file) if can_be else FileState.BAD
        with lock:
            done += size if can_be else 0
            if state is not None:
                states[name] = _ObjectState(state, size)
                report(Progress(done, total, "bytes"))

    _side_by_side(jobs, stored_objects(repository.layout), read)
    bad = sorted(name for name, found in states.items() if found.state is FileState.BAD)
    message = "the object {} is not what its name says"
    return states, [Finding(FindingKind.CORRUPT_OBJECT, name, message.format(name)) for name in bad], done


def _side_by_side(jobs: int, items: Iterable[T], work: Callable[[T], object]) -> None:
    """Do the work on every item, in `jobs` threads, none of which is an item ahead: nothing waits in memory."""
    waiting = iter(items)
    lock = Lock()
    is_over = False

    def work_on() -> None:
        nonlocal is_over
        while True:
            with lock:
                if is_over:
                    return
                try:
                    item = next(waiting)
                except StopIteration:
                    return
            try:
                work(item)
            except BaseException:
                is_over = True
                raise

    with ThreadPoolExecutor(jobs) as threads:
        try:
            for thread in [threads.submit(work_on) for _ in range(jobs)]:
                thread.result()
        finally:
            is_over = True


def _size_of(file: Path) -> int | None:
    """Return its size, None if it is gone: a prune may run meanwhile."""
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return None


def _hashed_state(name: str, file: Path) -> FileState | None:
    try:
        return FileState.GOOD if hash_file(file).name == name else FileState.BAD
    except NotAFileError:
        return FileState.BAD
    except FileNotFoundError:
        return None


def _look_at(
    repository: Repository, snapshot: SnapshotId, lists: _Lists, objects: Mapping[str, _ObjectState]
) -> Seen | None:
    """Return what there is of the snapshot, None if it is gone: a prune removes its folder before its objects."""
    folder = repository.layout.snapshot(snapshot)
    try:
        # ctime: the local clock's, and nobody can set it back, unlike mtime, which Syncthing carries over
        since = datetime.fromtimestamp(folder.lstat().st_ctime, UTC)
    except FileNotFoundError:
        return None
    read = lists.read(snapshot)
    files = {stored.name: _state_of(stored, objects) for stored in read.objects()}
    if read.object_list is not None:
        files[read.object_list.manifest.name] = _manifest_state(folder / MANIFEST, read.object_list.manifest)
    return Seen(since, read.object_list, read.is_valid, files) if folder.exists() else None


def _state_of(stored: StoredObject, objects: Mapping[str, _ObjectState]) -> FileState:
    there = objects.get(stored.name)
    if there is None:
        return FileState.MISSING
    return there.state if there.size_bytes == stored.size_bytes else FileState.BAD


def _manifest_state(file: Path, expected: StoredObject) -> FileState:
    try:
        content = read_small(file, expected.size_bytes)
    except FileNotFoundError:
        return FileState.MISSING
    except OSError:
        return FileState.BAD
    is_good = hashlib.sha256(content).hexdigest() == expected.name and len(content) == expected.size_bytes
    return FileState.GOOD if is_good else FileState.BAD


def _findings(snapshot: SnapshotId, judgement: Judgement) -> list[Finding]:
    if judgement.state is SnapshotState.OVERDUE:
        what = f"{len(judgement.missing)} files are missing" if judgement.missing else "its list is missing"
        return [
            Finding(
                FindingKind.OVERDUE,
                str(snapshot),
                f"snapshot {snapshot} is incomplete, and should not be by now: {what}",
            )
        ]
    if judgement.state is not SnapshotState.CORRUPT:
        return []
    if not judgement.bad:
        return [
            Finding(
                FindingKind.BAD_SIGNATURE,
                str(snapshot),
                f"the list of snapshot {snapshot} is damaged, or not signed by this server",
            )
        ]
    return [
        Finding(
            FindingKind.CORRUPT_SNAPSHOT,
            str(snapshot),
            f"snapshot {snapshot} cannot be restored from here: {len(judgement.bad)} of its files are bad "
            f"({', '.join(judgement.bad[:3])})",
        )
    ]
