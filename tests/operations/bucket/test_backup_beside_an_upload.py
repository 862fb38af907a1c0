"""A backup while an object store takes connections and never answers; `-s` prints how long it took."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fixtures.commands import json_of
from tests.fixtures.seaweedfs import Keys
from tests.fixtures.server import MakeServer

PAIRS = 3
KEYS = Keys("AKIASILENT", "silent")


@contextmanager
def stalled_upload(config: Path, silent: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """Yield an upload that waits for an answer of its object store; it is killed after the block."""
    words = [sys.executable, "-m", "permafrost", "bucket", "upload", "cellar", "--config", str(config)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as upload:
        try:
            near, _ = silent.accept()
            with near:
                assert near.recv(1 << 16), "its request has come, and gets no answer"
                yield upload
        finally:
            upload.kill()


def seconds_of_a_backup(config: Path) -> float:
    """Return how long a backup took, which made a snapshot."""
    started = time.monotonic()
    assert json_of("backup", "--config", str(config))["snapshot"]
    return time.monotonic() - started


@pytest.mark.timeout(120)
def test_a_stalled_upload_holds_up_no_backup(mastodon_database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """Backups are made while an upload of the same repository waits for its first answer."""
    server = make_server(mastodon_database, engine="log")
    config = server.write_configuration()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        config.write_text(
            f'{config.read_text()}\n[[buckets]]\nname = "cellar"\nbucket = "silent"\n'
            f'endpoint = "http://127.0.0.1:{silent.getsockname()[1]}"\n'
            f'credentials_file = "{KEYS.write(tmp_path / "key")}"\n'
        )
        seconds_of_a_backup(config)
        beside, alone = [], []
        for _ in range(PAIRS):
            with stalled_upload(config, silent) as upload:
                beside.append(seconds_of_a_backup(config))
                assert upload.poll() is None, "the upload still hangs"
            alone.append(seconds_of_a_backup(config))
    medians = statistics.median(beside), statistics.median(alone)
    print("a backup beside a stalled upload: {:.3f} s, alone: {:.3f} s".format(*medians))  # noqa: T201 - for -s
