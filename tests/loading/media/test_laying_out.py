"""restore --media-to: the media of the snapshot's moment, compared with its rows, closed where they have to be."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Media
from permafrost.errors import RestoreRefusedError
from permafrost.events import ignore_events
from permafrost.loading.media.laying_out import UNFINISHED, MediaRequest, RestoredMedia, lay_out
from permafrost.loading.media.source import media_source
from permafrost.loading.preflight import Target
from permafrost.loading.source import Source
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import back_up
from permafrost.operations.restore import RestoreRequest, RestoreResult, restore
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import SnapshotId
from samples.media import id_partition, write_media
from tests.fixtures.backups import drop
from tests.fixtures.commands import command
from tests.fixtures.delivery import Stage, make_stage, put_as_syncthing_does
from tests.fixtures.killing import killed_at
from tests.fixtures.restores import NAME, databases
from tests.fixtures.server import MakeServer, Server, SigningKey

HOUR = timedelta(hours=1)


@dataclass
class Kept:
    """A server whose database, media included, a vault keeps."""

    server: Server
    stage: Stage
    connection: psycopg.Connection

    @property
    def media(self) -> Path:
        """What the vault has received."""
        received = self.stage.vault.media(self.stage.server)
        assert received is not None
        return received

    def back_up(self) -> SnapshotId:
        """Make a snapshot, and let the vault keep it an hour later."""
        snapshot = back_up(self.server.configuration, report=ignore_events, now=self.stage.clock.wall).snapshot
        self.stage.deliver()
        self.stage.clock.pass_time(HOUR)
        self.stage.keep()
        return snapshot

    def restore(self, media: MediaRequest, snapshot: SnapshotId | None = None) -> RestoreResult:
        """Restore from the vault's history."""
        request = RestoreRequest(
            Source(self.stage.history, OpeningKey(self.server.passphrase_file), None),
            snapshot,
            Target(f"{NAME}_{media.to.name[:6]}", replaces=False, with_owners=True),
            server=conninfo_for(self.server.configuration.database.url, dbname="postgres"),
            media=media,
        )
        return restore(request, report=ignore_events, now=datetime.now(UTC))

    def original(self, number: int) -> str:
        """Return the path of a local account's avatar that everyone may read."""
        row_id, name = self.connection.execute(
            "SELECT id, avatar_file_name FROM accounts WHERE domain IS NULL AND avatar_file_name <> ''"
            " AND suspended_at IS NULL ORDER BY id OFFSET %s LIMIT 1",
            (number,),
        ).fetchall()[0]
        return f"accounts/avatars/{id_partition(row_id)}/original/{name}"


@pytest.fixture
def kept(mastodon_database: str, make_server: MakeServer, signing_key: SigningKey, tmp_path: Path) -> Iterator[Kept]:
    """A server of which the vault has all local media, and nothing of a snapshot yet."""
    server = make_server(mastodon_database)
    configuration = server.configuration.model_copy(update={"media": Media(path=tmp_path)})
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        stage = make_stage(tmp_path / "vault", server.repository, signing_key)
        made = Kept(replace(server, configuration=configuration), stage, connection)
        write_media(connection, made.media, with_cache=False)
        (made.media / ".stfolder").mkdir()
        yield made
    for name in databases(mastodon_database):
        if name.startswith(NAME):
            drop(mastodon_database, name)


def _restored(kept: Kept) -> list[str]:
    """Return the names of the databases that were restored."""
    return [name for name in databases(kept.server.configuration.database.url) if name.startswith(NAME)]


