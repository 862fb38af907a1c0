"""permafrost vault join."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.cli.shared.options import json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault.options import path_option
from permafrost.cli.vault.syncthing_options import (
    running_options,
    running_syncthing,
    syncthing_options,
    vault_syncthing,
)
from permafrost.errors import UsageError
from permafrost.events import Note
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.vault.join import join
from permafrost.vault.settings import VaultSyncthing


@click.command("join")
@click.argument("line")
@path_option
@click.option("--name", help="The vault's name  [default: the one that it was invited by]")
@syncthing_options
@running_options
@json_option
@reporting
def join_command(
    rendering: Rendering,
    line: str,
    *,
    root: Path,
    name: str | None,
    listen: tuple[str, ...],
    gui: str | None,
    no_discovery: bool,
    syncthing_url: str | None,
    api_key_file: Path | None,
) -> None:
    """Make this machine a vault of the server that printed LINE.

    Creates the folder --path with a Syncthing of its own, and receives the repository and the media there; the vault
    changes nothing on the server. A folder that already is a vault gets another server. Waits until server and vault
    see each other; if it is interrupted, join again with the same line.

    With --syncthing-url no Syncthing is started: the one at that address gets the server and its folders, and is
    otherwise left as it is. While joining it has another name, which proves that it was invited.

    \b
    Examples:
      permafrost vault join permafrost-invite-1.eyJz... --path /srv/permafrost
      permafrost vault join LINE --path DIR --listen tcp://192.0.2.7:22000 --no-discovery
    """
    running = running_syncthing(syncthing_url, api_key_file)
    chosen = vault_syncthing(gui, listen, no_discovery=no_discovery)
    if running and chosen:
        raise UsageError(
            "--gui, --listen and --no-discovery are for a Syncthing of the vault's own", hint="leave them out"
        )
    chosen = running or chosen
    syncthing = VaultSyncthing.model_validate(chosen) if chosen else None
    joined = join(line, root, name=name, syncthing=syncthing, report=rendering.report)
    lines = [f"this vault and the server {joined.server.name} see each other"]
    lines += [f"receiving into {place}" for place in joined.places]
    lines.append(f"signing key: {in_groups(joined.server.fingerprint)}; compare it with the recovery sheet")
    rendering.result(joined.document(), lines)
    rendering.report(Note(f"keep it going with: permafrost vault run --path {root}"))
