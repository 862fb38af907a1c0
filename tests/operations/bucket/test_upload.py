"""bucket upload: everything arrives, whole and locked, in an order that never shows half a snapshot."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from permafrost.buckets.record import record_file
from permafrost.errors import BucketClockError, BucketRefusedError, BucketUnreachableError, IntegrityError
from permafrost.operations.bucket.each import each
from permafrost.operations.bucket.upload import PASS_EVERY
from permafrost.repository.layout import SnapshotId, object_path
from permafrost.repository.snapshots import read_object_list, remove_snapshots
from tests.fixtures.buckets import Copied, MakeCopied
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.proxy import CuttableProxy
from tests.fixtures.seaweedfs import ObjectStore

DAY = timedelta(days=1)


@pytest.fixture
def copied(make_copied: MakeCopied) -> Copied:
    """A repository with two snapshots, and an empty bucket with locks."""
    made = make_copied()
    made.snapshot()
    made.snapshot()
    return made


def test_every_file_arrives_locked(copied: Copied) -> None:
    """Every file of the repository is in the bucket once, with its bytes, locked for longer than promised."""
    result = copied.upload()
    here = {
        str(file.relative_to(copied.sender.repository.path)): file
        for file in copied.sender.repository.path.rglob("*")
        if file.is_file() and file.name != "lock"
    }
    assert copied.paths() == dict.fromkeys(here, 1)
    reader = copied.store.client(copied.store.reader)
    for path, file in here.items():
        seen = reader.get_object(Bucket=copied.bucket.bucket, Key=copied.address.key(path))
        assert seen["Body"].read() == file.read_bytes()
        assert seen["ObjectLockMode"] == "COMPLIANCE"
        assert seen["ObjectLockRetainUntilDate"] > datetime.now(UTC) + 30 * DAY
    assert (len(result.snapshots), result.files, result.has_lock) == (2, len(here), True)
    assert copied.report.snapshots == tuple(sorted(map(str, result.snapshots)))


def test_a_second_upload_sends_only_what_is_new(copied: Copied) -> None:
    """After an upload, the next one asks once for the time; a new snapshot costs a request for each of its files."""
    copied.upload()
    assert copied.upload().requests == 1
    copied.snapshot()
    again = copied.upload()
    assert (again.files, again.requests, len(again.snapshots)) == (5, 6, 1)


def test_a_lost_record_loses_nothing(copied: Copied) -> None:
    """Without its record, an upload with a key that cannot read puts everything there once more."""
    copied.upload()
    for file in (copied.state / "buckets").iterdir():
        file.unlink()
    copied.upload()
    assert set(copied.paths().values()) == {2}
    assert len(copied.report.snapshots) == 2


def test_odd_values_in_the_record(copied: Copied) -> None:
    """A record with odd times, names or columns is no defect: what it should say is found out again."""
    copied.upload()
    file = record_file(copied.state, copied.bucket, copied.address.repository_id, ".sqlite")
    for statement in (
        "UPDATE snapshots SET whole_at = 9223372036854775807",
        "UPDATE files SET locked_until = 1e300, read_at = -1e300",
        "UPDATE OR REPLACE snapshots SET id = 'no snapshot'",
        "DROP TABLE snapshots; CREATE TABLE snapshots (other TEXT) STRICT",
    ):
        with closing(sqlite3.connect(file)) as database:
            database.executescript(statement)
        copied.upload()
        assert len(copied.record.whole()) == 2


def test_a_lost_record_costs_nothing_if_the_key_may_ask(copied: Copied) -> None:
    """With a key that may ask for checksums, what is there counts, and no second version is made."""
    able = copied.with_keys(copied.store.admin)
    able.upload()
    for file in (copied.state / "buckets").iterdir():
        file.unlink()
    able.upload()
    assert set(able.paths().values()) == {1}


def test_wrong_bytes_under_a_name_do_not_keep_the_right_ones_out(copied: Copied) -> None:
    """If somebody has put other bytes under an object's name before, the right ones become a version beside them."""
    file = next(iter(copied.sender.layout.objects.rglob("*.gpg")))
    key = copied.address.key(str(file.relative_to(copied.sender.repository.path)))
    client = copied.store.client(copied.store.writer)
    client.put_object(Bucket=copied.bucket.bucket, Key=key, Body=b"forged")
    copied.upload()
    newest = copied.store.client().get_object(Bucket=copied.bucket.bucket, Key=key)["Body"].read()
    assert hashlib.sha256(newest).hexdigest() == file.stem


