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
    """Run the server's service: backups, audits and drills on schedule, and Syncthing.

    It runs in the foreground until SIGTERM or Ctrl-C, which end it with 0. Jobs run one at a time, as [schedule] says;
    a backup also prunes. Syncthing is kept running, so that the vaults receive what was published, and invited vaults
    are let in. A job that fails is reported at once and tried again at its next time. Jobs missed while the machine
    was off run once, and are reported.

    All state is on disk: after a crash it picks up where it left off. Restart it to make it read [schedule] and
    [syncthing] again; the rest is read for each job. Units for systemd are in systemd/.

    \b
    Example, for a service manager:
      permafrost run --config /etc/permafrost/permafrost.toml
    """
    file = config_path(config_file).absolute()
    with stopping_quietly(rendering.report):
        run_server(load_configuration(file), file, rendering.report)
