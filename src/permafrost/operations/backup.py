"""permafrost backup: one snapshot, sealed as it is read; then Syncthing is notified.

Nothing is published before everything is durable, so a run that dies at any point leaves the repository as it
was, plus unfinished files in a folder that the next run empties.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from permafrost import __version__
from permafrost.config.models import Configuration
from permafrost.config.outside import outside_findings, secrets_missing
from permafrost.documents.backup import BackupDocument
from permafrost.engines.contents import Scanned, SnapshotContents
from permafrost.engines.context import RunContext
from permafrost.engines.engine import engine_named
from permafrost.engines.facts import database_facts, mastodon_facts, sequence_facts
from permafrost.engines.media_list_publishing import publish_media_list
from permafrost.errors import OverlookedRowsError, PermafrostError, ReportedError
from permafrost.events import Note, Reporter, Steps, Warned
from permafrost.findings import FindingKind
from permafrost.lazy_import import imported_beside
from permafrost.mastodon.secrets import missing_for_identity
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing_choice import sealing_of
from permafrost.openpgp.signing import sign_detached
from permafrost.operations.own.key import adopt_key, check_sealing_key, check_signing_key
from permafrost.repository.distrust import reason_for_distrust, trust_again
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.manifest import Manifest, ManifestObject, MastodonFacts, ObjectKind, encode_manifest
from permafrost.repository.newest import ahead, is_ahead
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject
from permafrost.repository.repository import Repository
from permafrost.repository.sealed import put_sealed, seal_bytes
from permafrost.repository.secret_archive import pack_secrets
from permafrost.repository.snapshots import list_snapshots, publish_snapshot, remove_snapshots
from permafrost.runs import RUNS_FILE, SCAN_FINDING, SCAN_MESSAGE, RunRecords
from permafrost.syncthing.presence import NO_VAULT, has_syncthing
from permafrost.timing import WorkTimes
from permafrost.vault.receipt_files import RECEIPTS

_STEPS = 5
_REPLICATION = "permafrost.sharing.replication"


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What a backup stored: bytes new in the repository, row versions new and gone since the last snapshot.

    `snapshot_bytes` is all that the snapshot needs, what a backup that starts afresh would store. The dump engine
    stores every row again, and has no segments. `work_s` is seconds by kind of work, those of workers side by side
    added up (permafrost.timing).
    """

    snapshot: SnapshotId
    engine: str
    duration_s: float
    bytes_new: int
    snapshot_bytes: int
    files_new: int
    rows_new: int
    rows_gone: int
    tables: int
    segments: int
    segments_changed: int
    is_audited: bool
    work_s: Mapping[str, float]
    scanned: Scanned | None = None
    """What the log scanned, None with the dump engine."""
    held_by: tuple[str, ...] = ()
    """The vaults that were waited for."""

    def document(self) -> BackupDocument:
        """Return it for JSON."""
        return BackupDocument(
            snapshot=str(self.snapshot),
            engine=self.engine,
            duration_s=self.duration_s,
            bytes_new=self.bytes_new,
            snapshot_bytes=self.snapshot_bytes,
            files_new=self.files_new,
            rows_new=self.rows_new,
            rows_gone=self.rows_gone,
            tables=self.tables,
            segments=self.segments,
            segments_changed=self.segments_changed,
            work_s=self.work_s,
            audited=self.is_audited,
            scan="changed" if self.scanned is not None and not self.scanned.reason else "all",
            scan_reason=self.scanned.reason if self.scanned is not None else "",
            scanned_pages=self.scanned.pages_scanned if self.scanned is not None else 0,
            total_pages=self.scanned.pages if self.scanned is not None else 0,
            held_by=self.held_by,
        )


