"""An upload that is killed in the middle of any request, again and again, finishes what it began."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys

from permafrost.repository.layout import object_path
from permafrost.repository.snapshots import read_object_list
from tests.fixtures.buckets import MakeCopied
from tests.fixtures.proxy import CuttableProxy
from tests.fixtures.server import MakeServer

EACH_BYTES = 9_000
"""So much passes in each life of the upload: part of a file, or a few of them."""
MOST_LIVES = 40


def test_killed_at_any_request(make_copied: MakeCopied, make_server: MakeServer) -> None:
    """Killed by kill -9 in the middle of one request after another, an upload makes every snapshot whole in the end."""
    copied = make_copied()
    snapshots = [copied.snapshot() for _ in range(3)]
    config = make_server(name="service").write_configuration()
    text = config.read_text().replace(str(config.parent / "repository"), str(copied.sender.repository.path))
    text = text.replace(f'path = "{config.parent / "state"}"', f'path = "{copied.state}"')
    lives = 0
    while len(copied.report.snapshots) < len(snapshots):
        lives += 1
        assert lives < MOST_LIVES
        with CuttableProxy(copied.store.port, stalls_after_bytes=EACH_BYTES * lives) as proxy:
            config.write_text(
                f'{text}\n[[buckets]]\nname = "cellar"\nbucket = "{copied.bucket.bucket}"\n'
                f'endpoint = "http://127.0.0.1:{proxy.port}"\ncredentials_file = "{copied.bucket.credentials_file}"\n'
            )
            words = [sys.executable, "-m", "permafrost", "bucket", "upload", "cellar", "--config", str(config)]
            with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as upload:
                while upload.poll() is None and not proxy.has_stalled.wait(0.05):
                    pass
                upload.send_signal(signal.SIGKILL)
    assert lives > 2, "it was killed more than once"
    reader = copied.store.client(copied.store.reader)
    for snapshot in snapshots:
        for stored in read_object_list(copied.sender.layout, snapshot)[0].objects:
            key = copied.address.key(object_path(stored.name))
            there = reader.get_object(Bucket=copied.bucket.bucket, Key=key)["Body"].read()
            assert hashlib.sha256(there).hexdigest() == stored.name
    assert {*copied.paths()} == {*copied.record.files()}
