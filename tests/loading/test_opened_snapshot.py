"""An opened snapshot's objects come as streams, and how the programs end is judged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from permafrost.errors import IntegrityError, KeyFileError, ToolError
from permafrost.events import ignore_events
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.source import Source, opened
from permafrost.openpgp.sealing import OpeningKey
from permafrost.processes.program import Program, ProgramFailedError
from tests.fixtures.backups import make_backup
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.server import MakeServer, Server

ROWS = 200_000  # more than the pipes between the programs hold


@pytest.fixture
def server(make_server: MakeServer, database: str) -> Server:
    """A server with a snapshot whose frame holds a table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE big AS SELECT i, md5(i::text) FROM generate_series(1, {ROWS}) i")
    server = make_server(database, engine="dump")
    make_backup(server)
    return server


@pytest.fixture
def snapshot(server: Server) -> Iterator[OpenedSnapshot]:
    """Its snapshot, opened."""
    with opened(Source(server.path, OpeningKey(server.passphrase_file)), ignore_events) as repository:
        yield repository.read(None, datetime.now(UTC), ignore_events)


def test_frame_comes_whole(snapshot: OpenedSnapshot) -> None:
    """The frame is a pg_dump archive with every row in it."""
    with snapshot.unsealed_frame() as pipeline:
        archive = b"".join(pipeline.chunks())
    assert archive.startswith(b"PGDMP")
    assert archive.count(b"\n") >= ROWS


def test_programs_before_a_short_reader_do_not_matter(snapshot: OpenedSnapshot) -> None:
    """A program that reads the head alone and ends well is enough, unless it was to read everything."""
    head = Program(("head", "-c", "5"))
    with snapshot.unsealed_frame(head, reads_all=False) as pipeline:
        assert b"".join(pipeline.chunks()) == b"PGDMP"
    with pytest.raises(ToolError, match=r"gpg|zstd"), snapshot.unsealed_frame(head) as pipeline:
        assert b"".join(pipeline.chunks()) == b"PGDMP"


@pytest.mark.parametrize("reads_all", [True, False])
def test_a_failed_program_is_an_error(snapshot: OpenedSnapshot, reads_all: bool) -> None:
    """A program that fails at the end of the chain is told after the block, whatever it read."""
    with (
        pytest.raises(ProgramFailedError, match="false"),
        snapshot.unsealed_frame(Program(("false",)), reads_all=reads_all) as pipeline,
    ):
        assert b"".join(pipeline.chunks()) == b""


def test_another_passphrase(server: Server, snapshot: OpenedSnapshot) -> None:
    """An object that the key does not open is a wrong key, not damage."""
    server.passphrase_file.chmod(0o600)
    server.passphrase_file.write_text("another\n")
    with pytest.raises(KeyFileError), snapshot.unsealed_frame() as pipeline:
        list(pipeline.chunks())


def test_damage_is_found_before_anything_is_opened(server: Server, snapshot: OpenedSnapshot) -> None:
    """Bytes that are not what the object's name says are never handed to gpg."""
    stored = snapshot.stored(snapshot.frame_index)
    flip_a_bit(server.repository.layout.object(stored.name), 400)
    with pytest.raises(IntegrityError, match=stored.name), snapshot.unsealed_frame():
        pytest.fail("it was opened")
