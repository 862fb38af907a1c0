"""How long coming back would take, and how fast places fill up. Each number says what it was measured from; what was
not measured stays unknown.

A drill does what a restore does, on this machine: its time by step, and the size of the snapshot that it read, are
kept in the run records. The newest drill is scaled to the size of the newest snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from permafrost.amounts import bytes_text, count_text, span_text
from permafrost.documents.status import ForecastDocument, PlaceDocument
from permafrost.runs import Run
from permafrost.status.jobs import duration_of

GROWTH = timedelta(days=7)
_LEAST = timedelta(days=1)
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class MeasuredRestore:
    """What a drill has measured: seconds by step, and the bytes of its snapshot (None in records of older versions)."""

    drilled_at: datetime
    restore_s: float
    size_bytes: int | None
    steps_s: Mapping[str, float]


def measured_restores(drills: Sequence[Run]) -> tuple[MeasuredRestore, ...]:
    """Return what the drills that were done have measured, in their order."""
    return tuple(one for run in drills if run.outcome == "done" and (one := _measured(run)) is not None)


def _measured(run: Run) -> MeasuredRestore | None:
    told = run.details
    restore_s = _number(told.get("restore_s"))
    if restore_s is None:
        restore_s = duration_of(run)
    if restore_s is None:
        return None
    steps: Any = told.get("steps_s")
    steps_s = (
        {str(name): seconds for name, value in steps.items() if (seconds := _number(value)) is not None}
        if (isinstance(steps, dict))
        else {}
    )
    size = _number(told.get("size_bytes"))
    return MeasuredRestore(run.ended_at or run.started_at, restore_s, int(size) if size else None, steps_s)


def restore_estimate_s(measured: MeasuredRestore | None, size_bytes: int | None) -> float | None:
    """Return how long a restore of a snapshot of that size would take, by the last drill; None without one."""
    if measured is None:
        return None
    if measured.size_bytes and size_bytes:
        return measured.restore_s * size_bytes / measured.size_bytes
    return measured.restore_s


def forecast_of(
    measured: MeasuredRestore | None, size_bytes: int | None, places: Sequence[PlaceDocument], now: datetime
) -> tuple[ForecastDocument, ...]:
    """Return the parts of coming back on a new machine, in their order."""
    size = f" of {bytes_text(size_bytes)}" if size_bytes else ""
    kinds = {place.kind for place in places}
    source = "a vault" if "vault" in kinds else "a bucket" if "bucket" in kinds else "the disk"
    bring = ForecastDocument(
        f"bring the snapshot{size} from {source}",
        None,
        f"not measured: the way back from a {'bucket' if source == 'a bucket' else 'vault'} is not timed",
    )
    if measured is None:
        database = ForecastDocument("restore the database", None, "not measured: no drill was done yet")
    else:
        basis = (
            f"the drill {span_text((now - measured.drilled_at).total_seconds())} ago: {span_text(measured.restore_s)}"
        )
        if measured.size_bytes:
            basis += f" for {bytes_text(measured.size_bytes)}"
        database = ForecastDocument("restore the database", restore_estimate_s(measured, size_bytes), basis)
    media = max((place.media_files or 0 for place in places), default=0)
    copied = [ForecastDocument(f"copy {count_text(media, 'media file')} back", None, "not measured")] if media else []
    hand = ForecastDocument(
        "do the steps of the runbook by hand", None, "not measured: DNS, secrets, Mastodon's own commands"
    )
    return (bring, database, *copied, hand)


def growth_per_day(backups: Sequence[Run], now: datetime) -> float | None:
    """Return the bytes that backups of the last seven days have stored, per day; None before a day has passed.

    What prune has freed is not taken off, so a place lasts at least as long as this says.
    """
    done = [run for run in backups if run.outcome == "done" and now - GROWTH <= run.started_at <= now]
    if not done:
        return None
    span = now - min(run.started_at for run in done)
    if span < _LEAST:
        return None
    # the first snapshot holds everything, and says nothing about a day
    later = sorted(done, key=lambda run: run.started_at)[1:]
    total = sum(_number(run.details.get("bytes_new")) or 0.0 for run in later)
    return total / (span.total_seconds() / _DAY_S)


def place_growth(samples: Sequence[Run], now: datetime) -> dict[str, float]:
    """Return by how many bytes per day each place has grown in the last seven days, as its sizes were recorded.

    A place whose oldest record is less than a day old is left out.
    """
    sizes: dict[str, list[tuple[datetime, float]]] = {}
    for run in samples:
        size = _number(run.details.get("size_bytes"))
        if size is not None and now - GROWTH <= run.started_at <= now:
            sizes.setdefault(str(run.details.get("name")), []).append((run.started_at, size))
    grown = {}
    for name, seen in sizes.items():
        (first_at, first), (last_at, last) = min(seen), max(seen)
        if last_at - first_at >= _LEAST:
            grown[name] = (last - first) / ((last_at - first_at).total_seconds() / _DAY_S)
    return grown


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e18:
        return None
    return float(value)
