"""However many files there are, sealing and restoring them takes little memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.fixtures.sealing import SealingServer, make_sealing_server
from tests.fixtures.server import SigningKey

MOST_BYTES = 250 << 20
PROGRAM_BYTES = 80 << 20
"""What permafrost takes before it does anything; a process of pytest's has far more."""


def _most_bytes(work: Callable[[], object]) -> int:
    """Do the work in a process of its own, and return how much memory that added at most, and the program itself."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts again (proc_pid_clear_refs(5))
            before = _memory_bytes("VmRSS")
            work()
            os.write(writing, str(_memory_bytes("VmHWM") - before).encode())
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the exit code says so
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as answer:
        added = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return int(added) + PROGRAM_BYTES


def _memory_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def _fill(sealing: SealingServer, count: int) -> None:
    for number in range(count):
        folder = sealing.media / f"media_attachments/files/{number // 1000:06}/{number % 1000:03}/original"
        folder.mkdir(parents=True)
        (folder / f"{number:016x}.png").write_bytes(os.urandom(120))


def test_memory_is_bounded(tmp_path: Path, signing_key: SigningKey, is_long: bool) -> None:
    """A first run, a run without changes and a restore of 200,000 files stay below 250 MB each."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    count = 200_000 if is_long else 5_000
    _fill(sealing, count)
    assert _most_bytes(sealing.seal) < MOST_BYTES
    assert _most_bytes(sealing.seal) < MOST_BYTES
    assert _most_bytes(lambda: sealing.restored(tmp_path / "restored")) < MOST_BYTES
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "restored")) == count
