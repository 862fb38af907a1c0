"""What permafrost's folders and devices look like in Syncthing, and how to get them there.

Settings differ from Syncthing's defaults where the facts ask for it:

- The repository ignores modes (its objects are 0444 on the server, whatever the vault's umask makes on a vault);
  media keep them, for there they are part of what Mastodon's web server needs. So does the copy of both that a vault
  sends back to a new server.
- The repository and sealed media are not watched, since permafrost says itself when there is something new; media on
  the server are.
- A changed file is not searched for shifted blocks of its old version (`weakHashThresholdPct` 101): encrypted
  files share none, and the search makes a replacement six times slower.
- A vault moves what the server removes or replaces into a folder of its own, by the `trashcan` versioner. The
  others choose what to drop by patterns made of file names, and drop other files' versions on names like `*`; an
  object has only one version anyway. It is no protection from a hostile server: that is the vault's history.
- A vault stops receiving before its disk is full.

Only folders and devices with our ids are touched, and only keys that this Syncthing knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from permafrost.errors import ReplicationError
from permafrost.syncthing.answers import Json
from permafrost.syncthing.client import Client

FolderKind = Literal["repository", "media", "media-keys", "media-list", "sealed-media", "receipts", "copy"]
RESCAN_S = 3600  # a net under the scans that permafrost asks for, and under inotify's limits
VAULT_RESCAN_S = 86400
WATCH_DELAY_S = 10
MIN_FREE_PERCENT = 2
_MARKER = ".stfolder"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as this side has it: sent from a server, or received on a vault."""

    folder_id: str
    label: str
    path: Path
    kind: FolderKind
    is_sent: bool
    ignores: tuple[str, ...] = ()
    removed_path: Path | None = None
    """On a vault: where removed and replaced files go, on the same file system and outside `path`."""
    removed_days: int = 0
    """How long they stay there."""
    min_free_percent: int = MIN_FREE_PERCENT
    """Nothing more is received when less of the disk is free."""


@dataclass(frozen=True, slots=True)
class Device:
    """Another machine."""

    device_id: str
    name: str
    addresses: tuple[str, ...] = ("dynamic",)


def folder_settings(folder: Folder) -> Json:
    """Return the settings that make a Syncthing folder out of `folder`, without the devices that share it."""
    return {
        "id": folder.folder_id,
        "label": folder.label,
        "path": str(folder.path),
        "type": "sendonly" if folder.is_sent else "receiveonly",
        "ignorePerms": folder.kind not in ("media", "copy"),
        "fsWatcherEnabled": folder.is_sent and folder.kind == "media",
        "fsWatcherDelayS": WATCH_DELAY_S,
        "rescanIntervalS": RESCAN_S if folder.is_sent else VAULT_RESCAN_S,
        "weakHashThresholdPct": 101,
        # Of a backlog, whole snapshots should come one after the other, and not all of them at the very end.
        "order": "oldestFirst" if folder.kind in ("repository", "sealed-media") else "random",
        "minDiskFree": {"value": folder.min_free_percent, "unit": "%"},
        "versioning": _versioning(folder),
    }


def _versioning(folder: Folder) -> Json:
    if folder.removed_path is None:
        return {"type": "", "params": {}}
    return {
        "type": "trashcan",
        "params": {"cleanoutDays": str(folder.removed_days)},
        "fsPath": str(folder.removed_path),
        "fsType": "basic",
    }


