"""The media list of a server: what it names is what Mastodon's rows expect, whole or by what has changed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import psycopg
import pytest
import zstandard

from permafrost.config.models import Media
from permafrost.engines.media_list_folding import can_be_folded
from permafrost.engines.media_list_state import known_head
from permafrost.events import ignore_events
from permafrost.operations.backup import BackupResult, back_up
from permafrost.repository.media_list import (
    INDEX_FILE,
    KEY_LIST,
    MEDIA_LIST,
    ListPart,
    MediaListIndex,
    lines_of,
    masked_path,
    parse_key_row,
    parse_row,
    parse_signed_list,
)
from permafrost.sealed_media.store import prepare_store
from samples.media import expected_files, id_partition
from tests.fixtures.server import MakeServer, Server

HOUR = timedelta(hours=1)


@dataclass
class Listing:
    """A server with media, its clock, and what its list says."""

    server: Server
    connection: psycopg.Connection
    now: datetime
    is_apart: bool = False
    """Whether the list is in the state folder, as one that a vault with sealed media must not get."""

    @property
    def folder(self) -> Path:
        """Where the list is."""
        state = self.server.configuration.state.path
        return (state if self.is_apart else self.server.path) / MEDIA_LIST

    def back_up(self, passed: timedelta = HOUR, **words: bool) -> BackupResult:
        """Make a backup some time later."""
        self.now += passed
        return back_up(self.server.configuration, report=ignore_events, now=self.now, **words)  # type: ignore[arg-type]

    def index(self) -> MediaListIndex:
        """Return the list's index."""
        content = (self.folder / INDEX_FILE).read_bytes()
        return parse_signed_list(content).index(self.server.repository.repository_id)

    def needed(self) -> dict[str, int | None]:
        """Return the masked path and size of each file that the list names."""
        rows: dict[str, dict[str, int | None]] = {}
        for part in self.index().parts:
            packed = (self.folder / part.file_name).read_bytes()
            for line in lines_of(iter([zstandard.ZstdDecompressor().stream_reader(packed).read()])):
                row = parse_row(line)
                rows[row.folder] = {file.path: file.size_bytes for file in row.files}
        assert self.index().rows == sum(bool(files) for files in rows.values())
        return {path: size for files in rows.values() for path, size in files.items()}

    def expected(self) -> dict[str, int | None]:
        """Return the same as the sample's own rules have it."""
        found: dict[str, int | None] = {}
        remote = {
            (table, id_partition(number))
            for table, is_remote in (("accounts", "domain IS NOT NULL"), ("media_attachments", "remote_url <> ''"))
            for (number,) in self.connection.execute(f"SELECT id FROM {table} WHERE {is_remote}")
        }
        for expected in expected_files(self.connection):
            table, *_ = expected.path.parts
            if table == "cache" or (table, "/".join(expected.path.parts[2:-2])) in remote:
                continue  # what is remote lies outside cache/ in old rows
            masked = masked_path(self.server.repository.repository_id, str(expected.path).encode())
            assert masked is not None
            found[masked] = expected.size_bytes if expected.path.parts[-2] == "original" else None
        return found


@pytest.fixture
def make_listing(
    mastodon_database: str, make_server: MakeServer, tmp_path: Path
) -> Iterator[Callable[[Literal["log", "dump"]], Listing]]:
    """A function that returns a sample server after its first backup, by the engine of that name."""
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        yield lambda engine: _listing(make_server(mastodon_database, engine=engine), connection, tmp_path)


@pytest.fixture
def listing(make_listing: Callable[[str], Listing]) -> Listing:
    """A sample server after its first backup by the segment log."""
    return make_listing("log")


def _listing(server: Server, connection: psycopg.Connection, folder: Path) -> Listing:
    (folder / "media").mkdir()
    configuration = server.configuration.model_copy(update={"media": Media(path=folder / "media")})
    made = Listing(replace(server, configuration=configuration), connection, datetime.now(UTC))
    made.back_up()
    return made


