"""A repository in a bucket is read like a folder, whatever somebody with a key that may write has done there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.buckets.fetching import Fetcher
from permafrost.buckets.store import BucketStore
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.errors import BucketRefusedError, IntegrityError, RepositoryError
from permafrost.events import ignore_events
from permafrost.loading.bucket_source import FetchedRepository, fetched_repository
from permafrost.repository.layout import Layout, SnapshotId, object_path
from permafrost.repository.objects import open_object
from permafrost.repository.snapshots import list_snapshots, read_object_list
from tests.fixtures.buckets import Copied, MakeCopied
from tests.fixtures.proxy import CuttableProxy
from tests.fixtures.seaweedfs import ObjectStore

LATEST = WantedSnapshots()


@pytest.fixture
def copied(make_copied: MakeCopied) -> Copied:
    """A repository with two snapshots, all of it in a bucket."""
    made = make_copied()
    made.snapshot(datetime.now(UTC) - timedelta(hours=1))
    made.snapshot()
    made.upload()
    return made


@contextmanager
def fetched(
    copied: Copied, wanted: WantedSnapshots = LATEST, fingerprint: str | None = ""
) -> Iterator[FetchedRepository]:
    """Yield the repository as it is read from the bucket, with read credentials and the fingerprint of the sheet."""
    credentials = copied.bucket.read_credentials_file
    assert credentials is not None
    trusted = copied.sender.key.fingerprint if fingerprint == "" else fingerprint
    with fetched_repository(copied.address, credentials, trusted, wanted, copied.folder, ignore_events) as found:
        yield found


def read_whole(copied: Copied, found: FetchedRepository, snapshot: SnapshotId) -> None:
    """Fetch the snapshot's objects; every one has to have the bytes of its name."""
    object_list, _, _ = read_object_list(Layout(found.folder), snapshot)
    found.fetch(object_list.objects, ignore_events)
    for stored in object_list.objects:
        with open_object(Layout(found.folder), stored):
            assert (found.folder / object_path(stored.name)).stat().st_size == stored.size_bytes
    assert object_list == read_object_list(copied.sender.layout, snapshot)[0]


def test_the_newest_snapshot_alone_is_fetched(copied: Copied) -> None:
    """For `latest` only the newest snapshot's files come, and then its objects; nothing is left behind."""
    newest = list_snapshots(copied.sender.layout)[-1]
    with fetched(copied) as found:
        assert list_snapshots(Layout(found.folder)) == [newest]
        read_whole(copied, found, newest)
        assert (found.folder / "restore.py").read_bytes() == (copied.sender.repository.path / "restore.py").read_bytes()
    assert not list(copied.folder.glob("permafrost-bucket-*"))


def test_an_older_snapshot_by_id_or_moment(copied: Copied) -> None:
    """A snapshot is found by its id, and by a moment; one that does not exist is an error."""
    older = list_snapshots(copied.sender.layout)[0]
    for wanted in (WantedSnapshots(older), WantedSnapshots(until=datetime.now(UTC) - timedelta(minutes=30))):
        with fetched(copied, wanted) as found:
            assert list_snapshots(Layout(found.folder)) == [older]
    nowhere = WantedSnapshots(SnapshotId("20200101T000000Z-00000000"))
    with pytest.raises(RepositoryError, match="has no snapshot 20200101"), fetched(copied, nowhere):
        pass


def test_a_thief_with_all_keys_hides_nothing(copied: Copied) -> None:
    """With the server's key and the bucket owner's a thief overwrites and deletes all: everything still comes back."""
    thief, bucket = copied.store.client(), copied.bucket.bucket
    for path in copied.paths():
        thief.put_object(Bucket=bucket, Key=copied.address.key(path), Body=b"stolen")
        thief.delete_object(Bucket=bucket, Key=copied.address.key(path))
    for version in thief.list_object_versions(Bucket=bucket)["Versions"]:
        is_newest = version["Size"] == len(b"stolen")
        try:
            thief.delete_object(
                Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"], BypassGovernanceRetention=True
            )
        except thief.exceptions.ClientError:
            assert not is_newest
    newest = list_snapshots(copied.sender.layout)[-1]
    with fetched(copied) as found:
        read_whole(copied, found, newest)


def test_forged_files_are_passed_over(copied: Copied) -> None:
    """Another repository.json, another signing key and snapshots of a made-up future change nothing."""
    thief, bucket = copied.store.client(copied.store.writer), copied.bucket.bucket
    facts = json.loads((copied.sender.repository.path / "repository.json").read_text())
    forged = json.dumps({**facts, "signing_key": "0" * 40}).encode()
    future = SnapshotId.new(datetime.now(UTC) + timedelta(days=300))
    for path, content in {
        "repository.json": forged,
        "signing-key.asc": b"no key",
        f"snapshots/{future}/manifest.gpg": b"m",
        f"snapshots/{future}/objects.sha256": b"# permafrost objects 1\n",
        f"snapshots/{future}/objects.sha256.sig": b"s",
    }.items():
        thief.put_object(Bucket=bucket, Key=copied.address.key(path), Body=content)
    newest = list_snapshots(copied.sender.layout)[-1]
    for fingerprint in ("", None):
        with fetched(copied, fingerprint=fingerprint) as found:
            read_whole(copied, found, newest)
    with pytest.raises(RepositoryError, match="with this signing key"), fetched(copied, fingerprint="1" * 40):
        pass


def test_a_lost_object_is_named(make_copied: MakeCopied) -> None:
    """An object whose every version has other bytes is named, and nothing of it is handed on."""
    copied = make_copied(is_locked=False)
    snapshot = copied.snapshot()
    copied.upload()
    (stored, *_) = read_object_list(copied.sender.layout, snapshot)[0].objects
    wrong = b"x" * stored.size_bytes
    key = copied.address.key(object_path(stored.name))
    copied.store.client().put_object(Bucket=copied.bucket.bucket, Key=key, Body=wrong)
    assert hashlib.sha256(wrong).hexdigest() != stored.name
    with fetched(copied) as found, pytest.raises(IntegrityError, match=f"{stored.name}.*none of its 1 versions"):
        found.fetch([stored], ignore_events)


def test_the_writing_key_reads_nothing(copied: Copied, tmp_path: Path) -> None:
    """Whoever has the server's key for the bucket can read nothing there."""
    file = copied.store.writer.write(tmp_path / "writer")
    fetcher = Fetcher(BucketStore(copied.address, file), tmp_path / "stolen")
    with pytest.raises(BucketRefusedError):
        fetcher.repository(None)


def test_a_cut_download_is_resumed(copied: Copied, object_store: ObjectStore, tmp_path: Path) -> None:
    """A fetch that was cut off is resumed: what has come is not fetched again."""
    newest = list_snapshots(copied.sender.layout)[-1]
    objects = read_object_list(copied.sender.layout, newest)[0].objects
    credentials = copied.bucket.read_credentials_file
    assert credentials is not None
    with CuttableProxy(object_store.port) as proxy:
        behind = copied.bucket.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy.port}"})
        away = Copied(copied.store, copied.sender, behind, copied.folder)
        fetcher = Fetcher(BucketStore(away.address, credentials), tmp_path / "copy")
        fetcher.repository(copied.sender.key.fingerprint)
        fetcher.objects(objects[:1], lambda *_: None)
        proxy.cut()
    again = Fetcher(BucketStore(copied.address, credentials), tmp_path / "copy")
    heard: list[tuple[int, int]] = []
    again.objects(objects, lambda done, total: heard.append((done, total)))
    assert heard[-1][1] == sum(one.size_bytes for one in objects[1:])
