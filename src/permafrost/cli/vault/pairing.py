"""permafrost vault invite, accept, list and remove: who keeps copies of this server, and whose copies a vault keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault.options import maybe_path_option
from permafrost.config.loading import load_configuration
from permafrost.documents.vault_pairing import (
    ServersDocument,
    VaultAcceptDocument,
    VaultInviteDocument,
    VaultRemoveDocument,
    VaultsDocument,
)
from permafrost.events import Note
from permafrost.operations.vault.accept import accept
from permafrost.operations.vault.invite import invite
from permafrost.operations.vault.list import list_servers, list_vaults
from permafrost.operations.vault.remove import remove_server, remove_vault
from permafrost.sharing.declared_vaults import is_declared_vault
from permafrost.sharing.paired_vaults import PairedVault
from permafrost.sharing.server_side import ServerSide, server_side_of
from permafrost.vault.settings import VaultServer

_ACCEPT_S = 60


@click.command("invite")
@click.argument("name")
@click.option(
    "--wait/--no-wait",
    "waits",
    default=True,
    help="Wait for the vault and let it in  [default: wait]",
)
@click.option(
    "--valid-for",
    "valid_for_min",
    type=click.IntRange(1, 7 * 24 * 60),
    default=60,
    show_default=True,
    metavar="MINUTES",
    help="How long the vault may take to join.",
)
@click.option("--sealed-media", is_flag=True, help="Send it the media sealed: it can check them, and read nothing.")
@config_option
@json_option
@reporting
def invite_command(
    rendering: Rendering, name: str, *, waits: bool, valid_for_min: int, sealed_media: bool, config_file: Path | None
) -> None:
    """Print the line by which the vault NAME can join, and wait for it.

    On the server. The line is a secret until it is used: it works once, for one machine, until it expires. Send it
    like a password. Only a machine that proves that it has the line is let in. For a vault that the configuration
    declares, the line is no secret, and nothing is waited for. With --sealed-media, for a machine at a friend's, names
    and contents of media are sealed to the repository's key before they leave; that needs as much room here again.

    \b
    Examples:
      permafrost vault invite attic
      permafrost vault invite attic --no-wait --valid-for 600
      permafrost vault invite friends --sealed-media
    """
    server = _server(config_file)
    valid_for = timedelta(minutes=valid_for_min)
    invitation = invite(server, name, valid_for=valid_for, sealed_media=sealed_media, report=rendering.report)
    line = invitation.as_line()
    document = VaultInviteDocument(vault=name, invitation=line, expires_at=invitation.expires_at, paired=())
    if is_declared_vault(server, name):
        rendering.result(document, [line])
        rendering.report(Note("the vault is declared: it is let in by its device id, and this line is no secret"))
        return
    if not waits:
        rendering.result(document, [line])
        rendering.report(Note("while the vault uses it, run here: permafrost vault accept"))
        return
    if rendering.as_json:
        rendering.report(Note(line))
    else:
        rendering.lines([line])
    rendering.report(Note(f"within {valid_for_min} minutes, on the vault: permafrost vault join LINE --path DIR"))
    paired = accept(server, wait_s=valid_for_min * 60, vault_name=name, report=rendering.report)
    document = replace(document, paired=tuple(vault.document() for vault in paired))
    rendering.result(document, [_sees(vault) for vault in paired])


@click.command("accept")
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
    """Let in the vaults that were invited and are joining now.

    On the server. For invitations made with --no-wait, or if waiting was interrupted. Exit code 17 if no vault was
    let in.

    \b
    Example:
      permafrost vault accept --wait-for 600
    """
    paired = accept(_server(config_file), wait_s=wait_s, report=rendering.report)
    document = VaultAcceptDocument(tuple(vault.document() for vault in paired))
    rendering.result(document, [_sees(vault) for vault in paired])


@click.command("list")
@maybe_path_option
@config_option
@json_option
@reporting
def list_command(rendering: Rendering, *, root: Path | None, config_file: Path | None) -> None:
    """List the paired vaults or, with --path on a vault, its servers.

    \b
    Examples:
      permafrost vault list
      permafrost vault list --path /srv/permafrost
    """
    if root is not None:
        servers = list_servers(root)
        lines = [f"{server.name}  repository {server.repository_id}  {server.device_id}" for server in servers]
        document = ServersDocument(tuple(server.document() for server in servers))
        rendering.result(document, lines or ["this vault keeps no server"])
        return
    vaults = list_vaults(_server(config_file))
    paired = VaultsDocument(tuple(vault.document() for vault in vaults))
    rendering.result(paired, [_line_of(vault) for vault in vaults] or ["no vault is paired"])


@click.command("remove")
@click.argument("name")
@maybe_path_option
@config_option
@json_option
@reporting
def remove_command(rendering: Rendering, name: str, *, root: Path | None, config_file: Path | None) -> None:
    """Send nothing more to the vault NAME, or forget the server NAME.

    On the server the former, on a vault, with --path, the latter. What the vault holds stays on its disk either way.

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


def _server(config_file: Path | None) -> ServerSide:
    return server_side_of(load_configuration(config_path(config_file)))


def _sees(paired: PairedVault) -> str:
    return f"this server and the vault {paired.name} see each other"


def _line_of(paired: PairedVault) -> str:
    name = f"{paired.name}  sealed media," if paired.sealed_media else f"{paired.name} "
    if paired.is_connected:
        return f"{name} connected from {paired.address} ({paired.client_version})"
    return f"{name} away, " + (f"last seen {paired.last_seen}" if paired.last_seen else "never seen")
