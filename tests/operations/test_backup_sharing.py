"""A backup does the whole verb: Syncthing is told of the snapshot, or vaults are waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.errors import ReplicationError
from permafrost.events import Event, Note, ignore_events
from permafrost.operations.backup import back_up
from permafrost.repository.layout import snapshot_path
from permafrost.repository.snapshots import MANIFEST, list_snapshots
from permafrost.sharing.server_side import opened_server, server_side_of
from permafrost.syncthing.presence import NO_VAULT
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.syncthing import loopback_settings


@pytest.fixture
def server(database: str, make_server: MakeServer, tmp_path: Path) -> Server:
    """A server whose Syncthing was never set up."""
    made = make_server(database)
    changes = {"syncthing": loopback_settings(tmp_path / "syncthing")}
    return replace(made, configuration=made.configuration.model_copy(update=changes))


def test_without_a_syncthing_it_is_noted(server: Server) -> None:
    """Where no vault was ever paired the snapshot is made, and a note says that it is on this machine only."""
    told: list[Event] = []
    result = back_up(server.configuration, report=told.append, now=datetime.now(UTC))
    assert told[-1] == Note(NO_VAULT)
    assert result.held_by == ()


def test_a_running_syncthing_is_told(server: Server) -> None:
    """A Syncthing that runs knows the snapshot's files when the backup ends, and not after its hourly look."""
    with opened_server(server_side_of(server.configuration)) as client:
        result = back_up(server.configuration, report=ignore_events, now=datetime.now(UTC))
        folder = server_side_of(server.configuration).repository_folder_id
        assert client.file(folder, f"{snapshot_path(result.snapshot)}/{MANIFEST}") is not None


def test_no_vault_to_wait_for(server: Server) -> None:
    """Asked to wait where no vault is paired, it says so, and the snapshot stays."""
    with pytest.raises(ReplicationError, match="no vault is paired"):
        back_up(server.configuration, wait_timeout_s=5, report=ignore_events, now=datetime.now(UTC))
    assert len(list_snapshots(server.repository.layout)) == 1
