"""permafrost vault run: the vault's service."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.cli.shared.options import json_option, reporting, stopping_quietly
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault.options import path_option, settings_option
from permafrost.service.vault import run_vault


@click.command("run")
@path_option
@settings_option
@json_option
@reporting
def run_command(rendering: Rendering, *, root: Path, settings_file: Path | None) -> None:
    """Run the vault's service: Syncthing, the history, and its checks.

    It runs in the foreground until SIGTERM or Ctrl-C, which end it with 0. A Syncthing that dies is started again, at
    first at once, later every five minutes; meanwhile what has arrived is taken into the history. All state is on
    disk: after a crash it picks up where it left off. Servers whose lines are named by `line_files` in the settings are
    joined. Units for systemd are in systemd/.

    \b
    Example, for a service manager:
      permafrost vault run --path /srv/permafrost
    """
    with stopping_quietly(rendering.report):
        run_vault(root, rendering.report, settings_file.absolute() if settings_file else None)
