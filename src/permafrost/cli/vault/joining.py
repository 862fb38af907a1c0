"""permafrost vault join and id."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.cli.shared.options import json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault.options import path_option, settings_option
from permafrost.cli.vault.syncthing_options import (
    running_options,
    running_syncthing,
    syncthing_options,
    vault_syncthing,
)
from permafrost.documents.vault_pairing import VaultIdDocument
from permafrost.errors import UsageError
from permafrost.events import Note
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.vault.identity import vault_device_id
from permafrost.operations.vault.join import join
from permafrost.vault.settings import VaultSyncthing

_MOST_LETTERS = 16384
"""More than any line has, blanks included."""


@click.command("join")
@click.argument("line", required=False)
@click.option(
    "--line-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Read the line from this file, or from stdin if it is `-`: other users can see a command's words.",
)
@path_option
@click.option("--name", help="The vault's name  [default: the one that it was invited by]")
@syncthing_options
@running_options
@json_option
@reporting
def join_command(
    rendering: Rendering,
    line: str | None,
    *,
    line_file: Path | None,
    root: Path,
    name: str | None,
    listen: tuple[str, ...],
    gui: str | None,
    no_discovery: bool,
    syncthing_url: str | None,
    api_key_file: Path | None,
) -> None:
    """Make this machine a vault of the server that printed LINE.

    The line is a secret until it is used: --line-file keeps it out of the list of processes. Creates the folder --path
    with a Syncthing of its own, and receives the repository and the media there; the vault changes nothing on the
    server. A folder that already is a vault gets another server. Waits until server and vault see each other; if it is
    interrupted, join again with the same line.

    With --syncthing-url no Syncthing is started: the one at that address gets the server and its folders, and is
    otherwise left as it is. While joining it has another name, which proves that it was invited.

    \b
    Examples:
      permafrost vault join permafrost-invite-1.eyJz... --path /srv/permafrost
      permafrost vault join --line-file - --path /srv/permafrost
      permafrost vault join LINE --path DIR --listen tcp://192.0.2.7:22000 --no-discovery
    """
    given = _line(line, line_file)
    running = running_syncthing(syncthing_url, api_key_file)
    chosen = vault_syncthing(gui, listen, no_discovery=no_discovery)
    if running and chosen:
        raise UsageError(
            "--gui, --listen and --no-discovery are for a Syncthing of the vault's own", hint="leave them out"
        )
    chosen = running or chosen
    syncthing = VaultSyncthing.model_validate(chosen) if chosen else None
    joined = join(given, root, name=name, syncthing=syncthing, report=rendering.report)
    lines = [f"this vault and the server {joined.server.name} see each other"]
    lines += [f"receiving into {place}" for place in joined.places]
    lines.append(f"signing key: {in_groups(joined.server.fingerprint)}; compare it with the recovery sheet")
    rendering.result(joined.document(), lines)
    rendering.report(Note(f"keep it going with: permafrost vault run --path {root}"))


def _line(line: str | None, line_file: Path | None) -> str:
    if (line is None) == (line_file is None):
        raise UsageError("give the line, or --line-file", hint="permafrost vault join LINE --path DIR")
    if line is not None:
        return line
    with click.open_file(str(line_file), encoding="utf-8") as file:
        return str(file.read(_MOST_LETTERS))


@click.command("id")
@path_option
@settings_option
@json_option
@reporting
def id_command(rendering: Rendering, *, root: Path, settings_file: Path | None) -> None:
    """Print the device id by which a server can declare this vault.

    On the vault. Its Syncthing's keys are made if there are none; the folder --path need not be a vault yet. On the
    server the id goes into [[vaults]].

    \b
    Example:
      permafrost vault id --path /srv/permafrost
    """
    device_id = vault_device_id(root, settings_file.absolute() if settings_file else None)
    rendering.result(VaultIdDocument(device_id), [device_id])
