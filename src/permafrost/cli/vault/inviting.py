"""permafrost vault invitations and revoke: what was given out, and taking it back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.documents.vault_pairing import VaultInvitationsDocument, VaultRevokeDocument
from permafrost.operations.vault.invitations import invitation_document, open_invitations, revoke
from permafrost.sharing.server_side import server_side_of


@click.command("invitations")
@config_option
@json_option
@reporting
def invitations_command(rendering: Rendering, *, config_file: Path | None) -> None:
    """List the invitations by which a vault could still join.

    On the server. The lines themselves are not shown again.
    """
    server = server_side_of(load_configuration(config_path(config_file)))
    given = open_invitations(server, datetime.now(UTC))
    document = VaultInvitationsDocument(tuple(map(invitation_document, given)))
    lines = [
        f"{one.vault_name}  until {one.expires_at:%Y-%m-%d %H:%M} UTC" + (", sealed media" if one.sealed_media else "")
        for one in given
    ]
    rendering.result(document, lines or ["no invitation is open"])


@click.command("revoke")
@click.argument("name")
@config_option
@json_option
@reporting
def revoke_command(rendering: Rendering, name: str, *, config_file: Path | None) -> None:
    """Take back the invitation for the vault NAME.

    On the server. Nobody can join with its line from now on. A vault that has joined is removed with `vault remove`.

    \b
    Example:
      permafrost vault revoke attic
    """
    server = server_side_of(load_configuration(config_path(config_file)))
    revoked = revoke(server, name, datetime.now(UTC))
    document = VaultRevokeDocument(revoked.vault_name)
    rendering.result(document, [f"the invitation for {revoked.vault_name} is void"])
