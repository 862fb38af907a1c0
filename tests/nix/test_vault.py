"""services.permafrost-vault: what a NixOS vault gets, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from permafrost.vault.settings import declare_settings, open_vault
from tests.nix.evaluating import MASTODON, Refused, evaluated, needs_nix

pytestmark = needs_nix
VAULT = "services.permafrost-vault.enable = true;"


def test_the_settings_are_valid(tmp_path: Path) -> None:
    """A vault takes the settings that the module writes, from a place that outlives a generation of the system."""
    told = evaluated(
        VAULT
        + 'services.permafrost-vault.settings = { name = "attic"; history.monthly = 24; };'
        + 'services.permafrost-vault.servers.social.invitationFile = "/run/agenix/line";'
    )
    file = tmp_path / "vault.toml"
    file.write_text(tomli_w.dumps(told["vaultToml"]))
    declare_settings(tmp_path / "vault", file)
    settings = open_vault(tmp_path / "vault").settings
    assert (settings.name, settings.history.monthly) == ("attic", 24)
    assert settings.line_files == (Path("/run/permafrost-vault/social.line"),)
    [before] = told["vault"]["service"]["ExecStartPre"]
    assert before.startswith("-+")
    assert before.endswith(" /run/agenix/line /run/permafrost-vault/social.line")
    assert told["vault"]["service"]["ExecStart"].endswith("--settings /etc/permafrost/vault.toml")
    assert len(told["vault"]["triggers"]) == 1


def test_a_vault_needs_nothing_else() -> None:
    """Without any option, a user and a folder are made, and no port is opened."""
    told = evaluated(VAULT)
    assert (told["refused"], told["warnings"], told["ports"]) == ([], [], {"tcp": [], "udp": []})
    assert told["users"]["permafrost"]["isSystemUser"] is True
    assert told["groups"] == ["permafrost"]
    folder = told["tmpfiles"]["permafrost-vault"]["/var/lib/permafrost-vault"]["d"]
    assert folder == {"user": "permafrost", "group": "permafrost", "mode": "0700"}
    assert told["vault"]["service"]["ReadWritePaths"] == ["-/var/lib/permafrost-vault"]
    assert told["server"] is None


def test_both_may_be_on_one_machine() -> None:
    """Beside a server, the vault's Syncthing has other ports."""
    told = evaluated(
        f"{MASTODON} {VAULT} services.permafrost-vault.openFirewall = true; services.permafrost.openFirewall = true;"
    )
    assert told["refused"] == []
    assert sorted(told["ports"]["tcp"]) == [22000, 22001]
    assert {22000, 22001, 21027} == set(told["ports"]["udp"])
    assert told["server"]["service"]["User"] == "mastodon"
    assert told["vault"]["service"]["User"] == "permafrost"


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ('path = "/tmp/vault";', "path"),
        ('path = "/nix/store/x-vault";', "path"),
        ("servers.social = { };", "servers.social.invitationFile"),
        ('servers."a b".invitationFile = "/run/x";', "servers.a b"),
    ],
)
def test_what_cannot_work_is_refused(given: str, option: str) -> None:
    """A vault that could not keep or join anything is not built; the message begins with the option."""
    told = evaluated(f"services.permafrost-vault = {{ enable = true; {given} }};")
    assert [message.split(":")[0] for message in told["refused"]] == [f"services.permafrost-vault.{option}"]


@pytest.mark.parametrize("value", ['"/nix/store/x-line"', "./line", '"permafrost-invite-1.eyJ"'])
def test_an_invitation_stays_out_of_the_store(value: str) -> None:
    """A file that all users could read, or the line itself, is refused."""
    with pytest.raises(Refused, match=r"services.permafrost-vault.servers.social.invitationFile"):
        evaluated(f"services.permafrost-vault = {{ enable = true; servers.social.invitationFile = {value}; }};")


def test_two_syncthings_are_warned_of() -> None:
    """A host's own Syncthing wants the same port as the vault's."""
    told = evaluated(f"{VAULT} services.syncthing.enable = true;")
    assert [w.split(":")[0] for w in told["warnings"]] == ["services.permafrost-vault.settings.syncthing.listen"]