def back_up(
    configuration: Configuration,
    *,
    is_audited: bool = False,
    is_full: bool = False,
    wait_timeout_s: float | None = None,
    on_new_key: Callable[[SnapshotId], object] | None = None,
    report: Reporter,
    now: datetime,
) -> BackupResult:
    """Make one snapshot of database and secrets, make Syncthing send it, and return what it took.

    With `wait_timeout_s`, return once every paired vault holds it. With `on_new_key` the configured key may be another
    than the repository's; it is called once the snapshot is published, to make it the repository's.

    Raise `LockedError` if another run holds the repository, `KeyFileError` if that is sealed with another key, and the
    errors of the part that failed; no snapshot appears then. Raise `ReplicationError`, with the snapshot made, if there
    is no vault to wait for, or one makes no progress for that time; `OverlookedRowsError`, also with the snapshot
    made, if earlier ones may lack rows.
    """
    replicates = wait_timeout_s is not None or has_syncthing(configuration.syncthing)
    with imported_beside(_REPLICATION) if replicates else nullcontext():
        result = _make_snapshot(
            configuration, is_audited=is_audited, is_full=is_full, on_new_key=on_new_key, report=report, now=now
        )
    if replicates:
        result = replace(result, held_by=_replicate(configuration, result.snapshot, wait_timeout_s, report))
    else:
        report(Note(NO_VAULT))
    _check_overlooked(result)
    return result


def _check_overlooked(result: BackupResult) -> None:
    """Raise `OverlookedRowsError` if this scan of everything has found what earlier ones may have overlooked."""
    if result.scanned is not None and result.scanned.overlooked:
        raise OverlookedRowsError(
            result.scanned.message,
            unchanged=f"snapshot {result.snapshot}, made from a scan of every row, is published and right",
            hint="every run scans every row until you run: permafrost backup --full --audit; "
            "please report this: it is the most serious problem permafrost can detect",
        )


def _scan_details(scanned: Scanned | None) -> Mapping[str, str]:
    """Return what a run's record says of its scan, from which status makes a finding."""
    if scanned is None or scanned.finding is None:
        return {}
    return {SCAN_FINDING: scanned.finding.code, SCAN_MESSAGE: scanned.message}


def _replicate(
    configuration: Configuration, snapshot: SnapshotId, wait_timeout_s: float | None, report: Reporter
) -> tuple[str, ...]:
    """Tell Syncthing of the snapshot, or wait for the vaults, and return the names of those that hold it."""
    from permafrost.sharing.replication import tell_syncthing, wait_for_vaults  # noqa: PLC0415 - imported beside

    if wait_timeout_s is not None:
        return wait_for_vaults(configuration, snapshot, timeout_s=wait_timeout_s, report=report)
    tell_syncthing(configuration, snapshot, report)
    return ()


def _make_snapshot(
    configuration: Configuration,
    *,
    is_audited: bool,
    is_full: bool,
    on_new_key: Callable[[SnapshotId], object] | None,
    report: Reporter,
    now: datetime,
) -> BackupResult:
    started = time.monotonic()
    repository = Repository.open(configuration.repository.path)
    check_signing_key(configuration, repository)
    sealing = sealing_of(configuration.encryption)
    records = RunRecords(configuration.state.path)
    steps = Steps(report, _STEPS)
    with (
        repository_lock(repository.layout, "backup", now),
        nullcontext(records.may_have_left_objects()) as has_orphans,
        records.recorded("backup", now) as record,
        temporary_home() as home,
        _nothing_published(),
    ):
        is_key_unknown = on_new_key is None and check_sealing_key(configuration, repository, sealing, home, report)
        _warn_of_damaged_records(records, report, now)
        is_full = is_full or _is_distrusted(configuration, report)
        record.update(is_audited=is_audited)
        times = WorkTimes()
        run = RunContext(configuration, repository, sealing, home, steps, report, is_audited, is_full, times, now)
        written = _write(run, steps, has_orphans=has_orphans)
        if is_full:
            trust_again(configuration.state.path)
        if on_new_key is not None:
            on_new_key(written.snapshot)
        if is_key_unknown:
            adopt_key(configuration, repository, sealing, home)
        result = _result(run, written, duration_s=round(time.monotonic() - started, 3))
        record.update(
            snapshot=str(result.snapshot),
            duration_s=result.duration_s,
            bytes_new=result.bytes_new,
            snapshot_bytes=result.snapshot_bytes,
            identity_keys_missing=list(written.identity_keys_missing),
            **_scan_details(result.scanned),
        )
    if (configuration.state.path / RECEIPTS).is_dir():
        _refresh_status(configuration, report)
    return result


