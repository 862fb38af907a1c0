"""permafrost vault invite: the server makes a line by which a vault can join. `vault_accept` lets it in."""

from __future__ import annotations

import secrets
from datetime import timedelta

from permafrost.errors import UsageError
from permafrost.events import Reporter, Steps
from permafrost.sharing.declared_vaults import admit_declared, is_declared_vault
from permafrost.sharing.handshake import Now, now_utc
from permafrost.sharing.paired_vaults import paired_vaults
from permafrost.sharing.server_side import VAULT_NAME, ServerSide, addresses_to_offer, opened_server
from permafrost.vault.invitation import SECRET_BYTES, Invitation

VALID_FOR = timedelta(minutes=60)
DECLARED_VALID_FOR = timedelta(days=3650)
KEPT_AFTER_EXPIRY = timedelta(days=7)


def invite(
    server: ServerSide,
    vault_name: str,
    *,
    valid_for: timedelta = VALID_FOR,
    sealed_media: bool = False,
    report: Reporter,
    now: Now = now_utc,
) -> Invitation:
    """Return a new invitation for a vault of that name, which the server knows of from now on.

    A vault that the configuration declares is let in by its device id: its line proves nothing, so it is no secret, and
    it does not expire for years. An older invitation for the same name is void. With `sealed_media` the vault gets the
    media sealed; whether a declared one does, the configuration says. Raise `UsageError` if a vault of that name is
    paired already, `ConfigurationError` if there is no address that a vault could reach.
    """
    steps = Steps(report, 2)
    if VAULT_NAME.fullmatch(vault_name) is None:
        raise UsageError(
            f"{vault_name!r} is not a valid vault name",
            hint="use lower-case letters, digits, dots and hyphens, for instance: attic",
        )
    sealed_media = _is_sealed(server, vault_name, is_wanted=sealed_media)
    addresses = addresses_to_offer(server.syncthing)
    if sealed_media:
        server.prepare_sealed_media()
    with steps.step("prepare the folders in Syncthing"), opened_server(server) as client:
        is_declared = is_declared_vault(server, vault_name)
        if is_declared:
            admit_declared(client, server, report)
        elif any(vault.name == vault_name for vault in paired_vaults(client, server)):
            raise UsageError(
                f"a vault {vault_name} is already paired",
                hint=f"choose another name, or first: permafrost vault remove {vault_name}",
            )
        own_id = client.own_id()
    with steps.step("write the invitation"):
        moment = now()
        invitation = Invitation(
            server_name=server.name,
            server_device_id=own_id,
            repository_id=server.repository_id,
            fingerprint=server.fingerprint,
            vault_name=vault_name,
            folders=server.offered_to(vault_name, sealed_media=sealed_media),
            addresses=addresses,
            secret=secrets.token_hex(SECRET_BYTES),
            expires_at=moment + (DECLARED_VALID_FOR if is_declared else valid_for),
        )
        if is_declared:
            return invitation  # nobody is let in by it, so there is nothing to remember
        server.invitations.forget_older_than(moment - KEPT_AFTER_EXPIRY)
        server.invitations.add(invitation)
    return invitation


def _is_sealed(server: ServerSide, vault_name: str, *, is_wanted: bool) -> bool:
    """Return whether the vault gets sealed media; raise `UsageError` if a declared one is declared otherwise."""
    declared = next((vault for vault in server.declared if vault.name == vault_name), None)
    if declared is not None and is_wanted and not declared.sealed_media:
        raise UsageError(
            f"the vault {vault_name} is declared in the configuration, without sealed media",
            unchanged="everything",
            hint="set sealed_media = true in its [[vaults]]",
        )
    return is_wanted or (declared is not None and declared.sealed_media)
