"""Disaster day with a bucket: an address, a key that may read, and what the recovery sheet says are enough."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.config.buckets import Bucket
from permafrost.operations.bucket.check import check_bucket
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.digest import TableContents
from tests.emergency.disaster import bare_path, ended
from tests.fixtures.backups import contents_of, drop, make_backup
from tests.fixtures.buckets import Copied
from tests.fixtures.commands import command, json_of
from tests.fixtures.delivery import Sender
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import MakeServer, Server, SigningKey

SECRET = "LOCAL_DOMAIN=example.social\nSECRET_KEY_BASE=0123\n"


@dataclass(frozen=True)
class Lost:
    """A server that is lost, and all that is left of it: its bucket, and what the recovery sheet says."""

    server: Server
    copied: Copied
    database: str

    @property
    def words(self) -> tuple[str, ...]:
        """The options that the recovery sheet gives."""
        return (
            *("--repository", str(self.copied.address)),
            *("--bucket-credentials", str(self.copied.bucket.read_credentials_file)),
            *("--passphrase-file", str(self.server.passphrase_file)),
            *("--fingerprint", str(self.server.configuration.signing.fingerprint)),
        )


@pytest.fixture
def lost(
    mastodon_database: str, make_server: MakeServer, object_store: ObjectStore, signing_key: SigningKey, tmp_path: Path
) -> Lost:
    """A server whose snapshots, of database and secrets, are in a bucket."""
    secret = tmp_path / ".env.production"
    secret.write_text(SECRET)
    server = make_server(mastodon_database, secret_files=(secret,), engine="log")
    make_backup(server, is_audited=True)
    bucket = Bucket(
        name="cellar",
        bucket=object_store.new_bucket(),
        endpoint=object_store.endpoint,
        credentials_file=object_store.writer.write(tmp_path / "write-key"),
        read_credentials_file=object_store.reader.write(tmp_path / "read-key"),
    )
    copied = Copied(object_store, Sender(server.repository, signing_key), bucket, tmp_path)
    copied.upload()
    return Lost(server, copied, mastodon_database)


@pytest.fixture
def plundered(lost: Lost) -> Lost:
    """The same, after a thief was in the bucket with every key."""
    for path in lost.copied.paths():
        lost.copied.overwrite(path, b"stolen")
        lost.copied.hide(path)
    return lost


def test_restore_and_drill_from_a_plundered_bucket(plundered: Lost, tmp_path: Path) -> None:
    """From hidden and overwritten versions the database is restored and equal, the secrets too, and a drill passes."""
    name = f"restored_{os.urandom(4).hex()}"
    server = conninfo_for(plundered.database, dbname="postgres")
    try:
        document = json_of(
            *("restore", "latest", "--database", name, "--server", server),
            *("--secrets-to", str(tmp_path / "secrets"), "--runbook", str(tmp_path / "runbook.txt")),
            *plundered.words,
        )
        assert contents_of(conninfo_for(plundered.database, dbname=name)) == contents_of(plundered.database)
        assert document["rows"] == sum(table.rows for table in contents_of(plundered.database))
        (secret,) = [file for file in (tmp_path / "secrets").rglob(".env.production") if file.is_file()]
        assert secret.read_text() == SECRET
    finally:
        drop(plundered.database, name)
    drilled = command("drill", "--audited", "--json", *plundered.words)
    assert drilled.returncode in (0, 3), drilled.stderr
    assert json.loads(drilled.stdout)["audited"] is True
    key = plundered.copied.store.reader
    assert key.secret_key not in drilled.stdout + drilled.stderr


def test_a_drill_from_a_configured_bucket_is_a_proof(lost: Lost) -> None:
    """A drill of `bucket:NAME` proves the snapshot, and that place; neither one takes the scheduled drill's turn."""
    config = lost.server.write_configuration()
    bucket = lost.copied.bucket
    config.write_text(
        f'{config.read_text()}\n[[buckets]]\nname = "cellar"\nbucket = "{bucket.bucket}"\n'
        f'endpoint = "{bucket.endpoint}"\ncredentials_file = "{bucket.credentials_file}"\n'
    )
    given = ("--config", str(config))
    status = json.loads(command("status", "--json", *given).stdout)
    (place,) = [one for one in status["places"] if one["kind"] == "bucket"]
    assert (status["newest_proven"], place["proven_to"], place["drilled_at"]) == (None, None, None)
    by_name = ("drill", "--json", "--repository", "bucket:cellar", *given)
    assert "no key for the bucket was given" in command(*by_name).stdout
    drilled = command(*by_name, *lost.words[2:4])
    assert drilled.returncode in (0, 3), drilled.stderr
    status = json.loads(command("status", "--json", *given).stdout)
    (place,) = [one for one in status["places"] if one["kind"] == "bucket"]
    assert status["newest_proven"] == json.loads(drilled.stdout)["snapshot"]
    assert place["proven_to"] == place["restorable_to"]
    assert place["drilled_at"] is not None
    assert status["verdict"]["proven_at"] == place["drilled_at"]
    (job,) = [job for job in status["jobs"] if job["name"] == "drill"]
    assert job["last_at"] is None