@pytest.mark.format("9.1", "9.2", "9.3", "9.4")
@pytest.mark.parametrize("engine", ["log", "dump"])
def test_it_names_what_rows_expect(make_listing: Callable[[str], Listing], engine: str) -> None:
    """Every file of local rows is in it with the size that the database knows, and nothing of remote ones."""
    listing = make_listing(engine)
    needed = listing.needed()
    assert len(needed) > 40
    assert needed == listing.expected()


@pytest.mark.format("9.3")
def test_what_has_changed_is_added(listing: Listing) -> None:
    """New, changed, closed and deleted rows of an hour are one small part; unchanged rows are listed once a day."""
    whole = listing.index().parts
    listing.back_up()
    assert listing.index().parts == whole
    change = listing.connection.execute
    change("UPDATE media_attachments SET file_file_size = 12345 WHERE id = (SELECT max(id) FROM media_attachments)")
    change("UPDATE accounts SET avatar_file_name = NULL WHERE id = (SELECT min(id) FROM accounts WHERE domain IS NULL)")
    change("UPDATE custom_emojis SET image_file_name = 'fedcba9876543210.png' WHERE domain IS NULL")
    change("DELETE FROM media_attachments WHERE id = (SELECT min(id) FROM media_attachments WHERE remote_url = '')")
    listing.back_up()
    assert listing.index().parts[:-1] == whole
    assert listing.needed() == listing.expected()
    listing.back_up(timedelta(hours=23))
    assert len(listing.index().parts) == 1
    assert listing.needed() == listing.expected()


def _change_something(listing: Listing, number: int) -> None:
    change = listing.connection.execute
    change(
        f"UPDATE media_attachments SET file_file_size = {number} WHERE id IN (SELECT id FROM media_attachments"
        f" WHERE remote_url = '' ORDER BY id LIMIT 1 OFFSET {number % 2})".encode()
    )
    change("DELETE FROM custom_emojis WHERE id = (SELECT min(id) FROM custom_emojis WHERE domain IS NULL)")


@pytest.mark.format("9.3")
def test_the_whole_is_folded_from_its_parts(listing: Listing) -> None:
    """Once a day the parts become one that says the same, changes or none; after a week all is read again."""
    state = listing.server.configuration.state.path

    def read_at() -> datetime:
        head = known_head(state, hashlib.sha256((listing.folder / INDEX_FILE).read_bytes()).hexdigest())
        assert head is not None
        return head.whole_at

    first = read_at()
    for number in range(1, 5):
        _change_something(listing, number)
        listing.back_up()
    assert len(listing.index().parts) == 5
    listing.back_up(timedelta(hours=20))
    assert (len(listing.index().parts), read_at(), listing.needed()) == (1, first, listing.expected())
    listing.back_up(timedelta(hours=30))
    assert (len(listing.index().parts), read_at()) == (1, first)
    _change_something(listing, 8)
    listing.back_up()
    _change_something(listing, 9)
    listing.back_up(timedelta(hours=25))
    assert (len(listing.index().parts), read_at(), listing.needed()) == (1, first, listing.expected())
    listing.back_up(timedelta(days=5))
    assert (len(listing.index().parts), read_at() > first, listing.needed()) == (1, True, listing.expected())


@pytest.mark.parametrize("damage", ["other bytes", "no zstd"])
def test_damaged_parts_are_not_folded(listing: Listing, damage: str) -> None:
    """A part that has rotted is no part of the whole: all rows are read again."""
    _change_something(listing, 1)
    listing.back_up()
    victim = listing.folder / listing.index().parts[0].file_name
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:-1] + b"x" if damage == "other bytes" else b"nothing")
    listing.back_up(timedelta(hours=25))
    assert len(listing.index().parts) == 1
    assert listing.needed() == listing.expected()


