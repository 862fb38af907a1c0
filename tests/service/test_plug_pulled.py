"""A server whose plug is pulled: its vault's service alerts, within the time that is configured there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from permafrost.processes.proc import descendants
from tests.fixtures.commands import command
from tests.fixtures.receivers import Recorder, receiver_at
from tests.fixtures.server import MakeServer
from tests.fixtures.syncthing import free_port, wait_for

ALLOWED_MINUTES = 10
"""The shortest that a vault takes."""
LATE_S = 90.0
"""A vault looks every minute, and its clock advances in steps."""


def kill_all(service: subprocess.Popen[bytes]) -> None:
    """Kill the service, and all that it has started, at once, as a power cut does."""
    for pid in (service.pid, *descendants(service.pid)):
        os.kill(pid, signal.SIGKILL)
    service.wait()


@pytest.mark.timeout(1200)
def test_the_plug_is_pulled(
    mastodon_database: str, make_server: MakeServer, tmp_path: Path, recorder: Recorder, *, is_long: bool
) -> None:
    """Server and vault run as services, and back up each minute. All of the server is killed: ten minutes after the
    last snapshot came, and not before, the vault's receiver gets the alarm."""
    if not is_long:
        pytest.skip("takes ten minutes, the shortest time that a vault can be set to; --long runs it")
    server = make_server(mastodon_database)
    config = server.write_configuration()
    config.write_text(f'{config.read_text()}\n[schedule]\nbackup = "* * * * *"\naudit = "off"\ndrill = "off"\n')
    phone = receiver_at(recorder.ntfy, tmp_path, severity="alarm")
    settings = {
        "name": "attic",
        "nothing_new_minutes": ALLOWED_MINUTES,
        "syncthing": {
            "gui": f"127.0.0.1:{free_port()}",
            "listen": [f"tcp://127.0.0.1:{free_port()}"],
            "discovery": False,
        },
        "notify": [{"name": "phone", "url_file": str(phone.url_file), "severity": "alarm"}],
    }
    root, line = tmp_path / "attic", tmp_path / "attic.line"
    permafrost = (sys.executable, "-m", "permafrost")
    with (tmp_path / "server.log").open("wb") as log:
        served = subprocess.Popen((*permafrost, "run", "--config", str(config)), stderr=log)
    try:
        invited = command("vault", "invite", "attic", "--no-wait", "--config", str(config))
        assert invited.returncode == 0, invited.stderr
        line.write_text(invited.stdout)
        line.chmod(0o400)
        (tmp_path / "attic.toml").write_text(tomli_w.dumps({**settings, "line_files": [str(line)]}))
        words = ("vault", "run", "--path", str(root), "--settings", str(tmp_path / "attic.toml"))
        with (tmp_path / "vault.log").open("wb") as log:
            vault = subprocess.Popen((*permafrost, *words), stderr=log)
        history = root / "mastodon" / "history" / "snapshots"
        try:
            wait_for(lambda: history.is_dir() and list(history.iterdir()), "a snapshot is kept", 150)
            kill_all(served)
            newest = max(one.stat().st_ctime for one in history.iterdir())
            assert recorder.requests == []
            wait_for(lambda: bool(recorder.requests), "the vault alerts", ALLOWED_MINUTES * 60 + 2 * LATE_S)
            since_s = time.time() - newest
        finally:
            vault.terminate()
            assert vault.wait(20) == 0
    finally:
        if served.poll() is None:
            kill_all(served)
    alarm = json.loads(recorder.requests[0].body)
    assert alarm["title"] == "vault attic: alarm: nothing-new"
    assert "no new snapshot has been taken from the server for 10 min" in alarm["message"]
    assert ALLOWED_MINUTES * 60 - 5 <= since_s <= ALLOWED_MINUTES * 60 + LATE_S, since_s
