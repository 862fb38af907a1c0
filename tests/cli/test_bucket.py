"""permafrost bucket, as a program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from permafrost.buckets.address import address_of
from permafrost.config.buckets import Bucket
from permafrost.repository.repository import Repository
from tests.fixtures.bucket_configuration import with_bucket
from tests.fixtures.buckets import MakeCopied
from tests.fixtures.commands import command, json_of, json_with
from tests.fixtures.delivery import make_stage
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import MakeServer, SigningKey


def test_upload(make_server: MakeServer, object_store: ObjectStore, make_copied: MakeCopied) -> None:
    """The command uploads what the bucket lacks, and prints where it can be restored from; no text has the keys."""
    copied = make_copied(name="copied")
    copied.snapshot()
    server = make_server()
    file = with_bucket(server, object_store, copied.bucket.bucket)
    file.write_text(file.read_text().replace(str(server.path), str(copied.sender.repository.path)))
    (document,) = json_of("bucket", "upload", "cellar", "--config", str(file))["uploads"]
    assert (document["files"], len(document["snapshots"]), document["has_lock"]) == (9, 1, True)
    assert document["address"] == str(copied.address)
    again = command("bucket", "upload", "cellar", "--config", str(file))
    assert again.returncode == 0
    assert "0 new snapshots in cellar" in again.stdout
    for keys in (object_store.writer, object_store.reader):
        assert keys.secret_key not in again.stdout + again.stderr + str(document)


def test_unknown_bucket(make_server: MakeServer, object_store: ObjectStore) -> None:
    """A name that is no bucket's is a mistake of the command line, and the hint lists those that exist."""
    file = with_bucket(make_server(), object_store, "some-bucket")
    finished = command("bucket", "upload", "attic", "--config", str(file))
    assert finished.returncode == 2
    assert "cellar" in finished.stderr


def test_a_vault_uploads_its_history(
    repository: Repository, signing_key: SigningKey, object_store: ObjectStore, tmp_path: Path
) -> None:
    """A vault mirrors the history of its server into a bucket whose key the server never has, and reports on it."""
    stage = make_stage(tmp_path / "vault", repository, signing_key)
    bucket = Bucket(
        name="cellar",
        bucket=object_store.new_bucket(),
        endpoint=object_store.endpoint,
        credentials_file=object_store.writer.write(tmp_path / "key"),
    )
    settings = stage.vault.settings.model_copy(update={"buckets": (bucket,)})
    stage.vault.model_copy(update={"settings": settings}).save()
    root = str(tmp_path / "vault")
    early = json_of("bucket", "check", "cellar", "--path", root)
    assert (early["is_good"], early["address"]) == (True, str(address_of(bucket, repository.repository_id)))
    snapshot = stage.sender.snapshot(datetime.now(UTC) - timedelta(hours=30))
    stage.deliver()
    stage.keep()
    late = json_with(3, "vault", "status", "--path", root)["findings"]
    assert "bucket-late" in {finding["kind"] for finding in late}
    (document,) = json_of("bucket", "upload", "cellar", "--path", root)["uploads"]
    assert document["snapshots"] == [str(snapshot)]
    assert document["address"] == str(address_of(bucket, repository.repository_id))
    found = {finding["kind"] for finding in json_with(3, "vault", "status", "--path", root)["findings"]}
    assert "bucket-late" not in found
    credentials = object_store.reader.write(tmp_path / "reading-key")
    verify = ("verify", "--bucket", "cellar", "--path", root, "--bucket-credentials", str(credentials))
    (verified,) = json_of(*verify)["verifications"]
    assert (verified["bad"], verified["snapshots"], verified["address"]) == ([], 1, document["address"])
    words = ("--credentials", str(credentials), "--fingerprint", signing_key.fingerprint)
    fetched = json_of("bucket", "fetch", document["address"], str(tmp_path / "copy"), *words)
    assert fetched["snapshots"] == [str(snapshot)]


def test_a_vault_finds_what_its_bucket_lost(
    repository: Repository, signing_key: SigningKey, object_store: ObjectStore, tmp_path: Path
) -> None:
    """A file that is gone from a vault's bucket is an alarm of that vault, until the next upload has put it there."""
    stage = make_stage(tmp_path / "vault", repository, signing_key)
    bucket = Bucket(
        name="cellar",
        bucket=object_store.new_bucket(is_locked=False),
        endpoint=object_store.endpoint,
        credentials_file=object_store.writer.write(tmp_path / "key"),
        read_credentials_file=object_store.reader.write(tmp_path / "reading-key"),
        lock_days=0,
    )
    settings = stage.vault.settings.model_copy(update={"buckets": (bucket,)})
    stage.vault.model_copy(update={"settings": settings}).save()
    root = str(tmp_path / "vault")
    verify = ("verify", "--bucket", "cellar", "--path", root)
    assert json_of(*verify)["verifications"] == []
    snapshot = stage.sender.snapshot(datetime.now(UTC))
    stage.deliver()
    stage.keep()
    json_of("bucket", "upload", "cellar", "--path", root)
    path = f"snapshots/{snapshot}/manifest.gpg"
    key = address_of(bucket, repository.repository_id).key(path)
    object_store.client().delete_object(Bucket=bucket.bucket, Key=key)
    (verified,) = json_with(14, *verify)["verifications"]
    assert verified["bad"] == [path]
    assert "bucket-corrupt" in {found["kind"] for found in json_with(3, "vault", "status", "--path", root)["findings"]}
    json_of("bucket", "upload", "cellar", "--path", root)
    assert json_of(*verify)["verifications"][0]["bad"] == []
    found = {finding["kind"] for finding in json_with(3, "vault", "status", "--path", root)["findings"]}
    assert "bucket-corrupt" not in found
