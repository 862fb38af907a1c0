"""Which Syncthing a configuration refers to: permafrost's own, or an existing one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from permafrost.config.models import Syncthing
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import ReplicationError
from permafrost.syncthing.client import Client
from permafrost.syncthing.instance import Instance


@contextmanager
def opened(settings: Syncthing, device_name: str) -> Iterator[Client]:
    """Yield a client of the Syncthing that `settings` mean; a managed one runs for as long as the block does.

    `device_name` is what a managed one calls itself when its home is made. Raise `ReplicationError` if the one
    that should be running does not answer.
    """
    if settings.managed:
        with Instance(settings, device_name).running() as client:
            yield client
        return
    with foreign_client(settings) as client:
        if not client.is_answering():
            raise ReplicationError(
                f"no Syncthing answers at {settings.url}",
                hint="start it, or set managed = true in [syncthing] so that permafrost runs its own",
            )
        yield client


def foreign_client(settings: Syncthing) -> Client:
    """Return a client of the Syncthing that runs outside permafrost's care (managed = false)."""
    if settings.url is None or settings.api_key_file is None:
        raise ReplicationError("[syncthing] has no url and api_key_file")
    return Client(settings.url, read_secret_file(settings.api_key_file))


def wait_for_hangup(client: Client, longest_s: float) -> None:
    """Return when another device hangs up, or after `longest_s`.

    Who is about to end its Syncthing gives the other side this time to learn what it has just sent.
    """
    kinds = ("DeviceDisconnected",)
    client.events(kinds, client.latest_event(kinds), longest_s)
