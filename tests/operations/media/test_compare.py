"""A server's own media, in a folder and in a real object store, compared with its real database."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.buckets.address import BucketAddress
from permafrost.config.models import Configuration, Media, Secrets
from permafrost.errors import BucketRefusedError, ConfigurationError, PermafrostError, UsageError
from permafrost.events import Event, StepStarted, ignore_events
from permafrost.findings import FindingKind
from permafrost.mastodon.media_census import Comparison
from permafrost.operations.media.compare import compare_media
from permafrost.operations.media.push import MediaPushRequest, push_media
from permafrost.runs import MEDIA_COMPARED, RunRecords
from permafrost.service.media_comparison import ComparisonDue
from permafrost.status.document import status
from permafrost.status.overview import server_overview
from permafrost.web.metrics import metrics_text
from permafrost.web.page import render_page
from samples.media import expected_files, write_media
from tests.fixtures.commands import command
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import MakeServer, Server

LATER = timedelta(days=2)
"""What was written now is no longer recent then."""
PLACES = ("media_attachments", "accounts", "custom_emojis", "site_uploads")
ORPHAN = "media_attachments/files/117/000/000/000/000/001/original/00112233445566aa.png"
OF_ORPHAN = ORPHAN.replace("original", "small")
STRAY = "accounts/.DS_Store"
CACHED = "cache/media_attachments/files/117/000/000/000/000/001/original/00112233445566aa.png"


@dataclass
class Place:
    """Media of a server, equal to its rows at first; files are added and removed by path."""

    server: Server
    connection: psycopg.Connection
    add: Callable[[str, int], object]
    remove: Callable[[str], object]

    @property
    def configuration(self) -> Configuration:
        """The server's."""
        return self.server.configuration

    def local_files(self) -> list[str]:
        """Return the files that local rows need, in order."""
        remote = "SELECT id FROM media_attachments WHERE remote_url <> ''"
        unlike = {str(number) for (number,) in self.connection.execute(remote)}
        files = [one.path for one in expected_files(self.connection) if one.path.parts[0] == "media_attachments"]
        return sorted(str(path) for path in files if "".join(path.parts[2:-2]) not in unlike)

    def compare(self, report: Callable[[Event], None] = ignore_events) -> Comparison:
        """Compare later, when nothing is recent any more."""
        return compare_media(self.configuration, report=report, now=datetime.now(UTC) + LATER).found


@pytest.fixture(params=["folder", "store"])
def place(
    request: pytest.FixtureRequest, mastodon_database: str, make_server: MakeServer, tmp_path: Path
) -> Iterator[Place]:
    """A sample server with its media in a folder, or in a real bucket beside other things."""
    folder, server = tmp_path / "media", make_server(mastodon_database)
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        write_media(connection, folder)
        if request.param == "folder":
            configuration = server.configuration.model_copy(update={"media": Media(path=folder)})
            yield Place(
                replace(server, configuration=configuration),
                connection,
                lambda path, size: _written(folder / path, size),
                lambda path: (folder / path).unlink(),
            )
        else:
            yield _in_bucket(server, connection, folder, request.getfixturevalue("object_store"))


def _written(file: Path, size: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)


def _in_bucket(server: Server, connection: psycopg.Connection, folder: Path, store: ObjectStore) -> Place:
    bucket, key = store.new_bucket(is_locked=False), store.admin.write(folder.parent / "admin-key")
    push_media(MediaPushRequest(folder, BucketAddress(bucket, "social", store.endpoint), key, ""), ignore_events)
    client = store.client()
    client.put_object(Bucket=bucket, Key="other/accounts/elsewhere.png", Body=b"1")
    client.put_object(Bucket=bucket, Key="social/accounts/", Body=b"")
    environment = folder.parent / "live" / ".env.production"
    environment.parent.mkdir()
    environment.write_text(
        f"S3_ENABLED=true\nS3_BUCKET={bucket}\nS3_ENDPOINT={store.endpoint}\nS3_KEY_PREFIX=social\n"
        f"AWS_ACCESS_KEY_ID={store.reader.access_key}\nAWS_SECRET_ACCESS_KEY={store.reader.secret_key}\n"
    )
    media = Media(public_url="https://files.example")
    settings = {"media": media, "secrets": Secrets(files=(environment,))}
    return Place(
        replace(server, configuration=server.configuration.model_copy(update=settings)),
        connection,
        lambda path, size: client.put_object(Bucket=bucket, Key=f"social/{path}", Body=b"x" * size),
        lambda path: client.delete_object(Bucket=bucket, Key=f"social/{path}"),
    )


