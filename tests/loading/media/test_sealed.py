"""restore --media-to from sealed media: a server with a real database seals, a vault keeps, and all comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Configuration, Media
from permafrost.errors import IntegrityError
from permafrost.events import ignore_events
from permafrost.loading.media.laying_out import MediaRequest
from permafrost.loading.preflight import Target
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import back_up
from permafrost.operations.restore import RestoreRequest, RestoreResult, restore
from permafrost.operations.vault.seal_media import seal_media
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import SnapshotId
from permafrost.repository.media_list import INDEX_FILE, MEDIA_LIST
from permafrost.sealed_media.store import prepare_store
from permafrost.vault.invitation import OfferedFolder
from samples.media import id_partition, write_media
from tests.fixtures.backups import drop
from tests.fixtures.delivery import Stage, make_stage, put_as_syncthing_does
from tests.fixtures.restores import NAME, databases
from tests.fixtures.sealing import files_of
from tests.fixtures.server import MakeServer, SigningKey

HOUR = timedelta(hours=1)


class Sealed:
    """A server with media, and a vault that gets them sealed."""

    def __init__(self, configuration: Configuration, passphrase_file: Path, stage: Stage) -> None:
        self.configuration, self.passphrase_file, self.stage = configuration, passphrase_file, stage
        assert configuration.media is not None
        assert configuration.media.path is not None
        assert configuration.sealed_media_path is not None
        self.media, self.store = configuration.media.path, configuration.sealed_media_path

    def an_avatar(self) -> str:
        """Return the path of a local account's avatar that everyone may read."""
        with psycopg.connect(self.configuration.database.url) as connection:
            row_id, name = connection.execute(
                "SELECT id, avatar_file_name FROM accounts WHERE domain IS NULL AND avatar_file_name <> ''"
                " AND suspended_at IS NULL ORDER BY id LIMIT 1"
            ).fetchall()[0]
        return f"accounts/avatars/{id_partition(row_id)}/original/{name}"

    def keep(self) -> SnapshotId:
        """Make a snapshot, seal the media, and let the vault keep both an hour later."""
        now = self.stage.clock.wall
        snapshot = back_up(self.configuration, report=ignore_events, now=now).snapshot
        seal_media(self.configuration, report=ignore_events, now=now)
        received = self.stage.vault.media(self.stage.server)
        assert received is not None
        (received / ".stfolder").mkdir(parents=True, exist_ok=True)
        for file in self.store.rglob("*"):
            place = received / file.relative_to(self.store)
            is_sent = file.is_file() and file.name != "lock"
            if is_sent and not (place.exists() and place.read_bytes() == file.read_bytes()):
                put_as_syncthing_does(file, place)
        self.stage.deliver()
        self.stage.clock.pass_time(HOUR)
        self.stage.keep()
        return snapshot

    def restore(self, target: Path, snapshot: SnapshotId, source: Path | None = None) -> RestoreResult:
        """Restore from the vault's history."""
        request = RestoreRequest(
            Source(self.stage.history, OpeningKey(self.passphrase_file), None),
            snapshot,
            Target(f"{NAME}_{target.name[:6]}", replaces=False, with_owners=True),
            server=conninfo_for(self.configuration.database.url, dbname="postgres"),
            media=MediaRequest(target, source),
        )
        return restore(request, report=ignore_events, now=datetime.now(UTC))


@pytest.fixture
def sealed(
    mastodon_database: str, make_server: MakeServer, signing_key: SigningKey, tmp_path: Path
) -> Iterator[Sealed]:
    """A server whose vault has nothing yet."""
    server = make_server(mastodon_database)
    configuration = server.configuration.model_copy(update={"media": Media(path=tmp_path / "system")})
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        write_media(connection, tmp_path / "system")
    stage = make_stage(tmp_path / "vault", server.repository, signing_key)
    known = stage.server
    folders = (*known.folders[:1], OfferedFolder(folder_id=f"{known.folders[0].folder_id}-sealed", kind="sealed-media"))
    settings = stage.vault.settings.model_copy(update={"servers": (known.model_copy(update={"folders": folders}),)})
    stage = replace(stage, vault=stage.vault.model_copy(update={"settings": settings}))
    yield Sealed(configuration, server.passphrase_file, stage)
    for name in databases(mastodon_database):
        if name.startswith(NAME):
            drop(mastodon_database, name)


def test_media_of_the_moment(sealed: Sealed, tmp_path: Path) -> None:
    """What the vault has is restored as of each snapshot, closed as the rows say; the repository has no media list."""
    listed = sealed.configuration.repository.path / MEDIA_LIST / INDEX_FILE
    back_up(sealed.configuration, report=ignore_events, now=sealed.stage.clock.wall)
    assert listed.exists()
    repository = sealed.stage.sender.repository
    prepare_store(sealed.store, repository)
    assert not listed.exists()
    sealed.stage.clock.pass_time(HOUR)
    first = sealed.keep()
    assert not listed.exists()
    assert (sealed.configuration.state.path / MEDIA_LIST / INDEX_FILE).exists()
    before = {name: found[0] for name, found in files_of(sealed.media).items() if not name.startswith("cache/")}
    closed = {name for name in before if (sealed.media / name).stat().st_mode & 0o777 == 0o600}
    assert closed
    victim = sealed.an_avatar()
    (sealed.media / victim).unlink()
    second = sealed.keep()

    result = sealed.restore(tmp_path / "first", first)
    assert result.media is not None
    assert (result.media.missing, result.media.not_copied, result.media.files) == (0, 0, len(before))
    assert {name: found[0] for name, found in files_of(tmp_path / "first").items()} == before
    modes = {name: (tmp_path / "first" / name).stat().st_mode & 0o777 for name in before}
    assert {name for name, mode in modes.items() if mode == 0o600} == closed
    result = sealed.restore(tmp_path / "second", second)
    assert result.media is not None
    assert (result.media.missing, result.media.files, result.media.first_missing) == (1, len(before) - 1, [victim])

    copy = tmp_path / "copy"
    shutil.copytree(sealed.stage.history / "media", copy)
    index = copy / "sealed-media.json"
    index.chmod(0o644)
    index.write_bytes(index.read_bytes().replace(b'rows\\":', b'rows\\": '))
    with pytest.raises(IntegrityError, match="was not signed by this server"):
        sealed.restore(tmp_path / "third", second, copy)
    assert "media-incomplete" not in sealed.stage.findings()