def test_many_changes_are_not_folded() -> None:
    """What would take much memory is read again instead."""
    first, small, large = (ListPart(name="0" * 64, size_bytes=size) for size in (80 << 20, 10 << 20, 11 << 20))
    assert can_be_folded([first, small])
    assert not can_be_folded([first, large])
    assert can_be_folded([ListPart(name="0" * 64, size_bytes=1), ListPart(name="0" * 64, size_bytes=1 << 20)])


def test_nothing_is_written_while_no_row_with_media_changes(listing: Listing) -> None:
    """A list stays the same signed file while its tables, or their local rows, are as they were."""
    folder = listing.server.path / MEDIA_LIST
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    change = listing.connection.execute
    for statement in (
        "SELECT 1",
        "UPDATE statuses SET updated_at = now()",
        "UPDATE accounts SET updated_at = now() WHERE domain IS NOT NULL",
    ):
        change(statement)
        listing.back_up()
        assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    change("DELETE FROM site_uploads WHERE id = (SELECT min(id) FROM site_uploads)")
    listing.back_up()
    assert listing.needed() == listing.expected()
    change("TRUNCATE custom_emojis CASCADE")
    listing.back_up()
    assert listing.needed() == listing.expected()
    assert len(listing.index().parts) == 3


def test_a_list_that_could_not_be_published_is_made_by_the_next_run(listing: Listing) -> None:
    """The snapshot is made where its list cannot be written, and what the list lacks is added later."""
    told: list[str] = []
    folder = listing.server.path / MEDIA_LIST
    listing.connection.execute("UPDATE custom_emojis SET image_file_name = '0123456789abcdef.png' WHERE domain IS NULL")
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("no folder")
    configuration = listing.server.configuration
    back_up(configuration, report=lambda event: told.append(str(event)), now=listing.now + HOUR)
    assert [text for text in told if "the list of media files stays as it was" in text]
    folder.unlink()
    aside.rename(folder)
    listing.back_up(2 * HOUR)
    assert len(listing.index().parts) == 2
    assert listing.needed() == listing.expected()


def test_names_cannot_be_read(listing: Listing) -> None:
    """Whoever has only the repository learns no file's name, so no address of a picture on the web."""
    names = {expected.path.stem for expected in expected_files(listing.connection)}
    packed = (listing.server.path / MEDIA_LIST / listing.index().parts[0].file_name).read_bytes()
    text = zstandard.ZstdDecompressor().stream_reader(packed).read().decode()
    assert len(names) > 100
    assert not [name for name in names if name in text]


@pytest.mark.format("9.5")
def test_beside_sealed_media_the_list_is_apart(listing: Listing) -> None:
    """Once a vault gets sealed media the repository has no list; it is as good in the state folder, and comes back."""
    store, state = listing.server.configuration.sealed_media_path, listing.server.configuration.state.path
    assert store is not None
    prepare_store(store, listing.server.repository)
    assert list((listing.server.path / MEDIA_LIST).iterdir()) == []
    listing.is_apart = True
    listing.back_up()
    listing.connection.execute("UPDATE custom_emojis SET image_file_name = '0123456789abcdef.png' WHERE domain IS NULL")
    listing.back_up()
    assert len(listing.index().parts) == 2
    assert listing.needed() == listing.expected()
    assert list((listing.server.path / MEDIA_LIST).iterdir()) == []
    shutil.rmtree(store)
    listing.is_apart = False
    listing.back_up()
    assert listing.needed() == listing.expected()
    assert list((state / MEDIA_LIST).iterdir()) == []


