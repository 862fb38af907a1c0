"""A server that removes what it sent: seen within an hour of the vault's time, whatever it shows instead."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject
from permafrost.vault.declaration import DECLARATION_FILE, Declaration, DeclaredRetention
from permafrost.vault_keeping.keeper import Keeper
from tests.fixtures.delivery import Stage, make_stage, new_repository
from tests.fixtures.server import SigningKey

HOUR = timedelta(hours=1)
HOURLY = Declaration(backup_every_s=3600, retention=DeclaredRetention(last=4))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Stage:
    """A vault that keeps six snapshots, all of which the server still has; not to be changed."""
    folder = tmp_path_factory.mktemp("original")
    made = make_stage(folder / "vault", new_repository(folder / "server", signing_key), signing_key)
    with Keeper(made.vault, None, ignore_events, moment=made.clock.read) as keeper:
        for _ in range(6):
            made.sender.snapshot(made.clock.wall)
            made.deliver()
            keeper.turn()
            made.clock.pass_time(HOUR)
    assert made.findings() == set()
    return made


@pytest.fixture
def stage(original: Stage, tmp_path: Path) -> Stage:
    """A copy of the original, with the links within it."""
    return original.copied(tmp_path)


def _shown(stage: Stage) -> list[Path]:
    return sorted((stage.received / "snapshots").iterdir())


def _declare(stage: Stage, declaration: Declaration) -> None:
    for folder in (stage.received, stage.sender.repository.path):
        (folder / DECLARATION_FILE).unlink(missing_ok=True)
        (folder / DECLARATION_FILE).write_bytes(declaration.encode())


def _removed_all(stage: Stage) -> None:
    for name in ("objects", "snapshots"):
        shutil.rmtree(stage.received / name)


def _removed_objects(stage: Stage) -> None:
    for file in (stage.received / "objects").rglob("*.gpg"):
        file.unlink()


def _removed_one_object(stage: Stage) -> None:
    content = (_shown(stage)[0] / "objects.sha256").read_text()
    (stage.received / content.splitlines()[-1].split()[1]).unlink()


def _removed_from_each(name: str) -> Callable[[Stage], None]:
    def removed(stage: Stage) -> None:
        for snapshot in _shown(stage):
            (snapshot / name).unlink()

    return removed


def _emptied_the_oldest(stage: Stage) -> None:
    for file in _shown(stage)[0].iterdir():
        file.unlink()


def _removed_all_but_the_newest(stage: Stage) -> None:
    for snapshot in _shown(stage)[:-1]:
        shutil.rmtree(snapshot)


def _removed_behind_a_file(stage: Stage) -> None:
    shutil.rmtree(stage.received / "snapshots")
    (stage.received / "snapshots").write_bytes(b"no folder")


def _removed_behind_a_link(stage: Stage) -> None:
    shutil.rmtree(stage.received / "snapshots")
    (stage.received / "snapshots").symlink_to(stage.history / "snapshots")


def _removed_behind_an_announcement(stage: Stage) -> None:
    """Leave a snapshot with a good signature whose objects never come."""
    made = stage.sender.snapshot(stage.clock.wall, old=(StoredObject("0" * 64, 1 << 20),))
    stage.deliver()
    for snapshot in _shown(stage):
        if snapshot.name != str(made):
            shutil.rmtree(snapshot)


def _removed_behind_junk(stage: Stage) -> None:
    """Remove the newest of all, once a snapshot with nothing in it has been taken."""
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep(turns=1)
    for snapshot in _shown(stage)[:-1]:
        shutil.rmtree(snapshot)


def _removed_a_file_of_the_repository(stage: Stage) -> None:
    (stage.received / "signing-key.asc").unlink()


ATTACKS: list[Callable[[Stage], None]] = [
    _removed_all,
    _removed_objects,
    _removed_one_object,
    _removed_from_each("objects.sha256"),
    _removed_from_each("objects.sha256.sig"),
    _removed_from_each("manifest.gpg"),
    _emptied_the_oldest,
    _removed_all_but_the_newest,
    _removed_behind_a_file,
    _removed_behind_a_link,
    _removed_behind_an_announcement,
    _removed_behind_junk,
    _removed_a_file_of_the_repository,
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("is_off", [False, True], ids=["running", "off meanwhile"])
def test_every_removal_is_seen_within_the_hour(stage: Stage, attack: Callable[[Stage], None], is_off: bool) -> None:
    """What the server removes is reported within an hour, and the history has it, while a vault runs or is off."""
    attack(stage)
    if is_off:
        stage.clock.pass_time(HOUR)
        stage.keep(turns=1)
    else:
        with Keeper(stage.vault, None, ignore_events, moment=stage.clock.read) as keeper:
            for _ in range(6):
                stage.clock.pass_time(HOUR / 6)
                keeper.turn()
    assert "removed" in stage.findings()
    assert len(stage.kept()) >= 6


def test_an_empty_folder_hides_nothing(stage: Stage) -> None:
    """An empty folder with a snapshot's name, renamed every five hours, silences neither removal nor silence."""
    kept = stage.kept()
    _removed_all(stage)
    folder = stage.received / "snapshots" / "empty"
    folder.mkdir(parents=True)
    with Keeper(stage.vault, None, ignore_events, moment=stage.clock.read) as keeper:
        for number in range(6):
            name = f"{stage.clock.wall:%Y%m%dT%H%M%SZ}-{number:08x}"
            folder = folder.rename(folder.with_name(name))
            keeper.turn()
            stage.clock.pass_time(5 * HOUR)
        keeper.turn()
        codes = {one.code for one in keeper.servers[0].records.ledger.open()}
    assert {"removed", "nothing-new"} <= codes
    assert stage.kept() == kept


