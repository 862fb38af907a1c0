"""The commands about vaults, by name."""

from __future__ import annotations

import click

from permafrost.cli.shared.lazy_group import LazyGroup

_COMMANDS = {
    "invite": ("vault.pairing:invite_command", "Print the line by which the vault NAME can join, and wait for it."),
    "invitations": ("vault.inviting:invitations_command", "List the invitations by which a vault could still join."),
    "revoke": ("vault.inviting:revoke_command", "Take back the invitation for the vault NAME."),
    "accept": ("vault.pairing:accept_command", "Let in the vaults that were invited and are joining now."),
    "id": ("vault.joining:id_command", "Print the device id by which a server can declare this vault."),
    "join": ("vault.joining:join_command", "Make this machine a vault of the server that printed LINE."),
    "list": ("vault.pairing:list_command", "List the paired vaults or, with --path on a vault, its servers."),
    "remove": ("vault.pairing:remove_command", "Send nothing more to the vault NAME, or forget the server NAME."),
    "run": ("vault.running:run_command", "Run the vault's service: Syncthing, the history, and its checks."),
    "status": (
        "vault.status:status_command",
        "Show whether each server could come back from this vault, and what needs attention.",
    ),
    "history": (
        "vault.copies:history_command",
        "List what the vault keeps of each server, out of its reach.",
    ),
    "verify": ("vault.copies:verify_command", "Read everything the vault keeps again, now, and compare it."),
    "media": ("vault.copies:media_command", "Lay out a server's media as they were when a snapshot arrived."),
    "seal-media": (
        "vault.sealing:seal_media_command",
        "Seal the media that have changed, for vaults invited with --sealed-media.",
    ),
    "receive": ("vault.sending_back:receive_command", "Get repository and media back from a vault, on a new server."),
    "send-back": ("vault.sending_back:send_back_command", "Send what the vault keeps of a server to a new server."),
}


@click.group("vault", cls=LazyGroup, commands_at=_COMMANDS)
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