def test_a_failed_drill_from_a_bucket_is_a_finding(lost: Lost, tmp_path: Path) -> None:
    """A drill from a bucket that lost an object fails, and status names the bucket; the server's own proofs stay."""
    config = lost.server.write_configuration()
    copied = lost.copied
    bucket = copied.bucket.model_copy(update={"bucket": copied.store.new_bucket(is_locked=False), "lock_days": 0})
    lossy = Copied(copied.store, copied.sender, bucket, tmp_path / "lossy")
    lossy.upload()
    lossy.hide(next(path for path in lossy.paths() if path.startswith("objects/")))
    config.write_text(
        f'{config.read_text()}\n[[buckets]]\nname = "cellar"\nbucket = "{bucket.bucket}"\nlock_days = 0\n'
        f'endpoint = "{bucket.endpoint}"\ncredentials_file = "{bucket.credentials_file}"\n'
        f'read_credentials_file = "{bucket.read_credentials_file}"\n'
    )
    failed = command("drill", "--repository", str(lossy.address), "--config", str(config))
    assert failed.returncode == 14, failed.stderr
    status = json.loads(command("status", "--json", "--config", str(config)).stdout)
    assert "bucket-drill-failed" in {finding["kind"] for finding in status["findings"]}
    assert "drill-failed" not in {finding["kind"] for finding in status["findings"]}


def restored_by_hand(folder: Path, lost: Lost, scratch: Path) -> list[TableContents]:
    """Return what restore.py in `folder` makes of the newest snapshot, with nothing but its own programs."""
    name = f"by_hand_{os.urandom(4).hex()}"
    programs = bare_path(scratch / "bin")
    server = conninfo_for(lost.database, dbname="postgres")
    try:
        by_hand = ended(
            (
                *(str(programs / "python3"), "-I", str(folder / "restore.py"), "restore", "latest", "--database", name),
                *("--server", server, *lost.words[4:]),
            ),
            {"PATH": str(programs), "HOME": str(programs)},
        )
        assert by_hand.returncode == 0, by_hand.stderr
        return contents_of(conninfo_for(lost.database, dbname=name))
    finally:
        drop(lost.database, name)


def test_fetch_and_restore_by_hand(plundered: Lost, tmp_path: Path) -> None:
    """What bucket fetch brings is a whole repository: verify has no finding, and restore.py of it restores it."""
    folder, words = tmp_path / "copy", plundered.words
    given = ("bucket", "fetch", words[1], str(folder), "--credentials", words[3], *words[-2:])
    assert json_of(*given)["bytes"] > 0
    assert json_of(*given)["bytes"] == 0, "a second time nothing is fetched"
    assert json_of("verify", "--repository", str(folder), *words[-2:])["findings"] == []
    assert restored_by_hand(folder, plundered, tmp_path) == contents_of(plundered.database)


def test_a_plain_download_is_a_repository(lost: Lost, tmp_path: Path) -> None:
    """What any client of object stores downloads, each key as a file, is a repository that restore.py restores."""
    client, bucket = lost.copied.store.client(), lost.copied.bucket.bucket
    check_bucket(
        lost.copied.bucket, lost.copied.address.repository_id, lambda: datetime.now(UTC)
    )  # its trials leave objects there
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for listed in page["Contents"]:
            file = tmp_path / "download" / listed["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, listed["Key"], str(file))
    folder = tmp_path / "download" / lost.copied.address.root
    assert json_of("verify", "--repository", str(folder), *lost.words[-2:])["findings"] == []
    assert restored_by_hand(folder, lost, tmp_path) == contents_of(lost.database)


@pytest.mark.skipif(shutil.which("aws") is None, reason="aws-cli is not installed")
@pytest.mark.parametrize("words", [("sync",), ("cp", "--recursive")], ids=lambda words: words[0])
def test_what_aws_cli_downloads_is_a_repository(lost: Lost, tmp_path: Path, words: tuple[str, ...]) -> None:
    """What `aws s3 sync` or `aws s3 cp --recursive` downloads with the reading key restores with restore.py."""
    store, address = lost.copied.store, lost.copied.address
    folder = tmp_path / "download"
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": store.reader.access_key,
        "AWS_SECRET_ACCESS_KEY": store.reader.secret_key,
        "AWS_DEFAULT_REGION": address.region,
    }
    aws = ("aws", "--endpoint-url", store.endpoint, "s3", words[0])
    subprocess.run(
        [*aws, *words[1:], f"s3://{address.bucket}/{address.root}", str(folder)],
        env=environment,
        check=True,
        capture_output=True,
    )
    assert json_of("verify", "--repository", str(folder), *lost.words[-2:])["findings"] == []
    assert restored_by_hand(folder, lost, tmp_path) == contents_of(lost.database)


def test_no_key_for_the_bucket(lost: Lost) -> None:
    """Without a key for the bucket, or with a wrong address, the command says what is missing, before anything else."""
    address, (_, _, _, _, *others) = str(lost.copied.address), lost.words
    for words, said in (
        (("--repository", address), "--bucket-credentials FILE"),
        (("--repository", "s3://cellar/nothing"), "repository's id"),
        (("--repository", "/nowhere", "--bucket-credentials", "key"), "no bucket's address"),
    ):
        finished = command("restore", "latest", "--database", "nowhere", *words, *others)
        assert finished.returncode == 2
        assert said in finished.stderr.replace("\n", " ")
