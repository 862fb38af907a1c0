"""A Syncthing that somebody else looks after: found when it is up, reported when it is not, and looked for again."""

from __future__ import annotations

from pathlib import Path

import pytest

from permafrost.config.models import Syncthing
from permafrost.events import Event, Note, Warned
from permafrost.service import syncthing_uptime
from permafrost.service.syncthing_uptime import SyncthingUptime
from permafrost.syncthing.client import Client
from permafrost.syncthing.home import read_home
from permafrost.syncthing.instance import Instance
from tests.fixtures.syncthing import loopback_settings


def test_another_s_syncthing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used while it answers; when it is gone a warning says so once a look, and afterwards it is used again."""
    monkeypatch.setattr(syncthing_uptime, "FOREIGN_LOOK_S", 0.0)  # each turn looks
    own = loopback_settings(tmp_path / "home")
    instance = Instance(own, "somebody")
    told: list[Event] = []
    prepared: list[str] = []

    def prepare(client: Client) -> None:
        prepared.append(client.own_id())

    with instance.running() as client:
        home, device_id = read_home(own.home), client.own_id()
        key = tmp_path / "api-key"
        key.write_text(home.api_key)
        key.chmod(0o600)
        theirs = Syncthing(managed=False, url=f"http://{own.gui}", api_key_file=key)
        uptime = SyncthingUptime(theirs, "server", prepare, told.append)
        uptime.turn(0)
        uptime.turn(0)
        assert uptime.client is not None
        assert prepared == [device_id]
        assert [event.message for event in told if isinstance(event, Note)] == [f"Syncthing is up at http://{own.gui}"]
    for _ in range(2):
        uptime.turn(0)
        assert uptime.client is None
    warned = [event.message for event in told if isinstance(event, Warned)]
    assert len(warned) == 2
    assert warned[0].startswith(f"no Syncthing answers at http://{own.gui}; nothing is sent meanwhile; trying again in")
    with instance.running():
        uptime.turn(0)
        assert uptime.client is not None
        assert prepared == [device_id, device_id]
        uptime.close()
        assert uptime.client is None
