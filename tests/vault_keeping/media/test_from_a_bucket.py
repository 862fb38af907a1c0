"""Media of a Mastodon in a real object store: its list travels, and the vault fetches exactly what that names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Media
from permafrost.events import ignore_events
from permafrost.operations.backup import back_up
from permafrost.repository.repository import Repository
from permafrost.sharing.server_side import media_keys_folder_id
from permafrost.vault.fetching_settings import Fetching
from permafrost.vault.media.balance import noted_balance
from permafrost.vault_keeping.keeper import Keeper
from samples.media import write_media
from samples.object_store import OPEN_BUCKET
from tests.fixtures.carried import share, turn_until
from tests.fixtures.cdn import Cdn
from tests.fixtures.delivery import Clock
from tests.fixtures.seaweedfs import ObjectStore
from tests.fixtures.server import MakeServer, SigningKey
from tests.fixtures.stored_media import make_stored_media
from tests.fixtures.syncthing import Peer, peers

__all__ = ["peers"]
PREFIX = "mastodon"


def _filled(store: ObjectStore, folder: Path) -> None:
    """Put every file below the folder into the open bucket."""
    client = store.client()
    client.create_bucket(Bucket=OPEN_BUCKET)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            key = f"{PREFIX}/{file.relative_to(folder)}"
            client.put_object(Bucket=OPEN_BUCKET, Key=key, Body=file.read_bytes())


@pytest.mark.parametrize("signs_all", [False, True])
def test_a_key_opens_what_is_closed(
    object_store: ObjectStore,
    tmp_path: Path,
    repository: Repository,
    signing_key: SigningKey,
    cdn: Cdn,
    signs_all: bool,
) -> None:
    """What not everyone may read is fetched with a key that may read; without one it is a finding."""
    bucket = object_store.new_bucket(is_locked=False)
    path, content = "accounts/avatars/000/000/001/original/00112233445566aa.png", b"\x89PNG" * 100
    object_store.client().put_object(Bucket=bucket, Key=f"{PREFIX}/{path}", Body=content, ContentType="image/png")
    stored = make_stored_media(tmp_path / "vault", repository, signing_key, cdn)
    stored.url = f"{object_store.endpoint}/{bucket}/{PREFIX}"
    stored.publish_files({path: len(content)})
    stored.keep()
    assert path in stored.findings()["media-closed"]
    key = object_store.reader.write(tmp_path / "key")
    place = {"bucket": bucket, "endpoint": object_store.endpoint, "prefix": PREFIX}
    stored.set_source(**place, credentials_file=key, signs_all=signs_all)
    stored.keep(timedelta(hours=2))
    assert stored.held() == {path: content}
    assert "media-closed" not in stored.findings()
    assert object_store.reader.secret_key not in str(stored.stage.told)


def test_the_media_of_a_mastodon(
    object_store: ObjectStore,
    mastodon_database: str,
    make_server: MakeServer,
    peers: tuple[Peer, Peer],
    tmp_path: Path,
) -> None:
    """Every file of local rows comes into the history, equal, without a key; a new row's file comes with its backup."""
    sender, receiver = peers
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        write_media(connection, tmp_path / "system")
        _filled(object_store, tmp_path / "system")
        server = make_server(mastodon_database, engine="log")
        media = Media(public_url=f"{object_store.endpoint}/{OPEN_BUCKET}/{PREFIX}")
        configuration = server.configuration.model_copy(update={"media": media})
        server = replace(server, configuration=configuration)
        back_up(configuration, report=ignore_events, now=datetime.now(UTC))
        _, vault = share(server.repository, sender, receiver, keys_in=configuration.state.path)
        fast = Fetching(requests_per_s=1000, allow_private_addresses=True)
        vault = vault.model_copy(update={"settings": vault.settings.model_copy(update={"fetching": fast})})
        with Keeper(vault, receiver.client, ignore_events, moment=Clock().read) as keeper:
            records = keeper.servers[0].records

            def is_complete() -> bool:
                balance = noted_balance(records)
                return balance is not None and balance.needed > 40 and balance.missing == 0

            turn_until(keeper, is_complete, "all that the list names is held", within_s=60)
            number, name = connection.execute(
                "SELECT max(id) + 1000000, 'ffeeddccbbaa0011.png' FROM media_attachments"
            ).fetchone() or (0, "")
            connection.execute(
                "CREATE TEMP TABLE one AS SELECT * FROM media_attachments WHERE remote_url = '' LIMIT 1;"
                f" UPDATE one SET id = {number}, file_file_name = '{name}', file_content_type = 'image/gif',"
                " file_file_size = 9; INSERT INTO media_attachments SELECT * FROM one".encode()
            )
            back_up(configuration, report=ignore_events, now=datetime.now(UTC))
            sender.client.scan(media_keys_folder_id(server.repository.repository_id))
            sender.client.scan(f"permafrost-{server.repository.repository_id}")
            turn_until(
                keeper,
                lambda: "media-absent" in {entry.code for entry in records.ledger.open()},
                "the new row's file is asked for",
            )
        history = vault.history(vault.settings.servers[0]) / "media"
        held = {file.relative_to(history): file.read_bytes() for file in history.rglob("*") if file.is_file()}
        assert len(held) > 40
        assert held == {path: (tmp_path / "system" / path).read_bytes() for path in held}
        assert not [path for path in held if path.parts[0] == "cache"]
