"""A run that seals media is killed at very many points, and resumed: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.fixtures.sealing import SealingServer, files_of, make_sealing_server
from tests.fixtures.server import SigningKey

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.chmod", "subprocess.Popen", "sqlite3.connect")


def _killed_at(sealing: SealingServer, step: int) -> bool:
    """Seal in a process that is killed just before it changes something for that time; return whether it was."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            is_written = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & os.O_WRONLY)
            if event in _CHANGES or is_written:
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            sealing.seal()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the exit code says so
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0


@pytest.mark.parametrize("kind", ["first", "later"])
def test_killed_at_every_change(tmp_path: Path, signing_key: SigningKey, kind: str) -> None:
    """Each run is killed one change later than the one before it, until one is done; what there is then is right."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    for number in range(8):
        sealing.write(number)
    sealing.write(8, 9 << 20)
    if kind == "later":
        sealing.seal()
        for number in (1, 20, 21):
            sealing.write(number, 70_000)
        (sealing.media / sealing.write(0)).unlink()
    kills, step = 0, 1
    while _killed_at(sealing, step):
        kills += 1
        step += 1
        if kind == "later" and kills == 8:
            sealing.write(22, 80_000)
    assert kills >= 15
    result = sealing.seal()
    assert result.sealed == 0
    assert sealing.restored(tmp_path / "restored").not_copied == 0
    assert files_of(tmp_path / "restored") == files_of(sealing.media)
    assert len(sealing.objects()) == sealing.known_objects()
    contents = {content for content, _, _ in files_of(sealing.media).values()}
    if kind == "first":
        assert sealing.sealed_bytes() == sum(map(len, contents))
    assert not list(sealing.store.layout.temporary.iterdir())
