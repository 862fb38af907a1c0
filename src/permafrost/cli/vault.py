"""permafrost vault: machines that keep copies. Some commands are for the server, some for the vault."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting, stopping_quietly
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault_keep import history_command, media_command, path_option, verify_command
from permafrost.cli.vault_return import receive_command, send_back_command
from permafrost.cli.vault_syncthing import running_options, running_syncthing, syncthing_options, vault_syncthing
from permafrost.config.loading import load_configuration
from permafrost.documents.vault_pairing import (
    ServersDocument,
    VaultAcceptDocument,
    VaultInviteDocument,
    VaultRemoveDocument,
    VaultsDocument,
)
from permafrost.errors import UsageError
from permafrost.events import Note
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.vault.accept import accept
from permafrost.operations.vault.invite import invite
from permafrost.operations.vault.join import join
from permafrost.operations.vault.list import list_servers, list_vaults
from permafrost.operations.vault.remove import remove_server, remove_vault
from permafrost.service.vault import run_vault
from permafrost.sharing.paired_vaults import PairedVault
from permafrost.sharing.server_side import ServerSide, server_side_of
from permafrost.vault.settings import VaultServer, VaultSyncthing

_ACCEPT_S = 60
maybe_path_option = click.option(
    "--path",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="On a vault: its folder. Without it, the command is about this server's vaults.",
)


@click.group("vault")
def vault() -> None:
    """Pair servers with vaults, the machines that keep their copies.

    \b
    Two commands pair them. On the server, which then waits:
      permafrost vault invite attic
    and on the vault, with the line that it prints:
      permafrost vault join permafrost-invite-1.eyJz... --path /srv/permafrost
    Then keep the vault going:
      permafrost vault run --path /srv/permafrost
    """


@vault.command("invite")
@click.argument("name")
@click.option("--wait/--no-wait", "waits", default=True, help="Wait for the vault and let it in; else see `accept`.")
@click.option(
    "--valid-for",
    "valid_for_min",
    type=click.IntRange(1, 7 * 24 * 60),
    default=60,
    show_default=True,
    metavar="MINUTES",
    help="How long the vault may take to join.",
)
@config_option
@json_option
@reporting
def invite_command(
    rendering: Rendering, name: str, *, waits: bool, valid_for_min: int, config_file: Path | None
) -> None:
    """On the server: print the line by which a vault called NAME can join, and wait for it.

    The line is a secret until it is used: it works once, for one machine, until it expires. Send it as you would
    a password. Only the machine that proves to have it is let in; others that knock are left outside.

    \b
    Examples:
      permafrost vault invite attic
      permafrost vault invite attic --no-wait --valid-for 600
    """
    server = _server(config_file)
    invitation = invite(server, name, valid_for=timedelta(minutes=valid_for_min), report=rendering.report)
    line = invitation.as_line()
    document = VaultInviteDocument(vault=name, invitation=line, expires_at=invitation.expires_at, paired=())
    if not waits:
        rendering.result(document, [line])
        rendering.report(Note("when it is used on the vault, run here meanwhile: permafrost vault accept"))
        return
    if rendering.as_json:
        rendering.report(Note(line))
    else:
        rendering.lines([line])
    rendering.report(Note(f"within {valid_for_min} minutes, on the vault: permafrost vault join LINE --path DIR"))
    paired = accept(server, wait_s=valid_for_min * 60, vault_name=name, report=rendering.report)
    document = replace(document, paired=tuple(one.document() for one in paired))
    rendering.result(document, [_sees(one) for one in paired])


@vault.command("accept")
@click.option(
    "--wait-for",
    "wait_s",
    type=click.IntRange(0),
    default=_ACCEPT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an invited vault.",
)
@config_option
@json_option
@reporting
def accept_command(rendering: Rendering, *, wait_s: int, config_file: Path | None) -> None:
    """On the server: let in the vaults that were invited and are joining now.

    For invitations made with --no-wait, or when waiting was cut short. Exit code 17 if nobody was let in.

    \b
    Example:
      permafrost vault accept --wait-for 600
    """
    paired = accept(_server(config_file), wait_s=wait_s, report=rendering.report)
    document = VaultAcceptDocument(tuple(one.document() for one in paired))
    rendering.result(document, [_sees(one) for one in paired])


@vault.command("join")
@click.argument("line")
@path_option
@click.option("--name", help="What the vault calls itself; else the name it was invited by.")
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
    """On the vault: join the server that printed LINE, and keep what it sends in the folder --path.

    Makes the folder, a Syncthing of its own in it, and receives the repository and the media there; the vault
    changes nothing on the server. A folder that is a vault already gets one more server. Waits until server and
    vault see each other; if that was cut short, join again with the same line.

    With --syncthing-url no Syncthing is started: the one that runs there gets the server and its folders, and is
    otherwise left as it is. While it joins it bears another name, by which it proves that it was invited.

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


