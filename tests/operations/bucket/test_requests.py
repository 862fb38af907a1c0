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


PUTS_FOR_A_SNAPSHOT, DAYS, LOCK_DAYS = 4, 30, 30
PUT_USD, GB_USD = 0.005 / 1000, 0.023


def test_the_costs_in_the_how_to() -> None:
    """The how-to's table is what its formula gives, with the requests that are counted above."""
    text = Path("docs/how-to/bucket.md").read_text()
    rows = {
        name: cells for name, *cells in (line.strip("| ").split(" | ") for line in text.splitlines() if "|" in line)
    }
    renewals = DAYS / (LOCK_DAYS / 2 + 1)
    for name, a_day, puts, gigabytes in (
        ("a backup every hour", 24 * 6, 24 * DAYS * PUTS_FOR_A_SNAPSHOT, 0),
        ("a backup every minute", 1440 * 5, 1440 * DAYS * PUTS_FOR_A_SNAPSHOT, 0),
        ("locks of 1,000 files (a database of about 1 GB)", 0, 1000 * renewals, 0),
        ("locks of 20,000 files (of about 50 GB)", 0, 20_000 * renewals, 0),
        ("2 GB in the bucket (a repository of 1 GB, and as much that was pruned and is locked)", 0, 0, 2),
        ("100 GB (of 50 GB, likewise)", 0, 0, 100),
    ):
        cost = f"{puts * PUT_USD + gigabytes * GB_USD:.2f}"
        amounts = (f"{a_day:,}" if a_day else "", f"{puts:,.0f}" if puts else "", cost)
        cells = [cell.strip(" |") for cell in rows[name]]
        assert [cell for cell in cells if cell] == [amount for amount in amounts if amount]
