"""The geometry of the page's drawings: numbers for the template, in the units of each drawing's view box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from permafrost.amounts import bytes_text, span_text
from permafrost.status.hours import Hour, Hours
from permafrost.status.overview import Drilled

CELL, GAP, LABEL, HEAD = 12, 2, 52, 16
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 440, 170, 52, 22, 18, 24
_HOUR_NAMES = {
    Hour.MADE: "made, not kept any more",
    Hour.KEPT: "snapshot kept",
    Hour.PROVEN: "snapshot kept and proven by a restore",
    Hour.GAP: "no backup, though one was due",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of the calendar: where it stands, what it is, and in words."""

    x: int
    y: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class CalendarDrawing:
    """The calendar: a row for each day, the newest on top, and 24 columns."""

    width: int
    height: int
    cells: tuple[Cell, ...]
    days: tuple[tuple[int, str], ...]
    """The base line of each day's label, and the label."""
    hours: tuple[tuple[int, str], ...]
    """The left end of each hour's label, and the label."""


def calendar_drawing(hours: Hours) -> CalendarDrawing:
    """Return where every hour stands; an hour of which nothing is known has no title."""
    step = CELL + GAP
    cells, labels = [], []
    for row, day in enumerate(hours.days):
        y = HEAD + row * step
        if row % 2 == 0 or day.day.weekday() == 0:
            labels.append((y + CELL - 2, f"{day.day:%b} {day.day.day}"))
        for hour, kind in enumerate(day.hours):
            name = _HOUR_NAMES.get(kind, "")
            title = f"{day.day:%a} {day.day}, {hour:02}:00: {name}" if name else ""
            cells.append(Cell(LABEL + hour * step, y, kind.value, title))
    ticks = tuple((LABEL + hour * step, f"{hour:02}") for hour in range(0, 24, 6))
    return CalendarDrawing(LABEL + 24 * step, HEAD + len(hours.days) * step, tuple(cells), _thinned(labels), ticks)


def _thinned(labels: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """Return the labels of which none touches the one above it."""
    shown: list[tuple[int, str]] = []
    for y, text in labels:
        if not shown or y - shown[-1][0] > CELL + GAP:
            shown.append((y, text))
    return tuple(shown)


@dataclass(frozen=True, slots=True)
class Point:
    """A mark in a chart."""

    x: float
    y: float
    height: float
    kind: str
    title: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Marks over time, lines of the scale (height and text), and a promise's line."""

    width: int
    height: int
    left: int
    base: int
    bar: float
    points: tuple[Point, ...]
    scale: tuple[tuple[float, str], ...]
    labels: tuple[tuple[float, str], ...]
    limit: tuple[float, str] | None = None


def drills_chart(drills: Sequence[Drilled], limit_minutes: int | None, zone: tzinfo) -> Chart | None:
    """Return the drills as bars of the time that a restore took; failed ones have none. None without a drill."""
    shown = drills[-30:]
    if not shown:
        return None
    longest = max((drill.measured.restore_s for drill in shown if drill.measured is not None), default=0.0)
    top = _round_up_span(max(longest, (limit_minutes or 0) * 60.0, 1.0))
    base = _HEIGHT - _BOTTOM
    slot = min(48.0, (_WIDTH - _LEFT - _RIGHT) / len(shown))
    points = []
    for number, one in enumerate(shown):
        took = one.measured.restore_s if one.measured is not None else 0.0
        height = round(took / top * (base - _TOP), 1)
        local = one.at.astimezone(zone)
        said = f"a restore took {span_text(took)}" if one.measured is not None else "failed"
        points.append(
            Point(
                round(_LEFT + number * slot + slot / 2, 1),
                base - height,
                height,
                "failed" if one.measured is None else "done",
                f"{local:%Y-%m-%d %H:%M}: {said}",
                _day_label(local),
            )
        )
    limit = None
    if limit_minutes is not None:
        limit = (round(base - limit_minutes * 60 / top * (base - _TOP), 1), f"promised: {limit_minutes} min")
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        base=base,
        bar=round(min(28.0, slot * 0.6), 1),
        points=tuple(points),
        scale=tuple((round(base - part * (base - _TOP), 1), span_text(part * top)) for part in (0.5, 1.0) if top > 1),
        labels=_some([(point.x, point.label) for point in points]),
        limit=limit,
    )


def bytes_chart(days: Sequence[tuple[date, int]]) -> Chart | None:
    """Return what backups stored each day as bars; None if nothing is known."""
    if not any(size for _, size in days):
        return None
    sizes = sorted(size for _, size in days if size)
    # one full backup would flatten all other days: it is cut off at the top, and its title says its size
    usual = sizes[-2] if len(sizes) > 3 else sizes[-1]
    top = float(max(min(sizes[-1], 3 * usual), 2))
    base = _HEIGHT - _BOTTOM
    slot = (_WIDTH - _LEFT - _RIGHT) / len(days)
    points = []
    for number, (day, size) in enumerate(days):
        height = round(min(1.0, size / top) * (base - _TOP), 1)
        points.append(
            Point(
                round(_LEFT + number * slot + slot / 2, 1),
                round(base - height, 1),
                height,
                "cut" if size > top else "done",
                f"{day}: {bytes_text(size)}",
                f"{day:%b} {day.day}",
            )
        )
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        base=base,
        bar=round(slot * 0.7, 1),
        points=tuple(points),
        scale=tuple((round(base - part * (base - _TOP), 1), bytes_text(int(part * top))) for part in (0.5, 1.0)),
        labels=_some([(point.x, point.label) for point in points]),
    )


def _some(labels: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Return at most six of the labels, the last among them."""
    every = -(-len(labels) // 6)
    return tuple(reversed(labels[::-1][::every]))


def _day_label(local: datetime) -> str:
    return f"{local:%b} {local.day}"


def _round_up_span(span_s: float) -> float:
    for nice in (
        1,
        2,
        5,
        10,
        20,
        30,
        60,
        120,
        300,
        600,
        1200,
        1800,
        3600,
        5400,
        7200,
        10800,
        14400,
        21600,
        43200,
        86400,
    ):
        if span_s <= nice:
            return float(nice)
    return span_s