def files_below(folder: Path) -> dict[str, bytes]:
    """Return what the files of a media folder contain, by path."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".stfolder" not in file.parts
    }


def test_media_are_those_of_the_moment(kept: Kept, tmp_path: Path) -> None:
    """From a vault's history come the versions of the snapshot's moment, closed as its rows say."""
    replaced, deleted = kept.original(0), kept.original(1)
    before = kept.back_up()
    first = files_below(kept.media)
    closed = {name for name in first if (kept.media / name).stat().st_mode & 0o777 == 0o600}
    source = tmp_path / "another"
    source.write_bytes(b"another picture")
    put_as_syncthing_does(source, kept.media / replaced)
    (kept.media / deleted).unlink()
    for name in closed:
        (kept.media / name).chmod(0o644)
    kept.connection.execute("UPDATE accounts SET suspended_at = NULL")
    kept.stage.clock.pass_time(HOUR)
    kept.stage.keep()
    after = kept.back_up()
    second = files_below(kept.media)

    result = kept.restore(MediaRequest(tmp_path / "before"), before)
    assert result.media is not None
    assert (result.media.missing, result.media.not_copied, result.media.files) == (0, 0, len(first))
    assert files_below(tmp_path / "before") == first
    modes = {name: (tmp_path / "before" / name).stat().st_mode & 0o777 for name in first}
    assert closed
    assert {name for name, mode in modes.items() if mode == 0o600} == closed
    assert result.media.closed == len(closed)
    assert result.runbook.facts.media == str(tmp_path / "before")

    result = kept.restore(MediaRequest(tmp_path / "after"), after)
    assert result.media is not None
    assert files_below(tmp_path / "after") == second
    assert second[replaced] == b"another picture"
    assert (result.media.missing, result.media.closed) == (1, 0)
    assert result.has_findings
    assert result.media.request.missing_list.read_text() == f"{deleted}\n"
    assert not [name for name in second if (tmp_path / "after" / name).stat().st_mode & 0o777 == 0o600]


def test_the_command_says_what_was_laid_out(kept: Kept, tmp_path: Path) -> None:
    """`restore --media-to` counts the files and names what was never there; options that need it say so."""
    gone = kept.original(0)
    (kept.media / gone).unlink()
    kept.back_up()
    server, target = kept.server, tmp_path / "laid out"
    words = (
        *("restore", "latest", f"--repository={kept.stage.history}", f"--passphrase-file={server.passphrase_file}"),
        *(f"--server={conninfo_for(server.configuration.database.url, dbname='postgres')}", f"--database={NAME}_said"),
        f"--runbook={tmp_path / 'runbook'}",
    )
    ended = command(*words, f"--media-to={target}")
    assert ended.returncode == 3, ended.stderr
    count = len(files_below(target))
    said = " ".join((ended.stdout + ended.stderr).split())
    assert f"laid {count} media files (" in said
    assert f"1 expected file never there, listed in {target}" in said
    assert f": {gone}" in said
    for wrong in (("--media-merge",), (f"--media-from={target}",)):
        ended = command(*words, *wrong)
        assert (ended.returncode, "need --media-to" in ended.stderr) == (2, True)
    ended = command(*words, "--replace", "--existing")
    assert (ended.returncode, "exclude each other" in ended.stderr) == (2, True)


@pytest.mark.parametrize("column", ["path", "place"])
def test_records_that_somebody_has_changed_lead_nowhere_else(kept: Kept, tmp_path: Path, column: str) -> None:
    """Records that came with a copy, and name a file outside of their folder, are refused before anything is made."""
    (tmp_path / "secret").write_text("a key")
    kept.back_up()
    with closing(sqlite3.connect(kept.stage.history.parent / "keeping.sqlite")) as records, records:
        first = records.execute("SELECT number FROM media ORDER BY path LIMIT 1").fetchone()
        records.execute(f"UPDATE media SET {column} = CAST('../' || {column} AS BLOB) WHERE number = ?", first)
    with pytest.raises(RestoreRefusedError, match="name a file outside of its folder"):
        kept.restore(MediaRequest(tmp_path / "out/media"))
    assert not (tmp_path / "out").exists()
    assert not _restored(kept)


def test_a_copy_of_the_folder_does_as_well(kept: Kept, tmp_path: Path) -> None:
    """From a copy without permissions, with a link and a file too few, everything else comes, closed as rows say."""
    kept.back_up()
    copy = tmp_path / "copy"
    for name, content in files_below(kept.media).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)
    lost, linked = kept.original(0), kept.original(1)
    (copy / lost).unlink()
    (copy / linked).unlink()
    (copy / linked).symlink_to("/etc/passwd")
    result = kept.restore(MediaRequest(tmp_path / "laid-out", copy))
    assert result.media is not None
    assert result.media.request.missing_list.read_text().split() == sorted([lost, linked])
    assert result.media.not_copied == 1
    assert result.media.closed > 0
    for name in files_below(kept.media).keys() - {lost, linked}:
        laid_out = tmp_path / "laid-out" / name
        assert laid_out.read_bytes() == (kept.media / name).read_bytes()
        assert laid_out.stat().st_mode & 0o777 == (kept.media / name).stat().st_mode & 0o777


def test_a_folder_with_files_is_left_alone(kept: Kept, tmp_path: Path) -> None:
    """A folder that is not empty is refused before anything is touched; merged into, it keeps what it has besides."""
    kept.back_up()
    target = tmp_path / "laid-out"
    target.mkdir()
    (target / "robots.txt").write_text("mine")
    with pytest.raises(RestoreRefusedError, match="not empty"):
        kept.restore(MediaRequest(target))
    assert not _restored(kept)
    name = kept.original(0)
    shutil.copytree(kept.media / Path(name).parts[0], target / Path(name).parts[0])
    (target / name).write_bytes(b"half")
    result = kept.restore(MediaRequest(target, merges=True))
    assert result.media is not None
    assert result.media.missing == 0
    assert files_below(target) == {**files_below(kept.media), "robots.txt": b"mine"}


def test_killed_at_every_change(tmp_path: Path) -> None:
    """A restore of media that is killed anywhere, and run again, leaves each file whole and nothing else."""
    copy, target = tmp_path / "copy", tmp_path / "system"
    for number in range(6):
        file = copy / f"accounts/avatars/000/000/00{number // 2}/original/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"{number}".encode() * 3000)
        file.chmod(0o600 if number == 3 else 0o644)
    source = media_source(copy, tmp_path, "")

    def work() -> None:
        lay_out(source, "", target, RestoredMedia(MediaRequest(target, copy, merges=True)), ignore_events)

    step = 1
    while killed_at(step, work):
        step += 1
        laid_out = files_below(target) if target.exists() else {}
        laid_out = {name: content for name, content in laid_out.items() if not name.endswith(UNFINISHED)}
        assert laid_out.items() <= files_below(copy).items()
    assert step > 15
    assert files_below(target) == files_below(copy)


def test_links_in_the_target_are_not_followed(kept: Kept, tmp_path: Path) -> None:
    """A link that somebody has put into the folder leads nowhere: what would lie behind it is not written."""
    kept.back_up()
    target, elsewhere = tmp_path / "laid-out", tmp_path / "elsewhere"
    target.mkdir()
    elsewhere.mkdir()
    (target / "accounts").symlink_to(elsewhere)
    result = kept.restore(MediaRequest(target, merges=True))
    assert not list(elsewhere.iterdir())
    assert result.media is not None
    assert result.media.not_copied > 0
    assert result.media.missing > 0


@pytest.mark.timeout(60)
def test_what_lies_under_the_temporary_name(kept: Kept, tmp_path: Path) -> None:
    """A pipe or another file's second name where a half-written file would be is taken away, not waited for or cut."""
    kept.back_up()
    target, precious = tmp_path / "laid-out", tmp_path / "precious"
    precious.write_bytes(b"precious")
    first, second = sorted({str(Path(name).parent) for name in files_below(kept.media)})[:2]
    for folder in (first, second):
        (target / folder).mkdir(parents=True)
    os.mkfifo(target / first / ".permafrost-media")
    (target / second / ".permafrost-media").hardlink_to(precious)
    kept.restore(MediaRequest(target, merges=True))
    assert precious.read_bytes() == b"precious"
    assert files_below(target) == files_below(kept.media)


def test_without_media_it_is_refused(kept: Kept, tmp_path: Path) -> None:
    """A repository without media beside it, or a folder that does not exist, is refused before anything is touched."""
    kept.back_up()
    request = MediaRequest(tmp_path / "laid-out", tmp_path / "nowhere")
    with pytest.raises(RestoreRefusedError, match="no media folder"):
        kept.restore(request)
    shutil.rmtree(kept.stage.history / "media")
    with pytest.raises(RestoreRefusedError, match="no media beside"):
        kept.restore(replace(request, source=None))
    assert not _restored(kept)