def _warn_of_damaged_records(records: RunRecords, report: Reporter, now: datetime) -> None:
    if records.set_aside is not None:
        message = f"the run records were damaged and start again; the old ones are {records.set_aside}"
        report(Warned(message))
        records.record_damage(RUNS_FILE, message, now)


def _is_distrusted(configuration: Configuration, report: Reporter) -> bool:
    """Return whether what the repository holds must be read again from the database, and say why."""
    reason = reason_for_distrust(configuration.state.path)
    if reason is not None:
        report(Warned(f"reading everything again: {reason}"))
    return reason is not None


@dataclass(frozen=True, slots=True)
class _SealedSecrets:
    """The secrets files that the snapshot holds, and their object, if there are any."""

    files: tuple[Path, ...]
    stored: StoredObject | None


@dataclass(frozen=True, slots=True)
class _Written:
    """A snapshot that is published: what it is made of, what it lacks, and the bytes of its own three files."""

    snapshot: SnapshotId
    contents: SnapshotContents
    secrets: StoredObject | None
    identity_keys_missing: tuple[str, ...]
    published_bytes: int


def _write(run: RunContext, steps: Steps, *, has_orphans: bool) -> _Written:
    """Read the database, seal everything, and publish the snapshot once all that it needs is durable."""
    with steps.step("clean up after unfinished runs"):
        _clear(run, has_orphans=has_orphans)
    with engine_named(run.configuration.database.engine)(run) as contents:
        with steps.step("seal the secrets"), run.times.of("seal"):
            secrets = _seal_secrets(run)
        mastodon = mastodon_facts(
            run.configuration.secrets.files, contents.schema_version, run.configuration.mastodon, run.report
        )
        missing = _identity_keys_missing(run, mastodon, secrets.files)
        with steps.step("publish the snapshot"), run.times.of("publish"):
            snapshot, published = _publish(run, contents, secrets.stored, mastodon, run.now)
            published += publish_media_list(run, contents.media_list, snapshot)
    return _Written(snapshot, contents, secrets.stored, missing, published)


def _result(run: RunContext, written: _Written, *, duration_s: float) -> BackupResult:
    contents = written.contents
    new = [stored for stored, _ in contents.objects if stored.name in contents.new_objects]
    new += [written.secrets] if written.secrets else []
    return BackupResult(
        snapshot=written.snapshot,
        engine=contents.engine,
        duration_s=duration_s,
        bytes_new=sum(stored.size_bytes for stored in new) + written.published_bytes,
        snapshot_bytes=sum(stored.size_bytes for stored, _ in contents.objects) + written.published_bytes,
        files_new=len(new) + 3,
        rows_new=contents.counts.rows_new,
        rows_gone=contents.counts.rows_gone,
        tables=len(contents.tables),
        segments=contents.counts.segments,
        segments_changed=contents.counts.segments_changed,
        is_audited=run.is_audited,
        work_s=run.times.seconds(),
        scanned=contents.scanned,
    )


def _refresh_status(configuration: Configuration, report: Reporter) -> None:
    """Look at what the vaults have sent: where cron starts backups, nothing else does. Loaded only for this."""
    from permafrost.operations.refresh_status import refresh_status  # noqa: PLC0415

    refresh_status(configuration, report, datetime.now(UTC))


def _warn_of_the_clock(snapshots: Sequence[SnapshotId], now: datetime, report: Reporter) -> None:
    future = ahead(snapshots, now)
    if future:
        report(
            Warned(
                f"the clock says {now:%Y-%m-%d %H:%M} UTC, but snapshot {future[-1]} has a later time: the clock is "
                "wrong, or was when that one was made; permafrost status says what to do"
            )
        )