@vault.command("list")
@maybe_path_option
@config_option
@json_option
@reporting
def list_command(rendering: Rendering, *, root: Path | None, config_file: Path | None) -> None:
    """On the server: list the paired vaults. On a vault, with --path: list its servers.

    \b
    Examples:
      permafrost vault list
      permafrost vault list --path /srv/permafrost
    """
    if root is not None:
        servers = list_servers(root)
        lines = [f"{one.name}  repository {one.repository_id}  {one.device_id}" for one in servers]
        document = ServersDocument(tuple(one.document() for one in servers))
        rendering.result(document, lines or ["this vault keeps no server"])
        return
    vaults = list_vaults(_server(config_file))
    paired = VaultsDocument(tuple(one.document() for one in vaults))
    rendering.result(paired, [_line_of(one) for one in vaults] or ["no vault is paired"])


@vault.command("remove")
@click.argument("name")
@maybe_path_option
@config_option
@json_option
@reporting
def remove_command(rendering: Rendering, name: str, *, root: Path | None, config_file: Path | None) -> None:
    """On the server: send nothing more to the vault NAME. On a vault, with --path: forget the server NAME.

    What the vault holds stays on its disk, on either side.

    \b
    Examples:
      permafrost vault remove attic
      permafrost vault remove example.social --path /srv/permafrost
    """
    if root is not None:
        server: VaultServer = remove_server(root, name, report=rendering.report)
        rendering.result(VaultRemoveDocument(server.name), [f"the server {server.name} is no longer kept here"])
        return
    removed = remove_vault(_server(config_file), name)
    rendering.result(VaultRemoveDocument(removed.name), [f"nothing more is sent to the vault {removed.name}"])


@vault.command("run")
@path_option
@json_option
@reporting
def run_command(rendering: Rendering, *, root: Path) -> None:
    """On the vault: keep it going, in the foreground, until SIGTERM or Ctrl-C, which end it with exit code 0.

    Its Syncthing is kept up, started again when it dies, and when that is no use tried again every five minutes;
    what has come is taken into the history meanwhile. All that it knows is on the disk: after a kill it goes on.
    Units for systemd are in systemd/.

    \b
    Example, for a service manager:
      permafrost vault run --path /srv/permafrost
    """
    with stopping_quietly(rendering.report):
        run_vault(root, rendering.report)


for _command in (history_command, verify_command, media_command, receive_command, send_back_command):
    vault.add_command(_command)


def _server(config_file: Path | None) -> ServerSide:
    return server_side_of(load_configuration(config_path(config_file)))


def _sees(paired: PairedVault) -> str:
    return f"this server and the vault {paired.name} see each other"


def _line_of(paired: PairedVault) -> str:
    if paired.is_connected:
        return f"{paired.name}  connected from {paired.address} ({paired.client_version})"
    return f"{paired.name}  away, " + (f"last seen {paired.last_seen}" if paired.last_seen else "never seen")
