"""A vault that is killed while it fetches: nothing is lost, and what has come is not fetched again."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from permafrost.events import ignore_events
from permafrost.repository.repository import Repository
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.cdn import Cdn
from tests.fixtures.server import SigningKey
from tests.fixtures.stored_media import StoredMedia, make_stored_media

FILES = 400
AT_ONCE = 4


def _killed_while_it_fetches(stored: StoredMedia, asked: int) -> None:
    """Let a process of its own keep the vault, and kill it once the store was asked that often."""
    child = os.fork()
    if child == 0:
        try:
            with Keeper(stored.stage.vault, None, ignore_events, moment=stored.stage.clock.read) as keeper:
                while True:
                    keeper.turn()
        finally:
            os._exit(1)
    deadline = time.monotonic() + 60
    while len(stored.cdn.asked) < asked:
        assert time.monotonic() < deadline, "the store is not asked"
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_kills_lose_nothing_and_repeat_little(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, cdn: Cdn
) -> None:
    """After kills at any moment all files come, equal; only what was under way at a kill is asked for once more."""
    stored = make_stored_media(tmp_path / "vault", repository, signing_key, cdn)
    for number in range(1, FILES + 1):
        path = f"media_attachments/files/000/{number // 1000:03}/{number % 1000:03}/original/{number:016x}.png"
        cdn.files[path] = b"\x89PNG" + f"{number} ".encode() * 100
    stored.publish_files({path: len(content) for path, content in cdn.files.items()})
    chance, kills = random.Random(1), 5
    for _ in range(kills):
        _killed_while_it_fetches(stored, len(cdn.asked) + chance.randrange(1, 60))
    stored.keep(within_s=120)
    assert stored.held() == cdn.files
    counts = cdn.counts()
    assert counts.keys() == cdn.files.keys()
    assert sum(counts.values()) <= FILES + kills * AT_ONCE
    assert list(stored.stage.vault.unfinished_media(stored.stage.server).iterdir()) == []
    versions = stored.versions()
    assert len(versions) == len(set(versions)) == FILES