@contextmanager
def _nothing_published() -> Iterator[None]:
    try:
        yield
    except ReportedError as error:
        error.unchanged = error.unchanged or "all existing snapshots; no new one appeared"
        raise


def _clear(run: RunContext, *, has_orphans: bool) -> None:
    """Remove unfinished files, and objects that a run stored before it died; a damaged list leaves the latter.

    Which objects no snapshot uses, only the lists of all snapshots say: where many are kept, that takes longer than
    the backup, so it is not done for nothing. What else may be left, prune removes.
    """
    run.repository.prepare_for_writing()
    run.repository.place_emergency_files()
    if not has_orphans:
        return
    try:
        remove_snapshots(run.layout, ())
    except PermafrostError as error:
        run.report(Warned(f"objects that no snapshot uses stay for now: {error.message}"))


def _seal_secrets(run: RunContext) -> _SealedSecrets:
    """Seal the secrets that can be read, and warn of what else is missing: the rows must be backed up all the same."""
    packed = pack_secrets(run.configuration.secrets.files)
    for finding in outside_findings(run.configuration):
        if finding.kind is not FindingKind.SECRETS_MISSING:
            run.report(Warned(f"{finding.message} ({finding.remedy})"))
    for file, reason in packed.left_out:
        finding = secrets_missing(file, reason)
        run.report(Warned(f"{finding.message} ({finding.remedy})"))
    if not packed.held:
        return _SealedSecrets((), None)
    return _SealedSecrets(packed.held, put_sealed(run.layout, run.home, run.sealing, source=[packed.compressed]))


def _identity_keys_missing(run: RunContext, mastodon: MastodonFacts | None, files: tuple[Path, ...]) -> tuple[str, ...]:
    """Return which of the keys are missing that the accounts' own need, and warn of them."""
    if mastodon is None:
        return ()
    if missing := missing_for_identity(mastodon.schema_version, mastodon.secrets_present, files):
        run.report(
            Warned(
                "since Mastodon 4.7 all accounts' keys are encrypted in the database, and the snapshot does not hold "
                f"{', '.join(missing)}: restored without them, the server has lost its identity "
                "(name the file that sets them in [secrets] files)"
            )
        )
    return missing


def _publish(
    run: RunContext,
    contents: SnapshotContents,
    secrets: StoredObject | None,
    mastodon: MastodonFacts | None,
    now: datetime,
) -> tuple[SnapshotId, int]:
    """Publish the snapshot, and return its name and the bytes of its own three files."""
    snapshots = list_snapshots(run.layout)
    _warn_of_the_clock(snapshots, now, run.report)
    snapshot = SnapshotId.new(now, max((earlier for earlier in snapshots if not is_ahead(earlier, now)), default=None))
    objects: list[tuple[StoredObject, ObjectKind]] = list(contents.objects)
    if secrets is not None:
        objects.append((secrets, "secrets"))
    manifest = Manifest(
        repository=run.repository.repository_id,
        snapshot=str(snapshot),
        made_at=now.astimezone(UTC),
        signing_key=run.repository.fingerprint,
        engine=run.configuration.database.engine,
        is_audited=run.is_audited,
        database=database_facts(contents.description),
        tables=contents.tables,
        sequences=sequence_facts(contents.sequences),
        objects=tuple(ManifestObject(kind=kind, index=index) for index, (_, kind) in enumerate(objects)),
        mastodon=mastodon,
        tools={"permafrost": __version__},
    )
    sealed = seal_bytes(run.home, run.sealing, encode_manifest(manifest))
    described = StoredObject(hashlib.sha256(sealed).hexdigest(), len(sealed))
    object_list = ObjectList(run.repository.repository_id, snapshot, described, tuple(stored for stored, _ in objects))
    encoded = object_list.encode()
    signature = sign_detached(run.configuration.signing.gnupg_home, run.repository.fingerprint, encoded)
    publish_snapshot(run.layout, object_list, sealed, signature)
    return snapshot, len(sealed) + len(encoded) + len(signature)