def ensure_folder(client: Client, folder: Folder, shared_with: Iterable[str] = ()) -> None:
    """Make the folder be there as it should, with its ignore patterns, shared with those devices among others.

    Its path is made if it is not there. Raise `ReplicationError` if a folder with this id lies elsewhere, unless
    it was moved whole, marker and all: an empty folder in its place would delete everything on the other side.
    """
    wanted = _known_settings(client, folder_settings(folder))
    present = client.folder(folder.folder_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    if folder.removed_path is not None:
        folder.removed_path.mkdir(parents=True, exist_ok=True)
    if present is None:
        # Patterns before the first scan, or it would announce what they should hide. And all in one go: a folder
        # that is changed while its index comes in makes Syncthing drop the connection, and dial again much later.
        devices = [{"deviceID": device_id} for device_id in shared_with]
        client.add_folder({**client.default_folder(), **wanted, "devices": devices, "paused": True})
        client.set_ignores(folder.folder_id, folder.ignores)
        client.change_folder(folder.folder_id, {"paused": False})
        return
    _refuse_another_place(present, folder)
    changes = {key: value for key, value in wanted.items() if not _agrees(present.get(key), value)}
    if changes:
        client.change_folder(folder.folder_id, changes)
    if client.ignores(folder.folder_id) != folder.ignores:
        client.set_ignores(folder.folder_id, folder.ignores)
    for device_id in shared_with:
        share(client, [folder.folder_id], device_id)


def _known_settings(client: Client, settings: Json) -> Json:
    # 2.x has dropped some, and they would differ for ever.
    known = client.default_folder().keys()
    return {key: value for key, value in settings.items() if key in known}


def _agrees(present: object, wanted: object) -> bool:
    if isinstance(wanted, dict) and isinstance(present, dict):
        return all(_agrees(present.get(key), value) for key, value in wanted.items())
    return present == wanted


def _refuse_another_place(present: Json, folder: Folder) -> None:
    place = Path(str(present["path"]))
    if place == folder.path or (folder.path / _MARKER).exists():
        return
    raise ReplicationError(
        f"Syncthing's folder {folder.folder_id} is {place}, not {folder.path}",
        unchanged="Syncthing's configuration",
        hint="if you moved it, move all of it, with its .stfolder; otherwise correct the path in the configuration",
    )


def ensure_device(client: Client, device: Device) -> None:
    """Make the device known by that name, at those addresses, never trusted to bring folders or devices along."""
    wanted: Json = {
        "deviceID": device.device_id,
        "name": device.name,
        "addresses": list(device.addresses),
        "introducer": False,
        "autoAcceptFolders": False,
    }
    present = client.device(device.device_id)
    if present is None:
        client.add_device(wanted)
        return
    changes = {key: value for key, value in wanted.items() if present.get(key) != value}
    if changes:
        client.change_device(device.device_id, changes)


def sharers(client: Client, folder_id: str) -> frozenset[str]:
    """Return the ids of the devices that the folder is shared with, ours included; none if it is not there."""
    folder = client.folder(folder_id)
    return frozenset(device["deviceID"] for device in folder["devices"]) if folder else frozenset()


def share(client: Client, folder_ids: Iterable[str], device_id: str) -> None:
    """Make the folders be shared with the device."""
    for folder_id in folder_ids:
        folder = client.folder(folder_id)
        if folder is None:
            raise ReplicationError(f"Syncthing has no folder {folder_id}")
        if device_id not in {device["deviceID"] for device in folder["devices"]}:
            client.change_folder(folder_id, {"devices": [*folder["devices"], {"deviceID": device_id}]})


def admit(client: Client, device: Device, folder_ids: Iterable[str]) -> None:
    """Make the device known and the folders shared with it, before it can connect for the first time."""
    is_new = client.device(device.device_id) is None
    if is_new:
        client.add_device({"deviceID": device.device_id, "paused": True})
    ensure_device(client, device)
    share(client, folder_ids, device.device_id)
    if is_new:
        client.change_device(device.device_id, {"paused": False})


def unshare(client: Client, folder_ids: Sequence[str], device_id: str, *, forgets_device: bool = True) -> None:
    """Make the folders no longer be shared with the device, and forget it unless another folder needs it.

    With `forgets_device` False it stays known in any case.
    """
    still_needed = False
    for folder in client.folders():
        devices = [device for device in folder["devices"] if device["deviceID"] != device_id]
        if len(devices) == len(folder["devices"]):
            continue
        if folder["id"] in folder_ids:
            client.change_folder(folder["id"], {"devices": devices})
        else:
            still_needed = True
    if forgets_device and not still_needed and client.device(device_id) is not None:
        client.remove_device(device_id)
