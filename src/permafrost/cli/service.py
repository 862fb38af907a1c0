"""permafrost run: the server's service."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting, stopping_quietly
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.service.server import run_server


@click.command("run")
@config_option
@json_option
@reporting
def run(rendering: Rendering, *, config_file: Path | None) -> None:
    """Follow the schedule and keep Syncthing going, in the foreground, until SIGTERM or Ctrl-C, which end it with 0.

    Backups, audits and drills as [schedule] says, one at a time; a backup also prunes. Syncthing is kept up, so that
    the vaults receive what was published, and vaults that were invited are let in. What fails is said at once and
    tried again at its next time. What was missed while the machine was off is made up for once, and told.

    All that it knows is on the disk: after a kill it goes on. Restart it to have it read [schedule] and [syncthing]
    again; the rest is read for each job. Units for systemd are in systemd/.

    \b
    Example, for a service manager:
      permafrost run --config /etc/permafrost/permafrost.toml
    """
    file = config_path(config_file).absolute()
    with stopping_quietly(rendering.report):
        run_server(load_configuration(file), file, rendering.report)
