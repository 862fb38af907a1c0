"""Media over two real Syncthings: permissions alone arrive, rot is fetched again, a replacement is another version."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from permafrost.repository.repository import Repository
from permafrost.sharing.server_side import media_folder_id
from permafrost.vault.invitation import media_list_folder_id
from permafrost.vault.media.balance import noted_balance
from permafrost.vault.media.versions import MediaVersions
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.carried import share, turn_until
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.delivery import Clock, Sender
from tests.fixtures.media_list import media_line, write_media_list
from tests.fixtures.server import SigningKey
from tests.fixtures.syncthing import Peer, peers

PICTURE = "media_attachments/files/117/662/831/954/212/746/original/4ab3c0ffee123456.png"
CONTENT = b"picture" * 1000
HALF_AN_HOUR = timedelta(minutes=31)
__all__ = ["peers"]


def test_permissions_rot_and_replacement(repository: Repository, peers: tuple[Peer, Peer], tmp_path: Path) -> None:
    """A chmod alone reaches the history; a flipped bit is fetched again; another file is kept beside the first."""
    sender, receiver = peers
    picture = tmp_path / "system" / PICTURE
    picture.parent.mkdir(parents=True)
    picture.write_bytes(CONTENT)
    picture.chmod(0o644)
    _, vault = share(repository, sender, receiver, media=tmp_path / "system")
    server = vault.settings.servers[0]
    folder_id, clock, said = media_folder_id(repository.repository_id), Clock(), list[object]()
    kept = vault.history(server) / "media" / PICTURE
    with Keeper(vault, receiver.client, said.append, moment=clock.read) as keeper:
        records = keeper.servers[0].records
        versions = MediaVersions(records.database, server.repository_id)

        def codes() -> set[str]:
            return {finding.code for finding in records.ledger.open()}

        def mode() -> int | None:
            clock.pass_time(HALF_AN_HOUR)
            known = versions.present(PICTURE.encode())
            return known.mode if known is not None and known.sha256 is not None else None

        turn_until(keeper, lambda: mode() == 0o644, "it is kept, and read")
        before, inode = clock.wall, kept.stat().st_ino
        picture.chmod(0o600)
        sender.client.scan(folder_id)
        turn_until(keeper, lambda: mode() == 0o600, "its permissions have come")
        known = versions.present(PICTURE.encode())
        assert known is not None
        assert (versions.mode_at(known, before), versions.mode_at(known, clock.wall)) == (0o644, 0o600)
        assert (kept.stat().st_ino, kept.stat().st_mode & 0o777, kept.read_bytes()) == (inode, 0o600, CONTENT)

        flip_a_bit(kept, 100)
        clock.pass_time(timedelta(days=7))
        turn_until(keeper, lambda: "mended" in codes(), "what has rotted is fetched again")
        assert kept.read_bytes() == CONTENT
        assert "media-rot" not in codes()

        other = picture.with_name("other")
        other.write_bytes(b"another picture" * 1000)
        other.replace(picture)
        sender.client.scan(folder_id)
        received = vault.media(server)
        assert received is not None
        turn_until(keeper, lambda: (received / PICTURE).read_bytes() != CONTENT, "the other one has come")
        clock.pass_time(HALF_AN_HOUR)
        turn_until(keeper, lambda: kept.read_bytes() != CONTENT, "it is kept")
        assert kept.read_bytes() == picture.read_bytes()
        replaced = vault.history(server) / "media-replaced"
        assert [file.read_bytes() for file in replaced.rglob("*.png")] == [CONTENT]
        assert not codes() & {"media-rot", "odd-file", "local-changes"}


def test_the_list_beside_sealed_media(
    repository: Repository, signing_key: SigningKey, peers: tuple[Peer, Peer], tmp_path: Path
) -> None:
    """A vault that gets the media learns what it lacks though the server seals media for another: the list comes."""
    sender, receiver = peers
    picture, media = tmp_path / "system" / PICTURE, tmp_path / "system"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(CONTENT)
    _, vault = share(repository, sender, receiver, tmp_path / "vault", media=media, seals_in=tmp_path / "sealed")
    clock, said = Clock(), list[object]()
    lines = [
        media_line(repository.repository_id, path, len(CONTENT))
        for path in (PICTURE, PICTURE.replace("/746/", "/747/"))
    ]
    write_media_list(Sender(repository, signing_key), sender.folder / "state", clock.wall, *lines)
    sender.client.scan(media_list_folder_id(repository.repository_id))
    with Keeper(vault, receiver.client, said.append, moment=clock.read) as keeper:
        records = keeper.servers[0].records

        def balance() -> tuple[int, int, int]:
            clock.pass_time(HALF_AN_HOUR)
            known = noted_balance(records)
            return (known.needed, known.held, known.overdue) if known is not None else (0, 0, 0)

        turn_until(keeper, lambda: balance() == (2, 1, 1), "it knows that one file is missing")
    assert not (repository.path / "media-list").exists()
    assert {folder.name for folder in (vault.root / "example.social").iterdir() if folder.is_dir()} == {
        *("repository", "media", "media-list", "history", "removed"),
    }
