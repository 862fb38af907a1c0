"""Options that several commands about vaults share."""

from __future__ import annotations

from pathlib import Path

import click

path_option = click.option(
    "--path", "root", type=click.Path(path_type=Path, file_okay=False), required=True, help="The vault's folder."
)
settings_option = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=None,
    help="Settings that are written elsewhere, as by NixOS; the vault's vault.toml becomes a link to this file.",
)
maybe_path_option = click.option(
    "--path",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="On a vault: its folder. Without it, the command applies to this server's vaults.",
)
server_option = click.option("--server", "server_name", default=None, help="Only this server  [default: all]")
