"""Pictures drawn by matplotlib, without a display and without its user's settings.

The same numbers give the same bytes from the same version of matplotlib, which brings the font that it measures by.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import cycle

from matplotlib import color_sequences, style
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullLocator
from matplotlib.typing import ColorType

from permafrost.amounts import bytes_text

_COLOURS = color_sequences["petroff10"]  # chosen so that colour-blind people can tell them apart
_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^v"
_DOTS = 40
_STEPS = (1, 2, 3, 6, 12, 24)
_MANY_MARKS = 12
_STEPS_OF_TEN = ((1e1, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)), (1e4, (1.0, 2.0, 5.0)))
_LEGEND_COLUMNS = 5
_ROOM_FOR_A_NAME = 0.12
_UNITS: Mapping[str, Callable[[float], str]] = {
    "bytes": lambda value: bytes_text(round(value)),
    "seconds": lambda value: f"{value:g} s",
    "share": lambda value: f"{value * 100:g}%",
}
_STYLE = {
    "figure.constrained_layout.use": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.hashsalt": "permafrost",
    "svg.fonttype": "none",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points; on a logarithmic axis they are above 0. Without points it is only named."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A named bar of parts by kind, and what it is compared with."""

    name: str
    parts: Mapping[str, float]
    whole: float


def line_plot(title: str, x_label: str, unit: str, lines: Sequence[Line], *, x_is_linear: bool = False) -> Figure:
    """Return lines over two logarithmic axes, or over whole numbers from side to side; the legend is below them."""
    with _our_style():
        figure = Figure(figsize=(7.5, 5))
        axes = figure.add_subplot(title=title, xlabel=x_label)
        for number, line in enumerate(lines):
            axes.plot(
                [x for x, _ in line.points],
                [y for _, y in line.points],
                label=line.name,
                color=_COLOURS[number],
                linestyle=_DASHES[number % len(_DASHES)],
                linewidth=2,
                marker=_MARKERS[number % len(_MARKERS)] if len(line.points) <= _DOTS else "",
                markersize=4,
            )
        if x_is_linear:
            _mark_whole_numbers(axes.xaxis)
        else:
            axes.set_xscale("log")
            _mark_powers_of_ten(axes.xaxis, lambda value: f"{value:,.10g}")
        axes.set_yscale("log")
        _mark_powers_of_ten(axes.yaxis, _UNITS[unit])
        axes.grid()
        figure.legend(loc="outside lower center", ncols=2, handlelength=4)
    return figure


def bars_plot(title: str, unit: str, whole: str, kinds: Sequence[str], bars: Sequence[Bar]) -> Figure:
    """Return horizontal bars, each stacked of its kinds, over the whole that it is compared with, at its own scale."""
    tell = _UNITS[unit]
    with _our_style():
        figure = Figure(figsize=(7.5, 1.3 * len(bars) + 1))
        figure.suptitle(title)
        for place, bar in enumerate(bars, 1):
            axes = figure.add_subplot(len(bars), 1, place)
            axes.set_title(bar.name, loc="left", fontsize="medium")
            axes.set_yticks((0, 1), (whole, "by kind"))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tell(value)))
            axes.barh(0, bar.whole, color="white", edgecolor="black")
            end = 0.0
            for kind, colour in zip(kinds, cycle(_COLOURS)):
                part = bar.parts.get(kind, 0.0)
                drawn = axes.barh(1, part, left=end, color=colour, edgecolor="white", label=kind)
                if part > _ROOM_FOR_A_NAME * max(bar.whole, sum(bar.parts.values())):
                    axes.bar_label(drawn, [kind], label_type="center", color=_readable_on(colour))
                end += part
        legend = figure.axes[0].get_legend_handles_labels()
        figure.legend(*legend, loc="outside lower center", ncols=min(len(kinds), _LEGEND_COLUMNS))
    return figure


def svg(figure: Figure) -> str:
    """Return the picture; it names neither a date nor matplotlib's version."""
    file = io.StringIO()
    with _our_style():
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _our_style() -> AbstractContextManager[None]:
    return style.context(["default", _STYLE])


def _readable_on(colour: ColorType) -> str:
    red, green, blue = to_rgb(colour)
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue >= 0.5 else "white"


def _mark_whole_numbers(axis: Axis) -> None:
    """Mark about ten whole numbers that go well with hours and minutes."""
    low, high = axis.get_data_interval()
    least = (high - low) / _MANY_MARKS
    step = next((one for one in _STEPS if one >= least), 24 * math.ceil(least / 24))
    axis.set_major_locator(MultipleLocator(step))


def _mark_powers_of_ten(axis: Axis, tell: Callable[[float], str]) -> None:
    """Mark them and twice and five times each; over many decades them alone, within one or less some more."""
    low, high = axis.get_view_interval()
    steps = next((steps for most, steps in _STEPS_OF_TEN if high / low <= most), (1.0,))
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: tell(value)))