@pytest.mark.format("9.5")
def test_a_key_list_names_the_same_files(listing: Listing) -> None:
    """With media in an object store a second list, outside the repository, names what the first one masks."""
    folder = listing.server.configuration.state.path / KEY_LIST
    assert not folder.exists()
    media = Media(public_url="https://files.example/social/")
    listing.server = replace(
        listing.server, configuration=listing.server.configuration.model_copy(update={"media": media})
    )
    repository_id = listing.server.repository.repository_id

    def named() -> dict[str, int | None]:
        index = parse_signed_list((folder / INDEX_FILE).read_bytes()).keys(repository_id)
        assert (index.public_url, index.snapshot) == ("https://files.example/social", listing.index().snapshot)
        assert len(index.parts) == len(listing.index().parts)
        rows: dict[str, dict[str, int | None]] = {}
        for part in index.parts:
            packed = (folder / part.file_name).read_bytes()
            assert hashlib.sha256(packed).hexdigest() == part.name
            for line in lines_of(iter([zstandard.ZstdDecompressor().stream_reader(packed).read()])):
                row = parse_key_row(line)
                rows[row.folder] = {file.path: file.size_bytes for file in row.files}
        return {path: size for files in rows.values() for path, size in files.items()}

    def masked() -> dict[str | None, int | None]:
        return {masked_path(repository_id, path.encode()): size for path, size in named().items()}

    listing.back_up()
    assert len(listing.index().parts) == 1
    assert masked() == listing.expected()
    names = {str(expected.path) for expected in expected_files(listing.connection)}
    assert set(named()) <= names
    listing.connection.execute("UPDATE custom_emojis SET image_file_name = '0123456789abcdef.png' WHERE domain IS NULL")
    listing.connection.execute("DELETE FROM site_uploads WHERE id = (SELECT min(id) FROM site_uploads)")
    listing.back_up()
    assert len(listing.index().parts) == 2
    assert masked() == listing.expected()
    (folder / INDEX_FILE).unlink()
    listing.connection.execute("UPDATE custom_emojis SET updated_at = now()")
    listing.back_up()
    assert len(listing.index().parts) == 1
    assert masked() == listing.expected()
    moved = Media(public_url="https://elsewhere.example")
    listing.server = replace(
        listing.server, configuration=listing.server.configuration.model_copy(update={"media": moved})
    )
    listing.back_up()
    index = parse_signed_list((folder / INDEX_FILE).read_bytes()).keys(repository_id)
    assert index.public_url == "https://elsewhere.example"


def test_a_lost_state_lists_everything(listing: Listing) -> None:
    """Without the state, or with one that is damaged or older than the list, the whole is listed again."""
    state = listing.server.configuration.state.path / "media-list.npz"
    for damage in (state.unlink, lambda: state.write_bytes(b"PK\x03\x04 no archive")):
        listing.connection.execute("UPDATE custom_emojis SET updated_at = now()")
        listing.back_up()
        assert len(listing.index().parts) == 2
        damage()
        listing.back_up()
        assert len(listing.index().parts) == 1
        assert listing.needed() == listing.expected()


def test_without_mastodon_there_is_none(database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """A database without Mastodon's tables is backed up without a list, and so is a server without [media]."""
    for name, media in (("one", Media(path=tmp_path)), ("two", None)):
        server = make_server(database, name=name)
        configuration = server.configuration.model_copy(update={"media": media})
        back_up(configuration, report=ignore_events, now=datetime.now(UTC))
        assert not (server.path / MEDIA_LIST).exists()


def test_a_list_that_cannot_be_made_stops_no_backup(listing: Listing) -> None:
    """Where the rows cannot be listed the list stays as it was, with a warning, and the snapshot is made."""
    listing.connection.execute("ALTER TABLE custom_emojis ALTER COLUMN image_file_name TYPE bytea USING NULL")
    told: list[str] = []
    before = listing.index()
    result = back_up(listing.server.configuration, report=lambda event: told.append(str(event)), now=listing.now + HOUR)
    assert (listing.server.path / "snapshots" / str(result.snapshot)).is_dir()
    assert listing.index() == before
    assert [text for text in told if "the list of media files stays as it was" in text]
