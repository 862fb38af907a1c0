"""Reading without order: what is seen decides, in whatever order it comes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from permafrost.repository.completeness import FileState, Seen, SnapshotState, judge
from permafrost.repository.layout import SnapshotId
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject

SINCE = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENCE = timedelta(hours=6)
NAMES = [f"{number:064x}" for number in range(6)]
LIST = ObjectList(
    "5" * 32,
    SnapshotId("20261122T120000Z-0a1b2c3d"),
    StoredObject(NAMES[0], 1),
    tuple(StoredObject(name, 1) for name in NAMES[1:]),
)
ARRIVALS = ["list", *NAMES]
times = st.timedeltas(timedelta(0), timedelta(days=2))


def seen_after(arrived: list[str], bad: Collection[str] = ()) -> Seen:
    """Return what is seen once these files have arrived."""
    files = {name: FileState.BAD if name in bad else FileState.GOOD for name in arrived if name != "list"}
    return Seen(SINCE, LIST if "list" in arrived else None, signature_is_valid=True, files=files)


@pytest.mark.format("6.1", "6.2", "6.4")
@given(st.permutations(ARRIVALS), st.lists(times, min_size=len(ARRIVALS) + 1, max_size=len(ARRIVALS) + 1))
def test_shuffled_deliveries(order: list[str], moments: list[timedelta]) -> None:
    """In whatever order files arrive, a snapshot is in flight until the last, overdue if that takes too long,
    whole from then on, and never corrupt."""
    for count, moment in enumerate(sorted(moments)):
        state = judge(seen_after(order[:count]), SINCE + moment, PATIENCE).state
        if count == len(ARRIVALS):
            assert state is SnapshotState.WHOLE
        else:
            assert state is (SnapshotState.OVERDUE if moment > PATIENCE else SnapshotState.IN_FLIGHT)


@pytest.mark.format("6.2")
@given(st.sets(st.sampled_from(ARRIVALS)), times)
def test_cut_off_deliveries(arrived: set[str], moment: timedelta) -> None:
    """A delivery that stops anywhere tells which files are missing, and never says corrupt."""
    judgement = judge(seen_after(sorted(arrived)), SINCE + moment, PATIENCE)
    assert judgement.state is not SnapshotState.CORRUPT
    if "list" in arrived:
        assert set(judgement.missing) == set(NAMES) - arrived


@pytest.mark.format("6.3")
@given(st.sets(st.sampled_from(NAMES), min_size=1), st.sets(st.sampled_from(NAMES)), times)
def test_a_bad_file_is_corrupt_at_once(bad: set[str], good: set[str], moment: timedelta) -> None:
    """One file with other bytes makes the snapshot corrupt, however early and whatever else is missing."""
    judgement = judge(seen_after(["list", *bad, *good], bad), SINCE + moment, PATIENCE)
    assert judgement.state is SnapshotState.CORRUPT
    assert set(judgement.bad) == bad


@pytest.mark.format("6.3")
def test_an_invalid_signature_is_corrupt() -> None:
    """A list that is not the server's is corrupt although every file is right."""
    files = dict.fromkeys(NAMES, FileState.GOOD)
    seen = Seen(SINCE, LIST, signature_is_valid=False, files=files)
    assert judge(seen, SINCE, PATIENCE).state is SnapshotState.CORRUPT


@pytest.mark.format("6.4")
@given(st.sets(st.sampled_from(ARRIVALS)))
def test_a_clock_set_back_makes_nothing_overdue(arrived: set[str]) -> None:
    """A reader whose clock was set back before the arrival still says in flight or whole."""
    judgement = judge(seen_after(sorted(arrived)), SINCE - timedelta(days=3650), PATIENCE)
    assert judgement.state in (SnapshotState.IN_FLIGHT, SnapshotState.WHOLE)
