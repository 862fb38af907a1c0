"""Uploads beside the schedule: they resume after anything, and the service never waits for them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.buckets.record import record_file
from permafrost.errors import LockedError
from permafrost.events import Event, JobEnded, Warned
from permafrost.processes.proc import descendants
from permafrost.repository.lock import file_lock
from permafrost.service.background_job import BackgroundJob
from permafrost.service.bucket_uploads import BucketUploads
from permafrost.service.job import Job
from tests.fixtures.buckets import Copied, MakeCopied
from tests.fixtures.server import MakeServer
from tests.fixtures.syncthing import wait_for

MOST_S = 0.1


class Uploads:
    """The uploads of a service whose configuration names one bucket."""

    def __init__(self, copied: Copied, config: Path) -> None:
        self.copied, self.told = copied, list[Event]()
        folders = (copied.sender.layout.snapshots,)

        def begin(words: tuple[str, ...], now: datetime) -> Job:
            return Job(words, config, now)

        self.uploads = BucketUploads.of(["cellar"], begin, folders, 600, self.told.append)
        self.longest_s = 0.0

    @property
    def upload(self) -> BackgroundJob:
        """The one bucket's."""
        return self.uploads.uploads[0]

    def turn(self) -> bool:
        """Take a turn, and return whether an upload is under way after it."""
        started = time.monotonic()
        self.uploads.turn(datetime.now(UTC))
        self.longest_s = max(self.longest_s, time.monotonic() - started)
        return self.upload._job is not None

    def until_done(self) -> None:
        """Take turns until the upload has ended."""
        wait_for(lambda: not self.turn(), "the upload ends", within_s=60)


@contextmanager
def uploads_of(copied: Copied, make_server: MakeServer) -> Iterator[Uploads]:
    """Yield a service's uploads for the repository and its bucket."""
    config = make_server(name=f"service-{os.urandom(3).hex()}").write_configuration()
    text = config.read_text()
    server = config.parent
    text = text.replace(f'path = "{server}/repository"', f'path = "{copied.sender.repository.path}"')
    text = text.replace(f'path = "{server}/state"', f'path = "{copied.state}"')
    bucket = copied.bucket
    config.write_text(
        f'{text}\n[[buckets]]\nname = "cellar"\nbucket = "{bucket.bucket}"\nendpoint = "{bucket.endpoint}"\n'
        f'credentials_file = "{bucket.credentials_file}"\n'
    )
    made = Uploads(copied, config)
    try:
        yield made
    finally:
        made.uploads.end()


@pytest.fixture
def copied(make_copied: MakeCopied, monkeypatch: pytest.MonkeyPatch) -> Copied:
    """A repository with one snapshot, and an empty bucket; jobs are started as from the command's entry point."""
    monkeypatch.setattr("sys.argv", [str(Path(sys.executable).with_name("permafrost"))])
    made = make_copied()
    made.snapshot()
    return made


def test_each_new_snapshot_is_uploaded(copied: Copied, make_server: MakeServer) -> None:
    """A service uploads what there is at its start, and each snapshot that appears, and then does nothing."""
    with uploads_of(copied, make_server) as service:
        assert service.turn()
        service.until_done()
        assert len(copied.report.snapshots) == 1
        assert not service.turn()
        new = copied.snapshot()
        assert service.turn()
        service.until_done()
        assert str(new) in copied.report.snapshots
        assert not [event for event in service.told if isinstance(event, Warned | JobEnded)]


def test_a_killed_upload_is_resumed(copied: Copied, make_server: MakeServer) -> None:
    """An upload that is killed while a request is under way leaves nothing that keeps the next from finishing it."""
    for _ in range(20):
        copied.snapshot()
    with uploads_of(copied, make_server) as service:
        assert service.turn()
        wait_for(lambda: len(copied.report.snapshots) > 1, "some snapshots arrive", within_s=60)
        (pid,) = [pid for pid in descendants(os.getpid()) if b"upload" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(pid, signal.SIGKILL)
        service.until_done()
        assert len(copied.report.snapshots) < 21
        (told,) = [event for event in service.told if isinstance(event, JobEnded)]
        assert (told.outcome, told.exit_code, told.job) == ("failed", -signal.SIGKILL, "bucket upload cellar")
        assert "signal 9" in told.message
        service.upload._next_s = 0
        assert service.turn()
        service.until_done()
    assert len(copied.report.snapshots) == 21
    assert set(copied.paths()) == {*copied.record.files()}


def test_an_upload_beside_another_is_told_and_tried_again(copied: Copied, make_server: MakeServer) -> None:
    """While somebody uploads by hand, the service's upload fails, says why as a failure, and comes later."""
    lock = record_file(copied.state, copied.bucket, copied.address.repository_id, ".lock")
    lock.parent.mkdir(parents=True)
    with uploads_of(copied, make_server) as service:
        with file_lock(lock, "bucket upload", datetime.now(UTC), what="held by the test"):
            assert service.turn()
            service.until_done()
        (told,) = [event for event in service.told if isinstance(event, JobEnded)]
        assert (told.outcome, told.exit_code) == ("failed", LockedError.exit_code)
        assert (
            "failed, and is tried again: another upload to the bucket cellar, or a verification, is under way"
            in told.message
        )
        service.upload._next_s = 0
        assert service.turn()
        service.until_done()
        (_, done) = [event for event in service.told if isinstance(event, JobEnded)]
        assert (done.outcome, done.exit_code) == ("done", 0)
    assert len(copied.report.snapshots) == 1


def test_a_stalled_store_holds_nobody_up(copied: Copied, make_server: MakeServer) -> None:
    """While an object store takes connections and never answers, each turn of the service takes no time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stalled = copied.bucket.model_copy(update={"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        with uploads_of(Copied(copied.store, copied.sender, stalled, copied.folder), make_server) as service:
            assert service.turn()
            service.longest_s = 0.0
            silent.settimeout(60)
            near, _ = silent.accept()
            for _ in range(100):
                assert service.turn()
            assert service.longest_s < MOST_S
            near.close()
