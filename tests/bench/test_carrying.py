from __future__ import annotations

from pathlib import Path

import pytest

from bench.carrying import carrying
from bench.loopback import Traffic
from bench.programs import BenchError
from bench.results import After
from tests.fixtures.syncthing import Peer, wait_for


def test_what_really_leaves_is_counted(tmp_path: Path) -> None:
    """Each time the other side ends up with the same files, and about as many bytes left as are new to it."""
    stored = {name: tmp_path / name for name in ("one", "two")}
    for folder in stored.values():
        folder.mkdir()
        (folder / "big").write_bytes(b"x" * 1_000_000)
    said: list[str] = []
    with carrying(tmp_path / "carried", stored, said.append) as carrier:

        def carry(name: str, after: After) -> None:
            carrier.carry(name, after)
            copy = tmp_path / "carried/received" / f"bench-{list(stored).index(name)}"
            assert contents(copy) == contents(stored[name])

        (stored["one"] / "small").write_bytes(b"x" * 1_000)
        carry("one", "first")
        (stored["one"] / "new").write_bytes(b"y" * 500_000)
        (stored["one"] / "big").unlink()
        carry("one", "hour")
        (stored["two"] / "big").write_bytes(b"z" * 2_000_000)
        carry("two", "hour")
        carry("two", "unchanged")
    one, two = carrier.measured()
    assert (one.name, [run.after for run in one.runs]) == ("one", ["first", "hour"])
    assert 1_000 < one.runs[0].sent_bytes < 10_000
    assert 500_000 < one.runs[1].sent_bytes < 520_000
    assert 2_000_000 < two.runs[0].sent_bytes < 2_050_000
    assert two.runs[1].sent_bytes < 1_000
    assert len(said) == 4


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds, without Syncthing's own."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


def test_a_new_connection_is_no_silent_loss(peers: tuple[Peer, Peer]) -> None:
    """When the two dial anew, what the old connection had sent is not guessed."""
    here, there = peers
    traffic = Traffic(here.client, there.device_id)
    assert traffic.sent() < 1_000
    there.client.change_device(here.device_id, {"paused": True})
    wait_for(lambda: not here.client.connections()[there.device_id].connected, "the connection ends")
    there.client.change_device(here.device_id, {"paused": False})
    wait_for(lambda: here.client.connections()[there.device_id].connected, "another connection")
    with pytest.raises(BenchError, match="dialled anew"):
        traffic.sent()
    assert traffic.sent() < 1_000
