"""Two real Syncthings on loopback carry what every system has stored to another folder, after each of its backups.

Their folders are set up as permafrost sets up its own (`permafrost.syncthing.folders`), for every system alike, except
that nothing is ever scanned by itself: they stand still while something is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.loopback import Traffic, loopback_settings
from bench.programs import BenchError
from bench.results import After, Carried, CarriedRuns
from permafrost.amounts import bytes_text
from permafrost.events import ignore_events
from permafrost.repository.layout import SYNCTHING_IGNORES
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import Device, Folder, admit, ensure_folder
from permafrost.syncthing.holdings import wait_until_held
from permafrost.syncthing.instance import Instance

PATIENCE_S = 600.0
_CONNECT_S = 60.0
_LOOK_S = 0.5
_NEWS = ("RemoteIndexUpdated", "DeviceConnected")


class Carrier:
    """Carries folders, each of them under its system's name, and remembers what each time took."""

    def __init__(
        self, sender: Client, receiver_id: str, stored: Mapping[str, Folder], say: Callable[[str], None]
    ) -> None:
        self._sender = sender
        self._receiver_id = receiver_id
        self._stored = stored
        self._say = say
        self._runs: dict[str, list[Carried]] = {name: [] for name in stored}
        self._traffic = Traffic(sender, receiver_id)

    def settle(self) -> None:
        """Let the other side have what lies in all the folders already, and count none of it."""
        for folder in self._stored.values():
            self._bring(folder)

    def carry(self, name: str, after: After) -> None:
        """Let the other side have the system's folder as it is now, files that are gone included.

        Nothing is under way any more afterwards. Raise `BenchError` if the connection broke meanwhile.
        """
        self._traffic.sent()  # pings since the last time
        began = time.monotonic()
        self._bring(self._stored[name])
        carried = Carried(after, self._traffic.sent(), time.monotonic() - began)
        self._runs[name].append(carried)
        self._say(f"{name}: {bytes_text(carried.sent_bytes)} carried, held after {carried.wall_s:.2f} s")

    def _bring(self, folder: Folder) -> None:
        self._sender.scan(folder.folder_id)
        wait_until_held(
            self._sender,
            folder.folder_id,
            self._receiver_id,
            _files_of(folder),
            timeout_s=PATIENCE_S,
            report=ignore_events,
        )
        self._wait_for_deletions(folder)

    def _wait_for_deletions(self, folder: Folder) -> None:
        deadline = time.monotonic() + PATIENCE_S
        seen = 0
        while any(self._sender.remote_need(folder.folder_id, self._receiver_id)):
            if time.monotonic() > deadline:
                raise BenchError(f"the other side does not follow in {folder.path}")
            events = self._sender.events(_NEWS, seen, _LOOK_S)
            seen = events[-1].event_id if events else seen

    def measured(self) -> tuple[CarriedRuns, ...]:
        """Return what each took."""
        return tuple(CarriedRuns(name, tuple(runs)) for name, runs in self._runs.items())


@contextmanager
def carrying(folder: Path, stored: Mapping[str, Path], say: Callable[[str], None]) -> Iterator[Carrier]:
    """Yield a carrier of what lies in these folders, by system; below `folder` are both Syncthings and the copies."""
    sent = {
        name: Folder(f"bench-{number}", name, path, "repository", is_sent=True, ignores=_ignores(path))
        for number, (name, path) in enumerate(stored.items())
    }
    received = [
        Folder(one.folder_id, one.label, folder / "received" / one.folder_id, "repository", is_sent=False)
        for one in sent.values()
    ]
    here = Instance(loopback_settings(folder / "sender"), "sender")
    there = Instance(loopback_settings(folder / "receiver"), "receiver")
    with here.running() as sender, there.running() as receiver:
        for client, folders in ((sender, sent.values()), (receiver, received)):
            for one in folders:
                ensure_folder(client, one)
                client.change_folder(one.folder_id, {"rescanIntervalS": 0})
        ids = [one.folder_id for one in received]
        # before they connect, for a folder that is changed while its index comes in costs the connection
        admit(sender, Device(receiver.own_id(), "receiver"), ids)
        admit(receiver, Device(sender.own_id(), "sender", here.settings.listen), ids)
        _wait_for_connection(sender, receiver.own_id())
        carrier = Carrier(sender, receiver.own_id(), sent, say)
        carrier.settle()
        yield carrier


def _ignores(path: Path) -> tuple[str, ...]:
    """Return the patterns that permafrost gives to Syncthing, for its own repository alone."""
    return SYNCTHING_IGNORES if (path / "repository.json").exists() else ()


def _files_of(folder: Folder) -> list[str]:
    """Return the files that have to be carried, without Syncthing's own and what is ignored."""
    ignored = {pattern.removeprefix("/") for pattern in folder.ignores}
    files = []
    for file in folder.path.rglob("*"):
        if file.is_file() and not file.is_symlink():
            place = file.relative_to(folder.path)
            if place.parts[0] not in ignored and not place.parts[0].startswith("."):
                files.append(str(place))
    return files


def _wait_for_connection(client: Client, device_id: str) -> None:
    deadline = time.monotonic() + _CONNECT_S
    while not client.connections()[device_id].connected:
        if time.monotonic() > deadline:
            raise BenchError(f"the two Syncthings have not found each other within {_CONNECT_S:.0f} s")
        client.events(("DeviceConnected",), 0, _LOOK_S)