def test_an_honest_prune_is_explained_by_its_rules(stage: Stage) -> None:
    """With declared rules a prune that follows them is no finding, and one snapshot more than they remove is."""
    _declare(stage, HOURLY)
    stage.keep(turns=1)
    oldest, older, *_ = _shown(stage)
    shutil.rmtree(oldest)
    shutil.rmtree(older)
    stage.clock.pass_time(HOUR)
    stage.keep(turns=1)
    assert stage.findings() == set()
    shutil.rmtree(_shown(stage)[0])
    stage.clock.pass_time(HOUR)
    stage.keep(turns=1)
    assert stage.findings() == {"removed"}


def test_a_prune_before_what_it_made_room_for(stage: Stage) -> None:
    """Syncthing keeps no order: what a prune removes may go before the snapshot is whole that it made room for."""
    _declare(stage, Declaration(backup_every_s=3600, retention=DeclaredRetention(last=6)))
    stage.keep(turns=1)
    stage.sender.snapshot(stage.clock.wall)
    known = {file.name for file in (stage.received / "objects").rglob("*.gpg")}
    shutil.rmtree(_shown(stage)[0])
    stage.sender.repository.layout.snapshot(stage.kept()[0]).rename(stage.vault.root / "pruned")
    stage.deliver()
    held_back = [file for file in (stage.received / "objects").rglob("*.gpg") if file.name not in known]
    for file in held_back:
        file.unlink()
    stage.clock.pass_time(HOUR / 4)
    stage.keep(turns=1)
    assert stage.findings() == set()
    stage.deliver()
    stage.clock.pass_time(HOUR / 4)
    stage.keep()
    assert stage.findings() == set()


@pytest.mark.parametrize(
    "less",
    [
        HOURLY.model_copy(update={"retention": DeclaredRetention(last=1)}),
        HOURLY.model_copy(update={"backup_every_s": 7200}),
        HOURLY.model_copy(update={"backup_every_s": None}),
    ],
)
def test_a_declaration_of_less_is_seen(stage: Stage, less: Declaration) -> None:
    """A server that declares to keep less, or to back up less often, than before is reported; one of more is not."""
    _declare(stage, HOURLY)
    stage.keep(turns=1)
    _declare(stage, HOURLY.model_copy(update={"retention": DeclaredRetention(last=9, monthly=3)}))
    stage.clock.pass_time(HOUR / 2)
    stage.keep(turns=1)
    assert stage.findings() == set()
    _declare(stage, less)
    stage.clock.pass_time(HOUR / 2)
    stage.keep(turns=1)
    assert stage.findings() == {"declares-less"}


@pytest.mark.parametrize("content", [None, b"{", b'{"format": 2}', b'{"backup_every_s": 1e30}'])
def test_the_last_declaration_holds(stage: Stage, content: bytes | None) -> None:
    """Without a declaration, or with a senseless one, the last holds, and it is reported."""
    _declare(stage, HOURLY)
    stage.keep(turns=1)
    (stage.received / DECLARATION_FILE).unlink()
    if content is not None:
        (stage.received / DECLARATION_FILE).write_bytes(content)
    stage.clock.pass_time(5 * HOUR)
    stage.keep(turns=1)
    assert {"nothing-new", "removed"} <= stage.findings()


def test_nothing_new_by_the_declared_schedule(stage: Stage) -> None:
    """When nothing new comes for longer than declared, it is a finding; it ends when something does."""
    stage.clock.pass_time(20 * HOUR)
    stage.keep(turns=1)
    assert stage.findings() == set()
    _declare(stage, HOURLY)
    stage.clock.pass_time(HOUR)
    stage.keep(turns=1)
    assert stage.findings() == {"nothing-new"}
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep()
    assert stage.findings() == set()


def test_nothing_new_within_the_configured_time(stage: Stage) -> None:
    """A vault's own `nothing_new_minutes` counts instead of what the server declares, to the minute."""
    settings = stage.vault.settings.model_copy(update={"nothing_new_minutes": 90})
    stage.vault = stage.vault.model_copy(update={"settings": settings})
    _declare(stage, HOURLY)
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    stage.keep(turns=1)
    stage.clock.pass_time(timedelta(minutes=90))
    stage.keep(turns=1)
    assert stage.findings() == set()
    stage.clock.pass_time(timedelta(minutes=1))
    stage.keep(turns=1)
    assert stage.findings() == {"nothing-new"}


@pytest.mark.parametrize("years", [-50, 50, 7000])
def test_made_up_dates_are_no_arrival(stage: Stage, years: int) -> None:
    """Snapshots that never come whole do not count as new, whatever date their names and lists claim."""
    _declare(stage, HOURLY)
    made = stage.clock.wall.replace(year=stage.clock.wall.year + years)
    stage.sender.snapshot(made, old=(StoredObject("0" * 64, 1),))
    stage.deliver()
    stage.clock.pass_time(5 * HOUR)
    stage.keep(turns=1)
    assert "nothing-new" in stage.findings()


def test_a_list_of_another_snapshot_is_a_removal_too(stage: Stage) -> None:
    """A kept snapshot's list that the server replaces with another signed one is reported as rewritten."""
    oldest = _shown(stage)[0]
    content = ObjectList(
        stage.server.repository_id, stage.kept()[0], StoredObject("1" * 64, 1), (StoredObject("2" * 64, 1),)
    ).encode()
    (oldest / "objects.sha256").unlink()
    (oldest / "objects.sha256").write_bytes(content)
    stage.clock.pass_time(HOUR)
    stage.keep(turns=1)
    assert "rewritten" in stage.findings()