def test_rotten_bytes_do_not_arrive(copied: Copied) -> None:
    """A file that rotted here is refused by the bucket, and its snapshot does not appear there."""
    flip_a_bit(next(iter(copied.sender.layout.objects.rglob("*.gpg"))), 3)
    with pytest.raises(IntegrityError, match="not what its name says"):
        copied.upload()
    assert len(copied.report.snapshots) < 2
    assert copied.report.problem_kind == "damaged"


def test_a_damaged_repository_holds_no_other_up(copied: Copied, make_copied: MakeCopied) -> None:
    """Of several repositories, all that are sound arrive, and then the failure of the damaged one is raised."""
    flip_a_bit(next(iter(copied.sender.layout.objects.rglob("*.gpg"))), 3)
    sound = make_copied(name="sound", bucket=copied.bucket.bucket)
    sound.snapshot()
    with pytest.raises(IntegrityError, match="not what its name says"):
        each((copied, sound), Copied.upload)
    assert len(sound.report.snapshots) == 1
    assert copied.report.problem_kind == "damaged"


def test_locks_are_renewed_for_a_quarter(make_copied: MakeCopied) -> None:
    """Over a simulated quarter, whatever a kept snapshot needs is locked for the days promised, at every moment."""
    copied = make_copied(lock_days=20)
    first = copied.snapshot()
    begin = datetime.now(UTC)
    renewed = 0
    for day in range(0, 92, 10):
        now = begin + day * DAY
        renewed += copied.upload(lambda now=now: now).renewed  # type: ignore[misc]
        for file in copied.record.files().values():
            assert file.locked_until is not None
            assert file.locked_until >= now + 20 * DAY
    seen = copied.store.client().head_object(
        Bucket=copied.bucket.bucket, Key=copied.address.key(f"snapshots/{first}/manifest.gpg")
    )
    assert seen["ObjectLockRetainUntilDate"] >= now + 20 * DAY
    assert 0 < renewed <= 9 * 10, "each of nine files about once in ten days"


def test_the_oldest_object_is_locked_for_a_quarter(make_copied: MakeCopied, is_long: bool) -> None:
    """While snapshots come and are pruned, what the kept ones need is locked for the days promised, between passes too.

    The first object outlives its snapshot, as every later one needs it. The store itself is asked at the end. With
    `--long` it is a quarter, 20 days otherwise.
    """
    copied = make_copied(lock_days=8)
    begin, kept = datetime.now(UTC), [copied.snapshot()]
    shared = read_object_list(copied.sender.layout, kept[0])[0].objects
    removed: list[SnapshotId] = []
    for day in range(92 if is_long else 20):
        now = begin + day * DAY
        if day and day % 6 == 0:
            kept.append(copied.sender.snapshot(begin + timedelta(seconds=day), old=shared, new_objects=1))
            remove_snapshots(copied.sender.layout, kept[:-1])
            removed += kept[:-1]
            kept = kept[-1:]
        needed = [object_path(one.name) for one in shared]
        for file in copied.record.files(needed).values():
            assert file.locked_until is not None
            assert file.locked_until >= now + 8 * DAY, "a day after the last pass, which is late"
        copied.upload(lambda now=now: now, removed)  # type: ignore[misc]
    client = copied.store.client()
    for path in (*needed, f"snapshots/{kept[0]}/objects.sha256"):
        seen = client.head_object(Bucket=copied.bucket.bucket, Key=copied.address.key(path))
        assert seen["ObjectLockRetainUntilDate"] >= now + 8 * DAY
    gone = client.head_object(
        Bucket=copied.bucket.bucket, Key=copied.address.key(f"snapshots/{removed[0]}/objects.sha256")
    )
    assert gone["ObjectLockRetainUntilDate"] < now + 8 * DAY, "what was pruned is not renewed"


def test_what_is_not_needed_goes_when_its_lock_has_run_out(make_copied: MakeCopied) -> None:
    """After a prune, an object stays while it is locked, its lock is not renewed, and then it is removed."""
    copied = make_copied(is_locked=False, lock_days=0)
    doomed = copied.snapshot()
    copied.snapshot()
    copied.upload()
    remove_snapshots(copied.sender.layout, [doomed])
    assert copied.upload(lambda: datetime.now(UTC) + PASS_EVERY, [doomed]).removed == 5
    assert not [path for path in copied.paths() if str(doomed) in path]


