from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import matplotlib as mpl
import pytest
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from bench.drawing import Line, line_plot, svg
from bench.plots import pictures
from tests.bench.plot_names import NAMES, WHOLE

LINES = (Line("here", ((1.0, 0.2), (5.0, 30.0), (20.0, 140.0))), Line("there", ((1.0, 3.0), (20.0, 2.0))))


@pytest.fixture(scope="module")
def drawn() -> Mapping[str, Figure]:
    """Every plot there is."""
    return pictures(WHOLE)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_covered_or_cut_off(name: str, drawn: Mapping[str, Figure]) -> None:
    """The legend lies beside the axes, all that is drawn is within the picture, and no label lies on another."""
    figure = drawn[name]
    figure.draw_without_rendering()
    (legend,) = figure.legends
    with_labels = [box for axes in figure.axes if (box := axes.get_tightbbox())]
    assert len(with_labels) == len(figure.axes)
    assert not any(box.overlaps(legend.get_window_extent()) for box in with_labels)
    inside, paper = figure.get_tightbbox(), figure.bbox_inches
    assert paper.x0 <= inside.x0 < inside.x1 <= paper.x1
    assert paper.y0 <= inside.y0 < inside.y1 <= paper.y1
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = [
                tick.label1.get_window_extent() for tick in axis.get_major_ticks() if _is_shown(axis, tick.get_loc())
            ]
            assert len(shown) >= 2
            assert not any(one.overlaps(other) for one, other in pairwise(shown))


def test_a_logarithmic_axis_is_told_in_units() -> None:
    """Its marks are 1, 2 and 5 times the powers of ten; of many decades only the powers, and more of less than one."""
    assert _marks((0.2, 140.0)) == ["0.2 s", "0.5 s", "1 s", "2 s", "5 s", "10 s", "20 s", "50 s", "100 s"]
    assert _marks((0.01, 1000.0)) == ["0.01 s", "0.1 s", "1 s", "10 s", "100 s", "1000 s"]
    assert _marks((1.0, 5.0)) == ["1 s", "1.5 s", "2 s", "3 s", "5 s"]
    assert _marks((50_000.0, 1_000_000.0), "bytes") == ["50 kB", "100 kB", "200 kB", "500 kB", "1 MB"]
    assert _marks((0.02, 0.2), "share") == ["2%", "5%", "10%", "20%"]


def test_hours_are_marked_by_whole_days() -> None:
    """So it is over a week and over a month; a few runs are marked one by one."""
    assert _steps(168) == {24}
    assert _steps(720) == {72}
    assert _steps(10) == {1}


def test_settings_of_matplotlibs_user_change_nothing() -> None:
    """The picture is white and the same with whatever is in a matplotlibrc, and names no date."""
    drawn = svg(line_plot("Title", "x", "seconds", LINES))
    with mpl.rc_context({"figure.facecolor": "black", "font.size": 30, "svg.fonttype": "path", "svg.hashsalt": "x"}):
        assert svg(line_plot("Title", "x", "seconds", LINES)) == drawn
    assert "fill: #ffffff" in drawn
    assert "<dc:date>" not in drawn


def test_lines_differ_without_their_colours() -> None:
    """No two have the same dashes and dots."""
    lines = [Line(str(number), LINES[0].points) for number in range(4)]
    drawn = line_plot("Title", "x", "seconds", lines).axes[0].lines
    assert len({(line.get_linestyle(), line.get_marker()) for line in drawn}) == 4


def _is_shown(axis: Axis, place: float) -> bool:
    low, high = sorted(axis.get_view_interval())
    return bool(low <= place <= high)


def _marks(ends: tuple[float, float], unit: str = "seconds") -> list[str]:
    axis = line_plot("Title", "x", unit, [Line("line", ((1.0, ends[0]), (2.0, ends[1])))]).axes[0].yaxis
    places = [float(place) for place in axis.get_majorticklocs() if _is_shown(axis, place)]
    return list(axis.get_major_formatter().format_ticks(places))


def _steps(hours: int) -> set[float]:
    line = Line("line", ((0.0, 1.0), (float(hours), 2.0)))
    marks = line_plot("Title", "x", "seconds", [line], x_is_linear=True).axes[0].get_xticks()
    return {float(later - before) for before, later in pairwise(marks)}
