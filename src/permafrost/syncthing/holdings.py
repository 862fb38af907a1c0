"""Does a vault hold these files? A yes is never premature.

`completion == 100` is no answer: it leaves out what has not been scanned, what failed to be hashed, empty files,
and, in 1.x, everything as long as the vault has never sent an index for the folder. So, in this order:

1. the folder is shared with the vault;
2. Syncthing has just been made to scan the paths, and reports no error for any of them;
3. for each path, this side's index entry is what the file system has, and no other device has a newer one;
4. while the vault is connected, it does not need the path, and its own index has our version of it. A vault sends
   that entry after it has written, synced, renamed and recorded the file.

It says what the vault's Syncthing claims at that time; a receipt is the vault's own word on what it has read.
Files are carried in any order: to publish something after something else, ask for the one, then for the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from permafrost.errors import ReplicationError
from permafrost.events import Progress, Reporter
from permafrost.syncthing.client import Client
from permafrost.syncthing.folders import sharers

LOOK_S = 1.0
SCANS = 3  # a file that is changed while it is hashed is seen by the next scan
_NEWS = ("RemoteIndexUpdated", "DeviceConnected")


def wait_until_held(
    client: Client,
    folder_id: str,
    device_id: str,
    paths: Sequence[str],
    *,
    timeout_s: float,
    report: Reporter,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return once the device holds every one of `paths` (files, relative to the folder) as they are here now.

    `timeout_s` is how long nothing may change, not how long all may take. Raise `ReplicationError` with what is
    missing and what to do when it passes, or at once if waiting is useless.
    """
    announce(client, folder_id, device_id, paths)
    missing = frozenset(paths)
    seen = 0
    sign_of_life: object = None
    since = clock()
    report(Progress(0, len(missing), "files"))
    while missing := missing_on(client, folder_id, device_id, missing):
        sign = (len(missing), client.completion(folder_id, device_id).need_bytes)
        if sign != sign_of_life:
            sign_of_life, since = sign, clock()
        if clock() - since > timeout_s:
            raise _timed_out(client, folder_id, device_id, missing, timeout_s)
        report(Progress(len(paths) - len(missing), len(paths), "files"))
        events = client.events(_NEWS, seen, LOOK_S)
        seen = events[-1].event_id if events else seen
    report(Progress(len(paths), len(paths), "files"))


def announce(client: Client, folder_id: str, device_id: str, paths: Sequence[str]) -> None:
    """Make this side's index have every path as the file system has it: steps 1 to 3.

    Raise `ReplicationError` if the folder is not shared, or a path cannot be announced.
    """
    folder = client.folder(folder_id)
    if folder is None or device_id not in sharers(client, folder_id):
        raise ReplicationError(
            f"Syncthing does not share the folder {folder_id} with {device_id}",
            hint="permafrost vault list shows the paired vaults; invite it again",
        )
    root = Path(str(folder["path"]))
    unsettled: Sequence[str] = paths
    for _ in range(SCANS):
        client.scan(folder_id, unsettled)
        errors = client.folder_errors(folder_id)
        reasons = {path: _why_not_announced(client, folder_id, root, path, errors) for path in unsettled}
        unsettled = [path for path, reason in reasons.items() if reason]
        if not unsettled:
            return
    first = unsettled[0]
    raise ReplicationError(
        f"Syncthing does not pick up {len(unsettled)} of {len(paths)} files, the first is {first}: {reasons[first]}",
        hint="its user must be able to read the folder; nothing else may write there",
    )


def missing_on(client: Client, folder_id: str, device_id: str, paths: Iterable[str]) -> frozenset[str]:
    """Return which of the announced `paths` the device does not provably hold: step 4; all, if it is away."""
    asked = frozenset(paths)
    connection = client.connections().get(device_id)
    if connection is None or not connection.connected:
        return asked
    if client.completion(folder_id, device_id).remote_state not in (None, "valid"):
        return asked
    needed = asked.intersection(client.remote_need(folder_id, device_id))
    return needed | {path for path in asked - needed if not _is_available(client, folder_id, device_id, path)}


def _is_available(client: Client, folder_id: str, device_id: str, path: str) -> bool:
    state = client.file(folder_id, path)
    return state is not None and state.local.version == state.newest.version and device_id in state.available_on


def _why_not_announced(client: Client, folder_id: str, root: Path, path: str, errors: dict[str, str]) -> str | None:
    if path in errors:
        return errors[path]
    try:
        status = (root / path).lstat()
    except OSError as error:
        return error.strerror or "cannot be examined"
    state = client.file(folder_id, path)
    if state is None or not state.local.is_usable:
        return "it is not in the index; perhaps an ignore pattern matches it"
    if (state.local.size_bytes, state.local.modified_ns) != (status.st_size, status.st_mtime_ns):
        return "it changes while being read"
    if state.local.version != state.newest.version:
        return "another device has changed it"
    return None


def _timed_out(
    client: Client, folder_id: str, device_id: str, missing: frozenset[str], timeout_s: float
) -> ReplicationError:
    device = client.device(device_id) or {}
    name = device.get("name") or device_id
    connection = client.connections().get(device_id)
    first = min(missing)
    count = f"{len(missing)} files" if len(missing) > 1 else "1 file"
    if connection is None or not connection.connected:
        hint = "it is not connected: check that its machine is on and that permafrost vault run is running there"
    elif client.completion(folder_id, device_id).remote_state == "paused":
        hint = "the folder is paused there"
    else:
        hint = "it is connected: check whether its disk is full, and what permafrost vault run reports there"
    return ReplicationError(
        f"the vault {name} still lacks {count}, without progress for {timeout_s:.0f} s; the first is {first}",
        unchanged="the repository; Syncthing resumes when the vault does",
        hint=hint,
    )