def test_missing_files_orphans_and_strays_are_counted(place: Place) -> None:
    """Files that rows name and that are gone have their paths; others are numbers, and cache/ is not looked at."""
    whole = place.compare()
    assert (whole.missing, whole.orphans.files, whole.strays.files) == (0, 0, 0)
    assert 40 < whole.needed <= whole.held.files
    gone = place.local_files()[:2]
    for path in gone:
        place.remove(path)
    for path, size in ((ORPHAN, 1000), (OF_ORPHAN, 10), (STRAY, 7), (CACHED, 5)):
        place.add(path, size)
    found = place.compare()
    assert (found.missing, list(found.candidates)) == (2, gone)
    assert (found.orphans.files, found.orphans.size_bytes) == (2, 1010)
    assert (found.strays.files, found.strays.size_bytes) == (1, 7)
    assert (found.needed, found.held.files) == (whole.needed, whole.held.files)


def test_what_is_uploaded_now_is_no_orphan(place: Place) -> None:
    """A file of the last 24 hours is none, as its row may not be committed yet."""
    place.add(ORPHAN, 1000)
    found = compare_media(place.configuration, report=ignore_events, now=datetime.now(UTC)).found
    assert (found.missing, found.orphans.files) == (0, 0)


def test_what_changes_during_a_comparison_is_not_missing(place: Place) -> None:
    """A file that is uploaded after the listing is found by a second look, and so is that a row has gone."""
    late, deleted, gone = place.local_files()[0], place.local_files()[-1], place.local_files()[2]
    number = int("".join(deleted.split("/")[2:-2]))
    for path in (late, deleted, gone):
        place.remove(path)

    def meanwhile(event: Event) -> None:
        if isinstance(event, StepStarted) and event.number == 2:
            place.add(late, 100)
        if isinstance(event, StepStarted) and event.number == 3:
            place.connection.execute(
                "DELETE FROM media_attachments WHERE id / 1000 * 1000 = %s / 1000 * 1000", (number,)
            )

    found = place.compare(meanwhile)
    assert (found.missing, found.candidates) == (1, (gone,))


def test_rows_in_other_shapes_name_files_too(place: Place) -> None:
    """A small copy of another type belongs to its row; so does a file that is processed, and an old remote one."""
    first = place.local_files()[0]
    place.add(str(Path(first).with_suffix(".avif")).replace("original", "small"), 10)
    before = place.compare()
    place.connection.execute("UPDATE media_attachments SET processing = 1 WHERE remote_url = ''")
    place.connection.execute(
        "UPDATE accounts SET domain = 'remote.example', avatar_storage_schema_version = NULL,"
        " header_storage_schema_version = 0 WHERE domain IS NULL"
    )
    after = place.compare()
    assert before.orphans.files == after.orphans.files == 0
    assert after.needed < before.needed
    place.connection.execute("UPDATE accounts SET avatar_storage_schema_version = 1, header_storage_schema_version = 1")
    assert place.compare().orphans.files > 0


def test_it_shows_in_status(place: Place) -> None:
    """What is missing is a finding; orphans are a number in status, on the page's document and in the metrics."""
    now = datetime.now(UTC)
    assert status(place.configuration, now).media is None
    place.add(ORPHAN, 1000)
    place.compare()
    found = status(place.configuration, now)
    assert FindingKind.MEDIA_LACKING not in {one.kind for one in found.findings}
    overview = server_overview(place.configuration, now)
    assert "permafrost_media_orphan_bytes 1000\n" in metrics_text(overview)
    assert "files that the database needs; 1 of no row (" in render_page(overview)
    place.remove(place.local_files()[0])
    place.compare()
    (finding,) = [one for one in status(place.configuration, now).findings if one.kind is FindingKind.MEDIA_LACKING]
    assert place.local_files()[0] in finding.message
    document = status(place.configuration, now).document()
    assert document.media is not None
    assert document.media.comparison is not None
    assert (document.media.comparison.missing, document.media.comparison.orphans, document.media.error) == (1, 1, None)


