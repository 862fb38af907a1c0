"""Folders as they should be, and a yes that is never premature. The tests build on one another, in this order."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from permafrost.errors import ReplicationError
from permafrost.events import Event, Progress
from permafrost.syncthing.answers import nanoseconds
from permafrost.syncthing.folders import Device as KnownDevice
from permafrost.syncthing.folders import (
    Folder,
    ensure_device,
    ensure_folder,
    share,
    sharers,
    unshare,
)
from permafrost.syncthing.holdings import missing_on, wait_until_held
from tests.fixtures.syncthing import Peer, wait_for

REPOSITORY = "permafrost-test"
MEDIA = "permafrost-test-media"
Peers = tuple[Peer, Peer]


def _sent(peers: Peers, folder_id: str) -> Folder:
    is_media = folder_id == MEDIA
    return Folder(
        folder_id,
        "server",
        peers[0].folder / folder_id,
        "media" if is_media else "repository",
        is_sent=True,
        ignores=("/cache",) if is_media else ("/tmp", "/lock"),  # noqa: S108 - patterns, not places
    )


def _received(peers: Peers, folder_id: str) -> Folder:
    sent = _sent(peers, folder_id)
    return Folder(
        folder_id,
        "server",
        peers[1].folder / folder_id,
        sent.kind,
        is_sent=False,
        ignores=sent.ignores,
        removed_path=peers[1].folder / "removed" / folder_id,
        removed_days=30,
    )


def _put(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent.parent / ".new"
    temporary.write_bytes(content)
    temporary.chmod(mode)
    temporary.rename(path)


def _ignore(event: Event) -> None:
    del event


def test_a_folder_that_is_not_shared_is_refused(peers: Peers) -> None:
    """Waiting for a device that the folder is not shared with is useless, and says so at once."""
    ensure_folder(peers[0].client, _sent(peers, REPOSITORY))
    with pytest.raises(ReplicationError, match="does not share"):
        wait_until_held(peers[0].client, REPOSITORY, peers[1].device_id, ["x"], timeout_s=60, report=_ignore)


def test_a_vault_that_never_accepted_holds_nothing(peers: Peers) -> None:
    """Syncthing 1.x calls a vault complete that has never taken the folder; here it holds nothing, and is told so."""
    server, vault = peers
    _put(_sent(peers, REPOSITORY).path / "objects" / "aa.gpg", b"a" * 1000, 0o444)
    share(server.client, [REPOSITORY], vault.device_id)
    with pytest.raises(ReplicationError, match=r"still lacks 1 file, .* objects/aa\.gpg") as caught:
        wait_until_held(server.client, REPOSITORY, vault.device_id, ["objects/aa.gpg"], timeout_s=0.5, report=_ignore)
    assert "connected" in caught.value.hint


def test_held_once_the_vault_has_it(peers: Peers) -> None:
    """After the vault has taken the folder, the wait ends when it has the bytes, and progress was told."""
    server, vault = peers
    ensure_folder(vault.client, _received(peers, REPOSITORY), [server.device_id])
    told: list[Event] = []
    paths = ["objects/aa.gpg", *(f"objects/{number:02}.gpg" for number in range(20)), "objects/empty"]
    for path in paths[1:]:
        _put(_sent(peers, REPOSITORY).path / path, b"" if path.endswith("empty") else os.urandom(50_000), 0o444)
    wait_until_held(server.client, REPOSITORY, vault.device_id, paths, timeout_s=20, report=told.append)
    for path in paths:
        received = vault.folder / REPOSITORY / path
        assert received.read_bytes() == (_sent(peers, REPOSITORY).path / path).read_bytes()
    assert told[0] == Progress(0, len(paths), "files")
    assert told[-1] == Progress(len(paths), len(paths), "files")


def test_what_was_only_just_written_is_not_held(peers: Peers) -> None:
    """A file that Syncthing has not seen yet is missing, though everything it knows of is complete."""
    server, vault = peers
    _put(_sent(peers, REPOSITORY).path / "objects" / "late.gpg", b"late")
    assert missing_on(server.client, REPOSITORY, vault.device_id, ["objects/late.gpg"]) == {"objects/late.gpg"}
    wait_until_held(server.client, REPOSITORY, vault.device_id, ["objects/late.gpg"], timeout_s=20, report=_ignore)


def test_what_cannot_be_announced_is_told(peers: Peers) -> None:
    """A file that is not there, or that an ignore pattern hides, is an error at once, with the reason."""
    server, vault = peers
    _put(_sent(peers, REPOSITORY).path / "tmp" / "half", b"half")
    for path, reason in (("objects/none", "No such file"), ("tmp/half", "ignore pattern")):
        with pytest.raises(ReplicationError, match=reason):
            wait_until_held(server.client, REPOSITORY, vault.device_id, [path], timeout_s=60, report=_ignore)


def test_a_vault_that_is_away_holds_nothing_new(peers: Peers) -> None:
    """While the vault is not connected nothing counts as held, and the error says that it is away."""
    server, vault = peers
    server.client.change_device(vault.device_id, {"paused": True})
    wait_for(lambda: not server.client.connections()[vault.device_id].connected, "they are separated")
    with pytest.raises(ReplicationError, match="without progress") as caught:
        wait_until_held(server.client, REPOSITORY, vault.device_id, ["objects/aa.gpg"], timeout_s=0.2, report=_ignore)
    assert "not connected" in caught.value.hint
    server.client.change_device(vault.device_id, {"paused": False})
    vault.client.dial_again(server.device_id)
    wait_until_held(server.client, REPOSITORY, vault.device_id, ["objects/aa.gpg"], timeout_s=30, report=_ignore)


def test_removed_objects_wait_outside_the_folder(peers: Peers) -> None:
    """What the server removes is moved on the vault to a folder of its own, out of a reader's way."""
    server, vault = peers
    (_sent(peers, REPOSITORY).path / "objects" / "aa.gpg").unlink()
    server.client.scan(REPOSITORY)
    kept = vault.folder / "removed" / REPOSITORY / "objects" / "aa.gpg"
    wait_for(kept.exists, "the removed object is kept aside")
    assert kept.read_bytes() == b"a" * 1000
    assert not (vault.folder / REPOSITORY / "objects" / "aa.gpg").exists()
    assert not (vault.folder / REPOSITORY / ".stversions").exists()


