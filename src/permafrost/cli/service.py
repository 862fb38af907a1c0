"""permafrost run: the server's service."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.cli.options import config_option, config_path, json_option, reporting, stopping_quietly
from permafrost.cli.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.operations.server_side import server_side_of
from permafrost.operations.services import run_server_syncthing


@click.command("run")
@config_option
@json_option
@reporting
def run(rendering: Rendering, *, config_file: Path | None) -> None:
    """Keep Syncthing going, in the foreground, until SIGTERM or Ctrl-C, which end it within ten seconds with 0.

    So the vaults receive what a backup has published. Syncthing is started again when it dies, and given up with
    exit code 17 when that is no use.

    Backups are not started here: this version does not follow [schedule] in the configuration yet. Have cron or a
    systemd timer run `permafrost backup` and `permafrost prune`; docs/how-to/set-up-a-server.md has the units.

    \b
    Example, for a service manager:
      permafrost run --config /etc/permafrost/permafrost.toml
    """
    with stopping_quietly(rendering.report):
        run_server_syncthing(server_side_of(load_configuration(config_path(config_file))), rendering.report)
