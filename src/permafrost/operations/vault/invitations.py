"""permafrost vault invitations and revoke: which invitations are open, and taking one back."""

from __future__ import annotations

from datetime import datetime

from permafrost.documents.vault_pairing import InvitationDocument
from permafrost.errors import UsageError
from permafrost.sharing.server_side import ServerSide
from permafrost.vault.admission import GivenInvitation


def open_invitations(server: ServerSide, now: datetime) -> tuple[GivenInvitation, ...]:
    """Return the invitations by which a vault could still join, the next to expire first."""
    given = (
        invitation
        for invitation in server.invitations.all()
        if invitation.used_by is None and now < invitation.expires_at
    )
    return tuple(sorted(given, key=lambda one: one.expires_at))


def invitation_document(invitation: GivenInvitation) -> InvitationDocument:
    """Return it for JSON, without its secret."""
    return InvitationDocument(invitation.vault_name, invitation.expires_at, invitation.sealed_media)


def revoke(server: ServerSide, vault_name: str, now: datetime) -> GivenInvitation:
    """Make the open invitation for that vault void, and return it; raise `UsageError` if there is none."""
    for given in open_invitations(server, now):
        if given.vault_name == vault_name:
            server.invitations.forget(vault_name)
            return given
    names = ", ".join(given.vault_name for given in open_invitations(server, now)) or "none"
    raise UsageError(
        f"no invitation for {vault_name} is open",
        unchanged="all invitations",
        hint=f"open invitations: {names}; a vault that has joined is removed with permafrost vault remove",
    )
