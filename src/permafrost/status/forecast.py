"""How long coming back would take, and how fast places fill up. Each number says what it was measured from; what was
not measured stays unknown.

A drill does what a restore does, on this machine: its time by step, and the size of the snapshot that it read, are
kept in the run records. The newest drill is scaled to the size of the newest snapshot. The way back is measured by what
has come back: what a vault has sent a new server, what a verification has downloaded from a bucket. What a person needs
only that person can measure, and write down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from permafrost.amounts import bytes_text, count_text, span_text
from permafrost.documents.status import ForecastDocument, PlaceDocument
from permafrost.runs import Run
from permafrost.status.buckets import Reports
from permafrost.status.jobs import duration_of
from permafrost.vault.report import VaultReport

GROWTH = timedelta(days=7)
_LEAST = timedelta(days=1)
_DAY_S = 86_400.0
_SHORTEST_S = 10.0
"""A transfer that took less has measured how long it takes to begin."""


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


@dataclass(frozen=True, slots=True)
class WayBack:
    """What has really come from a place, and in which time; `how` says in words what that was."""

    place: str
    at: datetime
    size_bytes: int
    duration_s: float
    how: str

    @property
    def bytes_per_s(self) -> float:
        """How fast it came."""
        return self.size_bytes / self.duration_s


def ways_back(vaults: Iterable[VaultReport], buckets: Reports) -> tuple[WayBack, ...]:
    """Return the ways back that were measured, the fastest first.

    Only this direction counts: lines to homes are often ten times as fast towards them as from there. A transfer of a
    few seconds says nothing about a long one.
    """
    found = []
    for report in vaults:
        sent = report.receipt.sent_back if report.receipt is not None else None
        if sent is not None:
            found.append(WayBack(report.name, sent.ended_at, sent.size_bytes, sent.duration_s, "vault send-back"))
    for bucket, known in buckets:
        if known.downloaded_at is not None:
            size, took_s = known.downloaded_bytes, known.download_s
            found.append(WayBack(bucket.name, known.downloaded_at, size, took_s, "verify --bucket"))
    long = (way for way in found if way.duration_s >= _SHORTEST_S and way.size_bytes > 0)
    return tuple(sorted(long, key=lambda way: -way.bytes_per_s))


def forecast_of(
    measured: MeasuredRestore | None,
    size_bytes: int | None,
    places: Sequence[PlaceDocument],
    ways: Sequence[WayBack],
    by_hand_minutes: int | None,
    now: datetime,
) -> tuple[ForecastDocument, ...]:
    """Return the parts of coming back on a new machine, in their order, and their sum if each was measured."""
    by_hand = ForecastDocument(
        "do the steps of the runbook by hand",
        by_hand_minutes * 60.0 if by_hand_minutes else None,
        "your rehearsal: [promise] by_hand_minutes"
        if by_hand_minutes
        else "not measured: DNS, secrets, Mastodon's own commands",
    )
    parts = (
        _bringing(size_bytes, places, ways, now),
        _restoring(measured, size_bytes, now),
        *_copying_media(places, ways, now),
        by_hand,
    )
    took = [part.duration_s for part in parts if part.duration_s is not None]
    if len(took) < len(parts):
        return parts
    return (*parts, ForecastDocument("all of it", sum(took), "the sum of these"))


def _bringing(
    size_bytes: int | None, places: Sequence[PlaceDocument], ways: Sequence[WayBack], now: datetime
) -> ForecastDocument:
    size = f" of {bytes_text(size_bytes)}" if size_bytes else ""
    holding = {place.name for place in places if place.kind != "server" and place.restorable_to is not None}
    way = next((way for way in ways if way.place in holding), None)
    if way is not None and size_bytes:
        return _coming(f"bring the snapshot{size} from {way.place}", size_bytes, way, now)
    kinds = {place.kind for place in places}
    source = "a vault" if "vault" in kinds else "a bucket" if "bucket" in kinds else "the disk"
    how = {
        "a vault": "not measured yet: a rehearsed vault send-back measures it",
        "a bucket": "not measured yet: verify --bucket NAME --minutes N measures it",
        "the disk": "not measured: there is no other place yet",
    }
    return ForecastDocument(f"bring the snapshot{size} from {source}", None, how[source])


def _restoring(measured: MeasuredRestore | None, size_bytes: int | None, now: datetime) -> ForecastDocument:
    if measured is None:
        return ForecastDocument("restore the database", None, "not measured: no drill was done yet")
    basis = f"the drill {span_text((now - measured.drilled_at).total_seconds())} ago: {span_text(measured.restore_s)}"
    if measured.size_bytes:
        basis += f" for {bytes_text(measured.size_bytes)}"
    return ForecastDocument("restore the database", restore_estimate_s(measured, size_bytes), basis)


def _copying_media(
    places: Sequence[PlaceDocument], ways: Sequence[WayBack], now: datetime
) -> Iterator[ForecastDocument]:
    held = {place.name: place for place in places if place.media_files}
    if not held:
        return
    way = next((way for way in ways if way.place in held and held[way.place].media is not None), None)
    media = held[way.place].media if way is not None else None
    if way is not None and media is not None:
        what = f"{count_text(media.held, 'media file')} of {bytes_text(media.held_bytes)}"
        yield _coming(f"copy {what} back from {way.place}", media.held_bytes, way, now)
        return
    most = max(place.media_files or 0 for place in held.values())
    why = "not measured yet: a rehearsed vault send-back measures it"
    yield ForecastDocument(f"copy {count_text(most, 'media file')} back", None, why)


def _coming(part: str, size_bytes: int, way: WayBack, now: datetime) -> ForecastDocument:
    ago, took = span_text((now - way.at).total_seconds()), span_text(way.duration_s)
    basis = f"the {way.how} {ago} ago: {took} for {bytes_text(way.size_bytes)}"
    return ForecastDocument(part, size_bytes / way.bytes_per_s, basis)


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

    The media that the database needs count too, where they were recorded. A place whose oldest record is less than a
    day old is left out.
    """
    snapshots, media = (_growth_of(key, samples, now) for key in ("size_bytes", "media_bytes"))
    return {name: grown + media.get(name, 0.0) for name, grown in snapshots.items()}


def _growth_of(key: str, samples: Sequence[Run], now: datetime) -> dict[str, float]:
    sizes: dict[str, list[tuple[datetime, float]]] = {}
    for run in samples:
        size = _number(run.details.get(key))
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
