"""The plots of docs/benchmarks.md: SVG written by hand, the same bytes for the same numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.measuring import median
from bench.report import sizes_of
from bench.results import LogRuns, Minutes, Results, Series
from bench.rows import median_hour
from bench.week_report import PLOT
from bench.week_results import Week
from bench.week_rules import file_stored, newest_hours
from permafrost.cli.amounts import bytes_text

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 20, 40, 90
_COLOURS = ("#b5482a", "#7a7a7a", "#1f6f8b", "#3c8d53")
_DASHES = ("", "6 4", "", "2 3")
_DOTS = 40
_STEPS = (1, 2, 3, 6, 12, 24)


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points; both coordinates are above 0. Without points it is only named."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis from `low` to `high`, drawn from `start` to `end` in pixels, logarithmic or linear."""

    low: float
    high: float
    start: float
    end: float
    is_linear: bool = False

    def place(self, value: float) -> float:
        if self.is_linear:
            return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return 1, 2 and 5 times the powers of ten between both ends, or the powers alone if those are many.

        On a linear axis, return whole numbers, about ten of them, that go well with hours and minutes.
        """
        if self.is_linear:
            least = (self.high - self.low) / 12
            step = next((one for one in _STEPS if one >= least), math.ceil(least))
            first = math.ceil(self.low / step) * step
            return [float(mark) for mark in range(first, math.floor(self.high) + 1, step)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(decades) <= 4 else (1,)
        marks = [step * 10.0**decade for decade in decades for step in steps]
        return [mark for mark in marks if self.low * 0.999 <= mark <= self.high * 1.001]


def plots(results: Results) -> Mapping[str, str]:
    """Return the plots that can be drawn, by file name."""
    drawn = {}
    if sizes := sizes_of(results):
        over = ("size of the database, GB", [run.data.database_bytes / 1e9 for run in sizes.runs])
        drawn.update(_both("size", over, sizes))
    if results.churns:
        over = ("new row versions in an hour", [float(median_hour(run).rows) for run in results.churns.runs])
        drawn.update(_both("churn", over, results.churns))
    if results.minutes:
        drawn.update(_minutes(results.minutes))
    if results.one_size and results.one_size.week:
        drawn[PLOT] = _week(results.one_size.week)
    return drawn


def _minutes(measured: Minutes) -> dict[str, str]:
    label, minutes = "run, one a minute", list(enumerate(measured.minutes, 1))

    def line(name: str, values: Sequence[tuple[int, float | None]]) -> Line:
        return Line(name, tuple((float(number), value) for number, value in values if value))

    lag = (
        line("the vault's receipt is there", [(number, one.receipt_s) for number, one in minutes]),
        line("the vault's Syncthing holds it", [(number, one.held_s) for number, one in minutes]),
        line("the run is over", [(number, one.run.wall_s) for number, one in minutes]),
    )
    share = (
        line("server, all together", [(number, one.server_share) for number, one in minutes]),
        line("vault, all together", [(number, one.vault_share) for number, one in minutes]),
    )
    return {
        "lag-by-minute.svg": line_plot("Time since a run began", label, "seconds", lag, x_is_linear=True),
        "share-by-minute.svg": line_plot("Share of one core", label, "share", share, x_is_linear=True),
    }


def _week(week: Week) -> str:
    """Return the plot of what each system stored over the week; at its end, after the removal."""
    lines = [
        Line(one.name, (*((run.hour, run.stored_bytes) for run in one.runs[:-1]), (week.hours, one.stored_bytes)))
        for one in week.systems
    ]
    published = week.files[0]
    versions = len(published.kept_hours)
    at_hours = (
        (hour, file_stored(replace(published, kept_hours=newest_hours(hour, versions)), week.hours))
        for hour in range(week.hours + 1)
    )
    lines.append(Line(f"{published.name}, {versions} files, computed", tuple(at_hours)))
    return line_plot("Bytes stored over a week", "hour", "bytes", lines, x_is_linear=True)


def _both(name: str, over: tuple[str, list[float]], series: Series) -> dict[str, str]:
    label, xs = over

    def line(title: str, ys: Sequence[float]) -> Line:
        return Line(title, tuple(sorted(zip(xs, ys, strict=True))))

    runs: tuple[LogRuns, ...] = series.runs
    published = [median(run.published) for run in runs]
    hours = [median_hour(run) for run in runs]
    time = (
        line("published set-up, each hour", [one.wall_s for one in published]),
        line("log engine, first run", [run.first.wall_s for run in runs]),
        line("log engine, each hour", [one.wall_s for one in hours]),
        line("1/20 of the published set-up", [one.wall_s / 20 for one in published]),
    )
    size = (
        line("published set-up, each hour", [one.size_bytes for one in published]),
        line("1.5 x zstd -3 of the changed rows", [1.5 * one.zstd_bytes for one in hours]),
        line("log engine, each hour", [one.bytes_new for one in hours]),
    )
    return {
        f"time-by-{name}.svg": line_plot(f"Time of a backup by {name}", label, "seconds", time),
        f"bytes-by-{name}.svg": line_plot(f"Bytes to send by {name}", label, "bytes", size),
    }


def line_plot(title: str, x_label: str, y_label: str, lines: Sequence[Line], *, x_is_linear: bool = False) -> str:
    """Return an SVG of lines over two logarithmic axes, or over a linear one from side to side."""
    x = _axis([point[0] for line in lines for point in line.points], _LEFT, _WIDTH - _RIGHT)
    if x_is_linear:
        x = _Axis(x.low * 1.25 - 1, x.high / 1.25 + 1, x.start, x.end, is_linear=True)
    y = _axis([point[1] for line in lines for point in line.points], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_WIDTH / 2, 24, title, anchor="middle", size=15),
    ]
    for mark in x.ticks():
        at = x.place(mark)
        parts.append(_rule(at, _TOP, at, _HEIGHT - _BOTTOM))
        parts.append(_text(at, _HEIGHT - _BOTTOM + 18, f"{mark:,.10g}", anchor="middle"))
    for mark in y.ticks():
        at = y.place(mark)
        parts.append(_rule(_LEFT, at, _WIDTH - _RIGHT, at))
        told = {"bytes": bytes_text(round(mark)), "seconds": f"{mark:g} s", "share": f"{mark * 100:g}%"}[y_label]
        parts.append(_text(_LEFT - 8, at + 4, told, anchor="end"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - _BOTTOM + 36, x_label, anchor="middle"))
    for number, line in enumerate(lines):
        parts += _drawn(number, line, x, y)
    return "\n".join((*parts, "</svg>", ""))


def _drawn(number: int, line: Line, x: _Axis, y: _Axis) -> list[str]:
    """Return the line, a dot for each point if they are few, and its place in the legend."""
    colour, dashes = _COLOURS[number], _DASHES[number]
    places = [(x.place(a), y.place(b)) for a, b in line.points]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    radius = 3 if len(places) <= _DOTS else 0
    stroke = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
    left, top = _LEFT + 260 * (number % 2), _HEIGHT - 32 + 20 * (number // 2)
    return [
        f'<polyline points="{path}" {stroke}/>',
        *(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius}" fill="{colour}"/>' for a, b in places if radius),
        f'<polyline points="{left},{top - 4} {left + 26},{top - 4}" {stroke}/>',
        _text(left + 32, top, line.name),
    ]


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    return _Axis(min(values) / 1.25, max(values) * 1.25, start, end)


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(text)}</text>'
