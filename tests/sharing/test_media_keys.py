"""A server with media in an object store shares the list of them, in the place of the media, with whom it invites."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from permafrost.config.models import Media
from permafrost.errors import UsageError
from permafrost.repository.layout import SYNCTHING_IGNORES
from permafrost.repository.media_list import KEY_LIST
from permafrost.sharing.server_side import server_side_of
from permafrost.vault.invitation import Invitation, OfferedFolder, parse_invitation
from permafrost.vault.settings import Vault, VaultServer, VaultSettings
from tests.fixtures.server import MakeServer


def test_the_list_is_offered(database: str, make_server: MakeServer, invitation: Invitation, tmp_path: Path) -> None:
    """The list's folder alone is sent, and received without a folder for what was removed; media come beside it."""
    configuration = make_server(database).configuration
    media = Media(public_url="https://files.example")
    side = server_side_of(configuration.model_copy(update={"media": media}))
    assert [folder.kind for folder in side.folders] == ["repository", "media-keys"]
    assert side.folders[1].path == configuration.state.path / KEY_LIST
    offered = side.offered_to("attic", sealed_media=False)
    assert [folder.kind for folder in offered] == ["repository", "media-keys", "receipts"]
    line = invitation.model_copy(update={"folders": offered}).as_line()
    server = VaultServer.invited_by(parse_invitation(line))
    vault = Vault(root=tmp_path, settings=VaultSettings(name="attic", servers=(server,)))
    place = tmp_path / server.name
    assert (vault.media(server), vault.media_keys(server)) == (place / "media", place / KEY_LIST)
    received = {folder.kind: folder for folder in vault.folders_of(server, SYNCTHING_IGNORES)}
    assert set(received) == {"repository", "media-keys", "receipts"}
    assert (received["media-keys"].path, received["media-keys"].removed_path) == (place / KEY_LIST, None)


def test_a_vault_with_sealed_media_gets_no_names(database: str, make_server: MakeServer) -> None:
    """Names are half of addresses on the web, so a vault that was to get sealed media never gets the list of them."""
    configuration = make_server(database).configuration
    side = server_side_of(configuration.model_copy(update={"media": Media(public_url="https://files.example")}))
    assert [folder.kind for folder in side.offered_to("friends", sealed_media=True)] == ["repository", "receipts"]
    with pytest.raises(UsageError, match="no folder of media"):
        side.prepare_sealed_media()


def test_media_come_one_way(invitation: Invitation) -> None:
    """An invitation that offers media and the list of them is refused; so is a configuration with both, or none."""
    keys = OfferedFolder(folder_id="permafrost-keys", kind="media-keys")
    with pytest.raises(ValidationError, match="not both"):
        Invitation.model_validate({**invitation.model_dump(), "folders": [*invitation.folders, keys]})
    for words in ({}, {"path": "/srv/media", "public_url": "https://files.example"}):
        with pytest.raises(ValidationError, match="public_url"):
            Media.model_validate(words)


@pytest.mark.parametrize(
    "url",
    ["files.example", "ftp://files.example", "https://a:b@files.example", "https://files.example/?a", "https:///x"],
)
def test_what_is_no_address(url: str) -> None:
    """What is no address of the web, or holds credentials or a query, is refused."""
    with pytest.raises(ValidationError, match="public_url"):
        Media.model_validate({"public_url": url})