def test_locked_files_stay_after_a_prune(copied: Copied) -> None:
    """Locked files of a removed snapshot stay, and are counted as not needed."""
    (doomed, *_) = copied.upload().snapshots
    remove_snapshots(copied.sender.layout, [doomed])
    assert copied.upload(lambda: datetime.now(UTC) + PASS_EVERY, [doomed]).removed == 0
    assert copied.report.unneeded == 5
    assert str(doomed) not in copied.report.snapshots


def test_what_is_gone_here_for_no_known_reason_stays_there(make_copied: MakeCopied) -> None:
    """If a snapshot is gone here and no prune explains it, nothing of it is removed there, or left without a lock."""
    for is_locked, days in ((False, 0), (True, 1)):
        copied = make_copied(name=f"locked-{is_locked}", is_locked=is_locked, lock_days=days)
        lost = copied.snapshot()
        copied.snapshot()
        copied.upload()
        before = copied.paths()
        remove_snapshots(copied.sender.layout, [lost])
        later = datetime.now(UTC) + 3 * DAY
        again = copied.upload(lambda later=later: later)  # type: ignore[misc]
        assert (again.removed, copied.paths()) == (0, before)
        assert str(lost) in copied.report.snapshots
        ends = [file.locked_until for file in copied.record.files().values()]
        assert all(end is not None and end > later + DAY for end in ends) == is_locked


def test_a_rotten_snapshot_keeps_neither_others_nor_locks_waiting(make_copied: MakeCopied) -> None:
    """While one snapshot cannot be uploaded, older ones are, and locks are renewed; the failure is reported."""
    copied = make_copied(lock_days=1)
    copied.snapshot()
    copied.upload()
    older = copied.snapshot()
    rotten = copied.snapshot(datetime.now(UTC) + timedelta(minutes=1))
    (stored, *_) = read_object_list(copied.sender.layout, rotten)[0].objects
    flip_a_bit(copied.sender.layout.object(stored.name), 3)
    later = datetime.now(UTC) + 3 * DAY
    with pytest.raises(IntegrityError):
        copied.upload(lambda: later)
    assert str(older) in copied.report.snapshots
    assert str(rotten) not in copied.report.snapshots
    assert copied.report.locked_until is None, "something that is needed is not there"
    assert all(file.locked_until and file.locked_until > later + DAY for file in copied.record.files().values())


def test_an_object_that_is_lost_here_is_a_failure_of_its_snapshot(make_copied: MakeCopied) -> None:
    """A new snapshot of which an object is gone here is named; others arrive, and locks are renewed."""
    copied = make_copied(lock_days=1)
    copied.snapshot()
    copied.upload()
    older = copied.snapshot()
    newer = copied.snapshot(datetime.now(UTC) + timedelta(minutes=1))
    (stored, *_) = read_object_list(copied.sender.layout, newer)[0].objects
    copied.sender.layout.object(stored.name).unlink()
    later = datetime.now(UTC) + 3 * DAY
    with pytest.raises(IntegrityError, match=f"snapshot {newer} cannot be uploaded: .*{stored.name}.* is gone here"):
        copied.upload(lambda: later)
    assert str(older) in copied.report.snapshots
    assert copied.report.problem_kind == "damaged"
    assert all(file.locked_until and file.locked_until > later + DAY for file in copied.record.files().values())


def test_what_is_gone_in_both_places_is_a_failure(make_copied: MakeCopied) -> None:
    """A file that is found gone from the bucket when its lock is due, and is gone here as well, is a failure."""
    copied = make_copied(is_locked=False, lock_days=0)
    snapshot = copied.snapshot()
    copied.upload()
    (stored, *_) = read_object_list(copied.sender.layout, snapshot)[0].objects
    copied.sender.layout.object(stored.name).unlink()
    locked = copied.store.new_bucket()
    moved = replace(copied, bucket=copied.bucket.model_copy(update={"bucket": locked, "lock_days": 1}))
    with pytest.raises(IntegrityError, match=f"{stored.name}.* is gone from the bucket, and gone here"):
        moved.upload(lambda: datetime.now(UTC) + DAY)