def test_the_command(place: Place) -> None:
    """It prints what it found and some paths, with exit code 3 if files are missing."""
    file = place.server.write_configuration()
    media = place.configuration.media
    assert media is not None
    place_text = f'path = "{media.path}"' if media.path else f'public_url = "{media.public_url}"'
    with file.open("a") as writing:
        writing.write(f"[media]\n{place_text}\n")
    done = command("media", "compare", "--config", str(file))
    assert (done.returncode, "files that the database needs" in done.stdout) == (0, True), done.stderr
    gone = place.local_files()[0]
    place.remove(gone)
    done = command("media", "compare", "--config", str(file))
    assert (done.returncode, f"missing: {gone}" in done.stdout) == (3, True), done.stderr
    shown = command("status", "--config", str(file))
    assert "media, compared" in shown.stdout


def test_a_key_that_may_not_list(mastodon_database: str, make_server: MakeServer, object_store: ObjectStore) -> None:
    """The error says so, is recorded, and is shown in status; no key, no bucket and no media are errors too."""
    server = make_server(mastodon_database)
    folder = server.passphrase_file.parent
    key = object_store.stranger.write(folder / "stranger")
    bucket = object_store.new_bucket(is_locked=False)
    url = "https://files.example"
    wanted: tuple[tuple[Media | None, type[PermafrostError], str], ...] = (
        (None, UsageError, "no media"),
        (Media(public_url=url), ConfigurationError, "which bucket"),
        (Media(public_url=url, bucket=bucket, endpoint=object_store.endpoint), ConfigurationError, "with which key"),
        (Media(path=folder / "nowhere"), ConfigurationError, "does not exist"),
        (
            Media(public_url=url, bucket=bucket, endpoint=object_store.endpoint, credentials_file=key),
            BucketRefusedError,
            "listing",
        ),
    )
    for media, error, words in wanted:
        configuration = server.configuration.model_copy(update={"media": media})
        with pytest.raises(error, match=words):
            compare_media(configuration, report=ignore_events, now=datetime.now(UTC))
    known = status(configuration, datetime.now(UTC)).media
    assert known is not None
    assert (known.comparison, "listing" in (known.error or "")) == (None, True)


def test_media_that_cannot_be_read_are_no_missing_files(
    mastodon_database: str, make_server: MakeServer, tmp_path: Path
) -> None:
    """A folder without permission is an error, and does not make its files seem to be gone."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "accounts/avatars").mkdir(parents=True)
    (tmp_path / "accounts/avatars").chmod(0)
    server = make_server(mastodon_database)
    configuration = server.configuration.model_copy(update={"media": Media(path=tmp_path)})
    with pytest.raises(ConfigurationError, match="cannot read"):
        compare_media(configuration, report=ignore_events, now=datetime.now(UTC))


def test_when_it_is_due(make_server: MakeServer, tmp_path: Path) -> None:
    """A day after the records begin, then every 30 days; a failed one again after a day, and never with 0."""
    server, begun = make_server("postgresql:///nowhere"), datetime(2026, 1, 1, tzinfo=UTC)
    records = RunRecords(server.configuration.state.path)

    def is_due(passed: timedelta, compare_days: int = 30) -> bool:
        media = Media(path=tmp_path, compare_days=compare_days)
        return ComparisonDue(server.configuration.model_copy(update={"media": media})).is_due(begun + passed)

    def ended(passed: timedelta, outcome: str) -> None:
        records.end(records.begin(MEDIA_COMPARED, begun + passed), begun + passed, outcome, details={})

    day = timedelta(days=1)
    assert not is_due(2 * day)
    records.end(records.begin("backup", begun), begun, "done", details={})
    assert [is_due(0.9 * day), is_due(1.1 * day), is_due(1.1 * day, 0)] == [False, True, False]
    ended(1.1 * day, "failed")
    assert [is_due(2 * day), is_due(2.2 * day)] == [False, True]
    ended(2.2 * day, "done")
    assert [is_due(32 * day), is_due(32.3 * day), is_due(9 * day, 7)] == [False, True, False]
    assert is_due(10 * day, 7)
