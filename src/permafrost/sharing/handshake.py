"""How a machine with an invitation joins the one that issued it: it shows the proof, and connects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from permafrost.repository.layout import FACTS_FILE
from permafrost.syncthing.answers import SyncthingEvent
from permafrost.syncthing.client import Client

LOOK_S = 1.0
DIAL_S = 1.0
TAKEN_S = 60.0
"""How long a vault that was let in may take to have the first file."""
FIRST_FILE = FACTS_FILE
"""The file that every repository has, and that a vault has as soon as it has anything."""
_NEWS = ("DeviceConnected", "RemoteIndexUpdated")

Now = Callable[[], datetime]


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@contextmanager
def showing(client: Client, own_id: str, proof: str, own_name: str) -> Iterator[None]:
    """Let this device show the proof as its name within the block, and have its own name afterwards."""
    client.change_device(own_id, {"name": proof})
    try:
        yield
    finally:
        client.change_device(own_id, {"name": own_name})


def knock(
    client: Client,
    device_id: str,
    is_let_in: Callable[[Sequence[SyncthingEvent]], bool],
    wait_s: float,
    *,
    was_known: bool,
) -> bool:
    """Return True once `is_let_in` says so, of what has happened since the last time; False after `wait_s`.

    Being connected is no sign: Syncthing lets every device come in, looks at its name, and then hangs up.
    `was_known` says that the device was known before the proof was shown.
    """
    deadline = time.monotonic() + wait_s
    seen = client.latest_event(_NEWS)
    if was_known:
        client.dial_again(device_id)  # a connection from before did not see the proof
    dialled = time.monotonic()
    events: Sequence[SyncthingEvent] = ()
    while not is_let_in(events):
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            return False
        events = client.events(_NEWS, seen, min(LOOK_S, remaining_s))
        seen = events[-1].event_id if events else seen
        if time.monotonic() - dialled > DIAL_S and not client.connections()[device_id].connected:
            # Left alone, Syncthing dials after 1, 2, 4 ... 32 s at first. It heeds this three times in two minutes,
            # and then dials every few seconds anyway.
            client.dial_again(device_id)
            dialled = time.monotonic()
    return True
