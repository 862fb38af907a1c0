"""Whatever happens to a file of the state folder: the next backup succeeds, and what it stores restores equal."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from permafrost.events import Event, Warned, ignore_events
from permafrost.operations.backup import back_up
from permafrost.operations.refresh_status import refresh_status
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.distrust import distrust
from permafrost.runs import DRILL, RunRecords
from permafrost.status.document import status
from permafrost.vault.admission import InvitationStore
from permafrost.vault.invitation import Invitation
from permafrost.vault.receipt_files import RECEIPT_FILE
from tests.fixtures.backups import contents_of, drop, make_restore
from tests.fixtures.server import MakeServer, Server
from tests.fixtures.written_receipt import write_receipt

PAGE = 4096
SMALL_ENOUGH_TO_FLIP_EVERYWHERE = 24


def inserted(content: bytes, at: random.Random) -> bytes:
    """Return the content with one byte more."""
    place = at.randrange(len(content) + 1)
    return content[:place] + bytes([at.randrange(256)]) + content[place:]


def junk_page(content: bytes, at: random.Random) -> bytes:
    """Return the content with a page of noise."""
    place = at.randrange(max(1, len(content) // PAGE)) * PAGE
    return content[:place] + at.randbytes(PAGE) + content[place + PAGE :]


def flipped(content: bytes, at: random.Random) -> bytes:
    """Return the content with some bits flipped."""
    changed = bytearray(content)
    for _ in range(3):
        changed[at.randrange(len(changed))] ^= 1 << at.randrange(8)
    return bytes(changed)


def cut(content: bytes, at: random.Random) -> bytes:
    """Return the beginning of the content."""
    return content[: at.randrange(len(content) or 1)]


def noise(content: bytes, at: random.Random) -> bytes:
    """Return as much noise as there was content."""
    return at.randbytes(len(content) + 1)


def put(change: Callable[[bytes, random.Random], bytes]) -> Callable[[Path, random.Random], None]:
    """Return the damage that changes a file's content."""

    def damage(file: Path, at: random.Random) -> None:
        file.write_bytes(change(file.read_bytes(), at))

    return damage


def instead(make: Callable[[Path], object]) -> Callable[[Path, random.Random], None]:
    """Return the damage that puts something else in a file's place."""

    def damage(file: Path, at: random.Random) -> None:
        del at
        file.unlink()
        make(file)

    return damage


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "empty": put(lambda _content, _at: b""),
    "cut": put(cut),
    "noise": put(noise),
    "a byte more": put(inserted),
    "a junk page": put(junk_page),
    "flipped bits": put(flipped),
    "flipped bits again": put(flipped),
    "a folder in its place": instead(lambda file: (file / "inside").mkdir(parents=True)),
    "a pipe in its place": instead(os.mkfifo),
    "a link in its place": instead(lambda file: file.symlink_to("/dev/zero")),
    "gone": instead(lambda _file: None),
}


@pytest.fixture
def server(database: str, make_server: MakeServer, invitation: Invitation) -> Server:
    """A server whose state folder holds each kind of file that it can hold."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE big (id bigint PRIMARY KEY, text text)")
        connection.execute("INSERT INTO big SELECT i, md5(i::text) || repeat('x', 200) FROM generate_series(1, 9000) i")
        connection.execute("CREATE TABLE small (id serial PRIMARY KEY, note text)")
        connection.execute("INSERT INTO small (note) SELECT 'note ' || i FROM generate_series(1, 30) i")
    made = make_server(database, engine="log")
    state = made.configuration.state.path
    for _ in range(2):
        back_up(made.configuration, report=ignore_events, now=datetime.now(UTC))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("UPDATE big SET text = 'changed ' || id WHERE id % 97 = 0")
    with RunRecords(state).recorded(DRILL, datetime.now(UTC)):
        pass
    InvitationStore(state / "invitations").add(invitation)
    write_receipt(made)
    refresh_status(made.configuration, ignore_events, datetime.now(UTC))
    distrust(state, "a test asks for it")
    return made


def test_every_file_and_every_damage(server: Server, database: str, tmp_path: Path, *, is_long: bool) -> None:
    """Every file is damaged in every way; each backup is made, status is read, and every damaged log restores equal.

    Where time is short, each file but the log is damaged in every third way, by turns.
    """
    state = server.configuration.state.path
    sound = tmp_path / "sound"
    shutil.copytree(state, sound)
    files = sorted(file.relative_to(sound) for file in sound.rglob("*") if file.is_file())
    kinds = {"segments.sqlite", "runs.sqlite", "findings.sqlite", "status.json", "start-anew"}
    assert kinds | {"attic.json", RECEIPT_FILE, "attic.vault-key", "attic.newest-receipt"} <= {
        one.name for one in files
    }
    seed = int(os.environ.get("PERMAFROST_SEED", "20261126"))
    for turn, file in enumerate(files):
        for number, (name, damage) in enumerate(DAMAGES.items()):
            if (turn + number) % 3 and not is_long and file.name != "segments.sqlite":
                continue
            shutil.rmtree(state)
            shutil.copytree(sound, state)
            if file.name != "start-anew":
                (state / "start-anew").unlink()  # or everything would be read again for that reason alone
            at = random.Random(f"{seed} {file} {name}")
            damage(state / file, at)
            told: list[Event] = []
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("UPDATE big SET text = text || '.' WHERE id % 1009 = 0")
            back_up(server.configuration, report=told.append, now=datetime.now(UTC))
            found = status(server.configuration, datetime.now(UTC))
            assert found.newest_age_s is not None, (file, name)
            warnings = [event.message for event in told if isinstance(event, Warned)]
            if file.name == "segments.sqlite":
                assert_restores(server, database, f"{file} {name}: {warnings}")
                if name in ("noise", "a folder in its place", "a pipe in its place", "a link in its place"):
                    assert any("starts again" in warning for warning in warnings), name
                    assert "state-damaged" in {finding.code for finding in found.findings}, name


def assert_restores(server: Server, database: str, what: str) -> None:
    """The newest snapshot restores to what the database holds now."""
    name = f"damaged_{hashlib.sha256(what.encode()).hexdigest()[:8]}"
    try:
        make_restore(server, name)
        assert contents_of(conninfo_for(database, dbname=name)) == contents_of(database), what
    finally:
        drop(database, name)


def test_a_flip_anywhere_in_the_segments(server: Server, database: str) -> None:
    """Wherever a bit flips in the file that says which rows are stored, no row is missed, and none is back."""
    state = server.configuration.state.path
    (state / "start-anew").unlink()
    file = state / "segments.sqlite"
    at = random.Random(20261126)
    for number in range(SMALL_ENOUGH_TO_FLIP_EVERYWHERE):
        if not file.exists():  # thrown away when it was written, after the snapshot was published
            back_up(server.configuration, report=ignore_events, now=datetime.now(UTC))
        content = bytearray(file.read_bytes())
        content[len(content) * number // SMALL_ENOUGH_TO_FLIP_EVERYWHERE + at.randrange(64)] ^= 1 << at.randrange(8)
        file.write_bytes(content)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"UPDATE big SET text = text || '+' WHERE id % 1013 = {number}")
            connection.execute(f"DELETE FROM big WHERE id = {9000 - number}")
        back_up(server.configuration, report=ignore_events, now=datetime.now(UTC))
        assert_restores(server, database, f"flip {number}")
