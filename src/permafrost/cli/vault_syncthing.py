"""Options of the commands that set up a Syncthing of their own: join, and receive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from permafrost.errors import UsageError
from permafrost.vault.settings import VaultSyncthing

Command = Callable[..., Any]


def syncthing_options(command: Command) -> Command:
    """Add --listen, --gui and --no-discovery."""
    for option in (
        click.option("--no-discovery", is_flag=True, help="Neither announce this machine nor look for others."),
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


def vault_syncthing(gui: str | None, listen: tuple[str, ...], *, no_discovery: bool) -> dict[str, Any] | None:
    """Return the settings that were given, None if none were; raise `UsageError` if they cannot be."""
    given = {"gui": gui, "listen": listen or None, "discovery": False if no_discovery else None}
    chosen = {key: value for key, value in given.items() if value is not None}
    try:
        VaultSyncthing.model_validate(chosen)
    except ValueError as error:
        raise UsageError(
            "--gui has to be HOST:PORT or the path of a Unix socket", hint="for instance --gui 127.0.0.1:8386"
        ) from error
    return chosen or None
