"""What a bucket costs: requests for each snapshot, as docs/how-to/bucket.md counts them."""

from __future__ import annotations

from pathlib import Path

import psycopg

from permafrost.config.buckets import Bucket
from tests.fixtures.backups import make_backup
from tests.fixtures.buckets import Copied
from tests.fixtures.delivery import Sender
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import MakeServer, SigningKey

HOURS = 3


def test_requests_for_each_snapshot(
    mastodon_database: str, make_server: MakeServer, object_store: ObjectStore, signing_key: SigningKey, tmp_path: Path
) -> None:
    """After the first, a snapshot of an hour's changes costs six requests, whatever the size of the database.

    One asks for the time, one to two store what has changed, and three the snapshot's own files.
    """
    server = make_server(mastodon_database, engine="log")
    credentials = object_store.writer.write(tmp_path / "key")
    bucket = Bucket(
        name="cellar",
        bucket=object_store.new_bucket(),
        endpoint=object_store.endpoint,
        credentials_file=credentials,
    )
    copied = Copied(object_store, Sender(server.repository, signing_key), bucket, tmp_path)
    make_backup(server)
    counted = [copied.upload().requests]
    for _ in range(HOURS):
        with psycopg.connect(mastodon_database, autocommit=True) as connection:
            connection.execute("UPDATE accounts SET note = note || 'x' WHERE id IN (SELECT id FROM accounts LIMIT 3)")
        make_backup(server)
        counted.append(copied.upload().requests)
    print(f"requests: {counted}")  # noqa: T201
    assert max(counted[1:]) <= 6
