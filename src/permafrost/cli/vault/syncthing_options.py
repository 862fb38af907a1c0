"""Options of the commands that set up a Syncthing of their own: join, and receive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from permafrost.errors import UsageError
from permafrost.vault.settings import VaultSyncthing

Command = Callable[..., Any]


def syncthing_options(command: Command) -> Command:
    """Add --listen, --gui and --no-discovery."""
    for option in (
        click.option("--no-discovery", is_flag=True, help="Neither announce this machine nor search for others."),
        click.option(
            "--gui",
            metavar="HOST:PORT",
            help="Where its Syncthing's REST API listens, or a Unix socket; only for permafrost.",
        ),
        click.option(
            "--listen",
            multiple=True,
            metavar="ADDRESS",
            help="Where its Syncthing listens, as tcp://HOST:PORT; repeatable.",
        ),
    ):
        command = option(command)
    return command


def running_options(command: Command) -> Command:
    """Add --syncthing-url and --api-key-file, for a Syncthing that runs already."""
    for option in (
        click.option(
            "--api-key-file",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="With --syncthing-url: the file with its API key, mode 0400 or 0600.",
        ),
        click.option(
            "--syncthing-url", metavar="URL", help="Use the existing Syncthing at this REST address, unchanged."
        ),
    ):
        command = option(command)
    return command


def running_syncthing(url: str | None, api_key_file: Path | None) -> dict[str, Any] | None:
    """Return the settings for a Syncthing that runs already, None if none was named; raise `UsageError` if half is."""
    if url is None and api_key_file is None:
        return None
    if url is None or api_key_file is None:
        raise UsageError(
            "--syncthing-url and --api-key-file must be used together",
            hint="for instance --syncthing-url http://127.0.0.1:8384 --api-key-file /etc/permafrost/syncthing-key",
        )
    return {"managed": False, "url": url, "api_key_file": api_key_file.absolute()}


def vault_syncthing(gui: str | None, listen: tuple[str, ...], *, no_discovery: bool) -> dict[str, Any] | None:
    """Return the settings that were given, None if none were; raise `UsageError` if they cannot be."""
    given = {"gui": gui, "listen": listen or None, "discovery": False if no_discovery else None}
    chosen = {key: value for key, value in given.items() if value is not None}
    try:
        VaultSyncthing.model_validate(chosen)
    except ValueError as error:
        raise UsageError(
            "--gui must be HOST:PORT or the path of a Unix socket", hint="for instance --gui 127.0.0.1:8386"
        ) from error
    return chosen or None
