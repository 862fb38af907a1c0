"""A vault's folder, and servers that must not get into each other's."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.errors import ConfigurationError, UsageError
from permafrost.events import ignore_events
from permafrost.operations.vault.join import join
from permafrost.vault.invitation import Invitation, OfferedFolder
from permafrost.vault.settings import RESERVED_NAMES, Vault, VaultServer, VaultSettings, open_vault
from tests.fixtures.vault import SERVER_ID


@pytest.fixture
def server(invitation: Invitation) -> VaultServer:
    """The server of the invitation."""
    return VaultServer.invited_by(invitation)


def test_settings_are_kept(tmp_path: Path, server: VaultServer) -> None:
    """What was saved is read back; the file is private."""
    vault = Vault(root=tmp_path / "vault", settings=VaultSettings(name="attic", servers=(server,)))
    vault.save()
    assert open_vault(tmp_path / "vault") == vault
    assert stat.S_IMODE((tmp_path / "vault" / "vault.toml").stat().st_mode) == 0o600


def test_no_vault_is_told(tmp_path: Path) -> None:
    """A folder without vault.toml is no vault, and the hint says how to make one."""
    with pytest.raises(ConfigurationError, match="no vault") as caught:
        open_vault(tmp_path)
    assert "vault join" in caught.value.hint


def test_folders_lie_below_the_servers_name(tmp_path: Path, server: VaultServer) -> None:
    """All that is received or set aside lies in DIR/SERVER, receive-only, and never in the folder of the settings."""
    vault = Vault(root=tmp_path, settings=VaultSettings(name="attic", servers=(server,)))
    repository, media, media_list = vault.folders_of(server, ("/tmp", "/lock"))  # noqa: S108 - patterns, not places
    assert repository.path == tmp_path / "example.social" / "repository"
    assert media.path == tmp_path / "example.social" / "media"
    assert repository.removed_path == tmp_path / "example.social" / "removed" / "repository"
    assert (media_list.path, media_list.is_sent) == (tmp_path / "example.social" / "media-list", False)
    assert (repository.is_sent, media.is_sent, media.ignores) == (False, False, ("/cache",))
    assert repository.removed_days < media.removed_days


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_server_cannot_take_the_vaults_own_names(invitation: Invitation, name: str) -> None:
    """A server that calls itself as one of the vault's own files or folders is refused."""
    with pytest.raises(UsageError, match="for itself"):
        VaultServer.invited_by(invitation.model_copy(update={"server_name": name}))


def test_the_same_server_renews_itself(server: VaultServer) -> None:
    """The same device and repository, invited again, takes its own place."""
    settings = VaultSettings(name="attic").with_server(server)
    renewed = server.model_copy(update={"addresses": ("tcp://192.0.2.2:22000",)})
    assert settings.with_server(renewed).servers == (renewed,)


@pytest.mark.parametrize("what", ["name", "repository", "folder", "list"])
def test_a_server_cannot_take_another_ones_place(server: VaultServer, what: str) -> None:
    """Another device with the name, the repository or a folder id of a server that is kept is refused."""
    settings = VaultSettings(name="attic").with_server(server)
    changes: dict[str, object] = {"device_id": SERVER_ID[::-1]}
    if what != "name":
        changes["name"] = "other.social"
    if what != "repository":
        changes["repository_id"] = "f" * 32
    if what != "folder":
        folder_id = server.list_folder_id if what == "list" else "permafrost-other"
        changes["folders"] = (OfferedFolder(folder_id=str(folder_id), kind="repository"),)
    with pytest.raises(UsageError):
        settings.with_server(server.model_copy(update=changes))


def test_several_servers_live_side_by_side(server: VaultServer) -> None:
    """Servers that share nothing are all kept, and one can go without the other."""
    other = server.model_copy(
        update={
            "name": "other.social",
            "repository_id": "f" * 32,
            "folders": (OfferedFolder(folder_id="permafrost-other", kind="repository"),),
        }
    )
    both = VaultSettings(name="attic").with_server(server).with_server(other)
    assert both.servers == (server, other)
    assert both.without_server("example.social").servers == (other,)


def test_joined_servers_that_take_each_others_place(tmp_path: Path, server: VaultServer) -> None:
    """Joined servers of which two have one name, as a hand may have written them, are a wrong configuration."""
    Vault(root=tmp_path, settings=VaultSettings(name="attic", servers=(server,))).save()
    file = tmp_path / "servers.toml"
    text = file.read_text()
    file.write_text(f"{text}\n{text[text.index('[[servers]]') :]}")
    with pytest.raises(ConfigurationError):
        open_vault(tmp_path)


def test_a_vault_cannot_have_any_name(tmp_path: Path, invitation: Invitation) -> None:
    """A name that would lead out of its folder is refused as the user's mistake, and nothing is made."""
    before = invitation.expires_at - timedelta(minutes=1)
    with pytest.raises(UsageError, match="cannot have the name"):
        join(invitation.as_line(), tmp_path / "vault", name="../x", report=ignore_events, now=lambda: before)
    assert not (tmp_path / "vault").exists()
