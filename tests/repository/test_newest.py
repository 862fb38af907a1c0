"""Names and folders that somebody made up: never the newest, and in nobody's way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from permafrost.config.models import Retention
from permafrost.errors import IntegrityError, RepositoryError
from permafrost.events import ignore_events
from permafrost.operations.prune import prune
from permafrost.repository.layout import SnapshotId, in_zone
from permafrost.repository.newest import is_ahead, newest
from permafrost.repository.reading import choose_snapshot, newest_not_after
from permafrost.repository.snapshots import complete_snapshots, list_snapshots, remove_snapshots
from permafrost.status.document import status
from tests.fixtures.delivery import Sender
from tests.fixtures.server import MakeServer, Server, SigningKey

NOW = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
FAR = SnapshotId("99991231T235959Z-0a1b2c3d")


@pytest.fixture
def poisoned(make_server: MakeServer, signing_key: SigningKey) -> tuple[Server, list[SnapshotId]]:
    """A server with three snapshots, an hour apart, and empty folders of every date beside them."""
    server = make_server()
    sender = Sender(server.repository, signing_key)
    made = [sender.snapshot(NOW - hours * HOUR) for hours in (3, 2, 1)]
    for date in ("20261123T120400Z", "20261123T110600Z", "20261123T100600Z", "20261123T090600Z", "00010101T000000Z"):
        (server.repository.layout.snapshots / f"{date}-0a1b2c3d").mkdir()
    for name in (str(FAR), "\u0662\u0660\u0662\u0666\u0661\u0661\u0662\u0663T120000Z-0a1b2c3d"):
        (server.repository.layout.snapshots / name).mkdir()
    return server, made


@pytest.mark.format("3.1")
@pytest.mark.parametrize("zero", ["\u0660", "\u0966", "\uff10", "\U0001d7ce"])
def test_digits_of_other_scripts(zero: str) -> None:
    """A name's digits are ASCII; those of other scripts make no snapshot."""
    name = "".join(chr(ord(zero) + int(one)) if one.isdigit() else one for one in "20261123T120000Z-0a1b2c3d")
    assert not SnapshotId.is_name(name)
    with pytest.raises(IntegrityError):
        SnapshotId(name.partition("-")[0] + "-0a1b2c3d")


@pytest.mark.parametrize("hours", [-14, 0, 14])
def test_the_ends_of_the_calendar(hours: int) -> None:
    """A snapshot of the last or the first day of the calendar is compared and shown in every zone."""
    zone = timezone(timedelta(hours=hours))
    for snapshot in (FAR, SnapshotId("00010101T000000Z-0a1b2c3d")):
        assert in_zone(snapshot.made_at, zone) == snapshot.made_at
        assert newest([snapshot, SnapshotId.new(NOW)], NOW) != snapshot
    assert is_ahead(FAR, NOW)


def test_made_up_folders_are_not_the_newest(poisoned: tuple[Server, list[SnapshotId]]) -> None:
    """Empty folders are neither the newest nor counted, by whichever way the newest is asked for."""
    server, made = poisoned
    repository = server.repository
    assert choose_snapshot(repository, None, NOW) == made[-1]
    assert newest_not_after(repository, NOW) == made[-1]
    with pytest.raises(RepositoryError, match="as old as") as refused:
        newest_not_after(repository, NOW.astimezone(timezone(-HOUR)) - 10 * HOUR)
    assert str(made[0]) in refused.value.hint
    assert complete_snapshots(repository.layout) == made
    found = status(server.configuration, NOW)
    assert (found.snapshots, found.newest) == (3, made[-1])


def test_made_up_folders_save_and_cost_no_snapshot(poisoned: tuple[Server, list[SnapshotId]]) -> None:
    """Retention counts no empty folder, and none keeps prune from removing what it should."""
    server, made = poisoned
    configuration = server.configuration.model_copy(
        update={"retention": Retention(last=2, hourly=0, daily=0, weekly=0, monthly=0)}
    )
    result = prune(configuration, is_dry_run=False, report=ignore_events, now=NOW)
    assert (result.removed, result.kept) == ((made[0],), (made[1], made[2]))
    remove_snapshots(server.repository.layout, [FAR])
    assert FAR not in list_snapshots(server.repository.layout)


def test_only_incomplete_folders(make_server: MakeServer) -> None:
    """Where no snapshot is complete, asking for the newest says so, and names the command that shows why."""
    server = make_server()
    (server.repository.layout.snapshots / str(FAR)).mkdir()
    with pytest.raises(RepositoryError, match="complete") as refused:
        choose_snapshot(server.repository, None, NOW)
    assert "verify" in refused.value.hint