def test_media_come_with_modes_and_without_cache(peers: Peers) -> None:
    """Media keep their modes; /cache is neither announced by the server nor accepted or shown by the vault."""
    server, vault = peers
    sent, received = _sent(peers, MEDIA), _received(peers, MEDIA)
    for path in ("cache/remote.png", "media_attachments/cache/own.png"):
        _put(sent.path / path, b"x", 0o640)
    for peer, folder, other in ((server, sent, vault), (vault, received, server)):
        ensure_folder(peer.client, folder, [other.device_id])
        assert peer.client.ignores(MEDIA) == ("/cache",)
    own = "media_attachments/cache/own.png"
    wait_until_held(server.client, MEDIA, vault.device_id, [own], timeout_s=20, report=_ignore)
    assert (received.path / own).stat().st_mode & 0o777 == 0o640
    assert not (received.path / "cache").exists()
    server.client.set_ignores(MEDIA, ())  # a server that is careless, or no longer ours
    server.client.scan(MEDIA)
    _put(sent.path / "media_attachments/cache/next.png", b"y")
    following = ["media_attachments/cache/next.png"]
    wait_until_held(server.client, MEDIA, vault.device_id, following, timeout_s=20, report=_ignore)
    assert not (received.path / "cache").exists()


def test_ensuring_again_changes_nothing(peers: Peers) -> None:
    """What is as it should be is left alone; what somebody changed is put right, and nobody's sharing is touched."""
    server, vault = peers
    folder = _received(peers, MEDIA)
    before = vault.client.folder(MEDIA)
    ensure_folder(vault.client, folder)
    assert vault.client.folder(MEDIA) == before
    vault.client.change_folder(MEDIA, {"type": "sendreceive", "versioning": {"type": ""}})
    ensure_folder(vault.client, folder)
    assert vault.client.folder(MEDIA) == before
    assert sharers(vault.client, MEDIA) == {server.device_id, vault.device_id}


def test_a_folder_in_another_place_is_refused(peers: Peers, tmp_path: Path) -> None:
    """A folder cannot be pointed at an empty one, which would delete everything elsewhere; one moved whole can."""
    server = peers[0]
    sent = _sent(peers, MEDIA)
    moved = Folder(MEDIA, "server", tmp_path / "moved", "media", is_sent=True, ignores=("/cache",))
    with pytest.raises(ReplicationError, match=", not "):
        ensure_folder(server.client, moved)
    moved.path.rmdir()
    sent.path.rename(moved.path)
    ensure_folder(server.client, moved)
    found = server.client.folder(MEDIA)
    assert found is not None
    assert found["path"] == str(moved.path)


def test_only_our_folders_and_devices_are_touched(peers: Peers, tmp_path: Path) -> None:
    """Unsharing ours leaves a foreign folder and its device; the device goes when nothing is shared with it."""
    server, vault = peers
    ensure_folder(server.client, Folder("foreign", "f", tmp_path / "foreign", "media", is_sent=True))
    share(server.client, ["foreign"], vault.device_id)
    unshare(server.client, [REPOSITORY, MEDIA], vault.device_id)
    assert sharers(server.client, "foreign") == {server.device_id, vault.device_id}
    assert sharers(server.client, MEDIA) == {server.device_id}
    unshare(server.client, ["foreign"], vault.device_id)
    assert server.client.device(vault.device_id) is None
    ensure_device(server.client, KnownDevice(vault.device_id, "vault"))


def test_times_are_read_to_the_nanosecond() -> None:
    """Go's times, with up to nine decimals and any zone, become nanoseconds."""
    assert nanoseconds("1970-01-01T00:00:01.5Z") == 1_500_000_000
    assert nanoseconds("1970-01-01T01:00:00.000000001+01:00") == 1
    assert nanoseconds("1969-12-31T23:59:59Z") == -1_000_000_000
    assert nanoseconds("never") == 0


def test_web_interface_is_shut(peers: Peers) -> None:
    """Without the API key nobody gets in, not even to the web interface, though he can reach the port."""
    for path in ("/rest/system/ping", "/rest/config", "/rest/system/status"):
        answer = httpx.get(f"http://{peers[0].settings.gui}{path}", trust_env=False)
        assert answer.status_code in (401, 403)
    page = httpx.get(f"http://{peers[0].settings.gui}/", trust_env=False)
    if page.status_code == 200:  # from 1.25 on everybody may see the page to log in on, and nothing else
        assert peers[0].device_id not in page.text
    else:
        assert page.status_code in (401, 403)
