"""Scheduled backups of a running service while its upload hangs in the middle of a file.

`-s` prints how long they took. With `--long` three of each are made, and their medians printed; that takes seven
minutes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.processes.proc import descendants
from permafrost.runs import Run, RunRecords
from tests.fixtures.proxy import CuttableProxy
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import wait_for

MINUTES_S = 150
IN_THE_MIDDLE_BYTES = 20_000
"""Of the first files that are sent, README.txt and restore.py."""


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service during the block."""
    words = [sys.executable, "-m", "permafrost", "run", "--config", str(config)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as service:
        try:
            yield service
        finally:
            service.terminate()
            service.wait(30)


def uploads_below(service: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes of uploads that the service has started."""
    below = descendants(service.pid)
    return [pid for pid in below if b"upload" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def backups(server: Server, since: datetime) -> list[Run]:
    """Return the backups that have ended since then, by the run records."""
    runs = RunRecords(server.configuration.state.path, is_read_only=True).since(since, "backup")
    return [run for run in runs if run.outcome == "done"]


@pytest.mark.timeout(1200)
def test_a_scheduled_backup_beside_a_put_that_stalls(
    mastodon_database: str,
    make_server: MakeServer,
    object_store: ObjectStore,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Backups every minute are made while the upload hangs in the middle of a file, and take what they take alone."""
    count = 3 if request.config.getoption("--long") else 1
    server = make_server(mastodon_database, engine="log")
    config = server.write_configuration()
    with CuttableProxy(object_store.port, stalls_after_bytes=IN_THE_MIDDLE_BYTES) as proxy:
        config.write_text(
            f'{config.read_text()}\n[schedule]\nbackup = "* * * * *"\naudit = "off"\ndrill = "off"\n'
            f'[[buckets]]\nname = "cellar"\nbucket = "{object_store.new_bucket()}"\n'
            f'endpoint = "http://127.0.0.1:{proxy.port}"\n'
            f'credentials_file = "{object_store.writer.write(tmp_path / "key")}"\n'
        )
        with running(config) as service:
            wait_for(proxy.has_stalled.is_set, "the upload hangs in the middle of a file", within_s=60)
            began = datetime.now(UTC)
            wait_for(lambda: len(backups(server, began)) >= count, "backups beside it", within_s=count * MINUTES_S)
            beside = backups(server, began)
            arrived = object_store.client().list_objects_v2(Bucket=_bucket(config)).get("Contents", ())
            assert not [one for one in arrived if "snapshots/" in one["Key"]], "it hung all the while"
            proxy.let_go()
            wait_for(lambda: not uploads_below(service), "everything has arrived", within_s=120)
            began = datetime.now(UTC)
            wait_for(lambda: len(backups(server, began)) >= count, "backups alone", within_s=count * MINUTES_S)
            alone = backups(server, began)
    medians = [statistics.median(float(run.details["duration_s"]) for run in runs[:count]) for runs in (beside, alone)]
    print("a backup beside an upload that stalls: {:.3f} s, after it: {:.3f} s".format(*medians))  # noqa: T201 - for -s


def _bucket(config: Path) -> str:
    return next(line for line in config.read_text().splitlines() if line.startswith("bucket = ")).split('"')[1]
