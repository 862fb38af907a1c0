"""permafrost bucket, as a program."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.buckets import MakeCopied
from tests.fixtures.commands import command, json_of
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import MakeServer, Server


def with_bucket(server: Server, store: ObjectStore, bucket: str) -> Path:
    """Write the server's configuration with that bucket, and return the file."""
    file = server.write_configuration()
    credentials = store.writer.write(file.with_name("bucket-credentials"))
    reading = store.reader.write(file.with_name("bucket-read-credentials"))
    table = f"""
[[buckets]]
name = "cellar"
bucket = "{bucket}"
endpoint = "{store.endpoint}"
credentials_file = "{credentials}"
read_credentials_file = "{reading}"
"""
    file.write_text(file.read_text() + table)
    return file


def test_upload(make_server: MakeServer, object_store: ObjectStore, make_copied: MakeCopied) -> None:
    """The command uploads what the bucket lacks, and prints where it can be restored from; no text has the keys."""
    copied = make_copied(name="copied")
    copied.snapshot()
    server = make_server()
    file = with_bucket(server, object_store, copied.bucket.bucket)
    file.write_text(file.read_text().replace(str(server.path), str(copied.sender.repository.path)))
    document = json_of("bucket", "upload", "cellar", "--config", str(file))
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
