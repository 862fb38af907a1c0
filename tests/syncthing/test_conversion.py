"""The first start of Syncthing 2.x on a home of 1.x is given the time that it takes.

The installed one may be of either kind, so 2.1.3 is faked as a program that does what its source says: it writes into
index-v2, answers everything with text, and renames the old database when it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from permafrost.config.models import Syncthing
from permafrost.errors import ReplicationError
from permafrost.processes.daemon import Daemon
from permafrost.syncthing.dialect import detect_dialect
from permafrost.syncthing.home import prepare_home
from permafrost.syncthing.instance import ConvertingError, Instance
from tests.fixtures.syncthing import loopback_settings, wait_for

_CONVERTING = """#!/usr/bin/env python3
import http.server, json, pathlib, sys, threading, time
import xml.etree.ElementTree as ET
if sys.argv[1] == "--version":
    print('syncthing v2.1.3 "Hafnium Hornet" (go1.26 linux-amd64) builder@host')
    sys.exit()
assert sys.argv[1:3] == ["serve", "--home"]
home = pathlib.Path(sys.argv[3])
old, new = home / "index-v0.14.0.db", home / "index-v2"
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind, text = ("text/plain", "*** Database migration in progress ***") if old.exists() else (
            "application/json", json.dumps({"ping": "pong"}))
        self.send_response(200)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())
    do_POST = do_GET
    def log_message(self, *words):
        pass
host, port = ET.parse(home / "config.xml").findtext("gui/address").split(":")
server = http.server.ThreadingHTTPServer((host, int(port)), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
new.mkdir(exist_ok=True)
while not (home / "all-taken-over").exists():
    if not (home / "stands-still").exists():
        with (new / "main.db-wal").open("ab") as wal:
            wal.write(b"page")
    time.sleep(0.02)
old.rename(home / "index-v0.14.0.db-migrated")
while True:
    time.sleep(1)
"""


@pytest.fixture
def converting(tmp_path: Path) -> Iterator[tuple[Syncthing, Instance]]:
    """A home with a database of 1.x, and an instance of it by a Syncthing 2.1.3 that has to convert that first."""
    settings = loopback_settings(tmp_path / "home")
    prepare_home(settings, detect_dialect(), "attic")
    (settings.home / "index-v0.14.0.db").mkdir()
    program = tmp_path / "syncthing"
    program.write_text(_CONVERTING)
    program.chmod(0o755)
    instance = Instance(settings, "attic", program=str(program), ready_s=3)
    yield settings, instance
    instance._end()


def test_a_conversion_is_neither_ended_nor_taken_for_an_answer(converting: tuple[Syncthing, Instance]) -> None:
    """While it converts, users are refused and it keeps running; then it is used like any other, and ended."""
    settings, instance = converting
    begun = Daemon(detect_dialect(instance._program).serve(settings.home), settings.home / "syncthing.log")
    (settings.home / "instance.pid").write_text(str(begun.pid))  # as one has it whose user was killed
    wait_for((settings.home / "index-v2" / "main.db-wal").exists, "it converts")
    for _ in range(2):
        with pytest.raises(ConvertingError, match="converting its database"):
            instance.acquire()
        assert instance.session == begun.pid
        assert begun.returncode() is None, "it was left alone"
    (settings.home / "all-taken-over").touch()
    with instance.running() as client:
        assert instance.session == begun.pid
        assert client.is_answering()
    assert begun.wait(5), "its last user ends it"


def test_a_conversion_that_stands_still_is_ended(converting: tuple[Syncthing, Instance]) -> None:
    """A Syncthing that neither answers nor gets on with the conversion is ended, so that another start is possible."""
    settings, instance = converting
    (settings.home / "index-v2").mkdir()
    (settings.home / "stands-still").touch()
    with pytest.raises(ReplicationError, match="did not answer") as raised:
        instance.acquire()
    assert not isinstance(raised.value, ConvertingError)
    assert instance.session is None