def test_a_bucket_without_locks_stays_known_as_such(make_copied: MakeCopied) -> None:
    """An upload that has nothing to send neither believes in locks again nor fails for want of them."""
    copied = make_copied(is_locked=False)
    copied.snapshot()
    copied.upload()
    for later in (timedelta(0), PASS_EVERY, 40 * DAY):
        copied.upload(lambda later=later: datetime.now(UTC) + later)  # type: ignore[misc]
        assert copied.report.has_lock is False


def test_an_object_that_was_deleted_there_is_put_again(make_copied: MakeCopied) -> None:
    """What somebody has deleted from a bucket is noticed when its lock is renewed, and is put there again."""
    copied = make_copied(lock_days=1)
    copied.snapshot()
    copied.upload()
    record = copied.record
    (path,) = [path for path in record.files() if path.endswith("manifest.gpg")]
    file = record.files([path])[path]
    client = copied.store.client()
    unlocked = client.put_object(Bucket=copied.bucket.bucket, Key=copied.address.key(path), Body=b"x")
    client.delete_object(Bucket=copied.bucket.bucket, Key=copied.address.key(path), VersionId=unlocked["VersionId"])
    record.put([type(file)(path, file.sha256, file.size_bytes, unlocked["VersionId"], file.tag, None)])
    copied.upload(lambda: datetime.now(UTC) + 2 * DAY)
    assert copied.record.files([path])[path].version != unlocked["VersionId"]


def test_a_bucket_without_locks_gets_files_without(make_copied: MakeCopied) -> None:
    """In a bucket that has no Object Lock, files arrive unlocked, and that is reported."""
    copied = make_copied(is_locked=False)
    copied.snapshot()
    assert copied.upload().has_lock is False
    assert copied.report.has_lock is False
    assert len(copied.report.snapshots) == 1


def test_two_servers_share_a_bucket(make_copied: MakeCopied) -> None:
    """Two servers with one bucket, and even one prefix, have a folder each, named by their repository's id."""
    first = make_copied()
    second = make_copied(name="other", bucket=first.bucket.bucket)
    for copied in (first, second):
        copied.snapshot()
        copied.upload()
    assert first.address.root != second.address.root
    assert len(first.paths()) == len(second.paths()) == 9


def test_revoked_credentials_are_reported(copied: Copied) -> None:
    """With credentials that were revoked nothing is uploaded, and the report says so, without naming the key."""
    revoked = copied.with_keys(copied.store.stranger)
    with pytest.raises(BucketRefusedError) as failure:
        revoked.upload()
    assert revoked.report.problem_kind == "refused"
    for text in (failure.value.message, failure.value.hint, revoked.report.problem):
        assert copied.store.stranger.access_key not in text
        assert copied.store.stranger.secret_key not in text


def test_an_outage_is_survived(copied: Copied, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store cannot be reached uploads fail and are reported; afterwards all is there."""
    monkeypatch.setattr("permafrost.buckets.client.ATTEMPTS", 1)
    with CuttableProxy(object_store.port) as proxy:
        behind = copied.bucket.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy.port}"})
        away = Copied(copied.store, copied.sender, behind, copied.folder)
        away.upload()
        late = away.snapshot()
        proxy.cut()
        for hours in (1, 72):
            with pytest.raises(BucketUnreachableError):
                away.upload(lambda hours=hours: datetime.now(UTC) + timedelta(hours=hours))  # type: ignore[misc]
        assert away.report.problem_kind == "unreachable"
        assert away.report.failing_since is not None
        assert away.report.failing_since < datetime.now(UTC) + timedelta(hours=2)
    assert str(late) not in copied.report.snapshots
    copied.upload()
    assert str(late) in copied.report.snapshots
    assert copied.report.failing_since is None


def test_a_wrong_clock_locks_nothing(copied: Copied, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this machine's clock is hours from the store's, nothing is uploaded: a lock until then could not be undone."""
    real = datetime.now(UTC).timestamp()
    monkeypatch.setattr("permafrost.buckets.store.time.time", lambda: real + 7200)
    with pytest.raises(BucketClockError, match="120 minutes ahead"):
        copied.upload()
    assert copied.paths() == {}
    assert copied.report.problem_kind == "clock"
