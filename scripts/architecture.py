"""Draws docs/architecture.svg: the rooms of the source in their layers, and which of them import which.

Run by `make reference`; tests/documents/test_architecture.py fails when the committed file is not what this writes.
Rooms of a layer stand in a row. An edge that passes a row goes through a gap of its own between the boxes; rows are
ordered, and shifted, so that edges cross seldom and bend little. The same sources give the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from scripts.room_graph import ROOT, Edge, RoomGraph, purpose, read_room_graph

FILE = ROOT / "docs" / "architecture.svg"
_WIDTH, _MARGIN = 960.0, 14.0
_BOX_HEIGHT, _BASE_HEIGHT, _ROW_GAP = 62.0, 48.0, 34.0
_BOX_WIDTH, _GAP, _PASSAGE = 212.0, 9.0, 10.0
_LETTER_WIDTH = 6.5
_LINES = 3
_SWEEPS = 24
_FACE, _VERBS, _ROOM, _BASE = "#dbeafe", "#fde9c9", "#e2f3e5", "#eef0f3"
_FILLS = {"cli": _FACE, "service": _FACE, "web": _FACE, "notify": _FACE, "operations": _VERBS}
_HIDDEN = frozenset({"__main__"})
_LOWEST = "processes"
"""The lowest layer that is drawn room by room; what is below it serves all and would only add arrows."""


@dataclass(slots=True)
class Spot:
    """A place in a row: a room, or the passage of an edge that goes on below."""

    name: str
    width: float
    is_room: bool = True
    x: float = 0.0
    """The middle."""
    above: list[Spot] = field(default_factory=list)
    below: list[Spot] = field(default_factory=list)


def picture(graph: RoomGraph) -> str:
    """Return the picture as SVG."""
    shown = [layer for layer in graph.layers if not _HIDDEN & set(layer)]
    lowest = next(n for n, layer in enumerate(shown) if _LOWEST in layer) + 1
    base = {room for layer in shown[lowest:] for room in layer}
    rows = _rows(shown[:lowest], [edge for edge in graph.necessary() if not (_HIDDEN | base) & set(edge)])
    _order(rows)
    _shift(rows)
    height = _top(len(rows)) + _BASE_HEIGHT + _MARGIN
    return "\n".join([*_head(height), *_edges(rows), *_boxes(rows), *_base_box(len(rows), base), "</svg>", ""])


def _rows(layers: Sequence[Sequence[str]], edges: Sequence[Edge]) -> list[list[Spot]]:
    """Return the layers as rows of spots, joined from row to row by the edges."""
    level = {room: n for n, layer in enumerate(layers) for room in layer}
    passages = [0] * len(layers)
    for above, below in edges:
        for n in range(level[above] + 1, level[below]):
            passages[n] += 1
    rows = [[Spot(room, _box_width(len(layer), passages[n])) for room in layer] for n, layer in enumerate(layers)]
    spots = {spot.name: spot for row in rows for spot in row}
    for above, below in sorted(edges, key=lambda edge: (level[edge[0]], edge)):
        upper = spots[above]
        for n in range(level[above] + 1, level[below]):
            passage = Spot(f"{above} {below}", _PASSAGE, is_room=False)
            rows[n].append(passage)
            _join(upper, passage)
            upper = passage
        _join(upper, spots[below])
    return rows


def _box_width(rooms: int, passages: int) -> float:
    free = _WIDTH - 2 * _MARGIN - passages * _PASSAGE - (rooms + passages - 1) * _GAP
    return min(_BOX_WIDTH, free / rooms)


def _join(upper: Spot, lower: Spot) -> None:
    upper.below.append(lower)
    lower.above.append(upper)


def _order(rows: list[list[Spot]]) -> None:
    """Sort each row by the middle of its neighbours, up and down in turn, and keep the best order seen."""
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        for row in rows if is_down else reversed(rows):
            places = {id(spot): n / len(other) for other in rows for n, spot in enumerate(other)}
            keys = {}
            for spot in row:
                neighbours = spot.above if is_down else spot.below
                keys[id(spot)] = _mean([places[id(other)] for other in neighbours], places[id(spot)])
            row.sort(key=lambda spot: keys[id(spot)])
        if (crossings := _crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: list[list[Spot]]) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        places = {id(spot): n for n, spot in enumerate(lower)}
        ends = [sorted(places[id(below)] for below in spot.below) for spot in upper]
        flat = [end for group in ends for end in group]
        count += sum(1 for n, first in enumerate(flat) for second in flat[n + 1 :] if second < first)
    return count


def _shift(rows: list[list[Spot]]) -> None:
    """Move each spot towards the middle of its neighbours, as far as its row has room."""
    for row in rows:
        free = _WIDTH - 2 * _MARGIN - sum(spot.width for spot in row) - _GAP * (len(row) - 1)
        left = _MARGIN + free / 2
        for spot in row:
            spot.x = left + spot.width / 2
            left += spot.width + _GAP
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _settle(row, [_mean([n.x for n in (*spot.above, *spot.below)], spot.x) for spot in row])


def _settle(row: list[Spot], wanted: list[float]) -> None:
    edge = _WIDTH - _MARGIN
    for spot, x in zip(reversed(row), reversed(wanted), strict=True):
        spot.x = min(x, edge - spot.width / 2)
        edge = spot.x - spot.width / 2 - _GAP
    edge = _MARGIN
    for spot in row:
        spot.x = max(spot.x, edge + spot.width / 2)
        edge = spot.x + spot.width / 2 + _GAP


def _top(row: int) -> float:
    return _MARGIN + row * (_BOX_HEIGHT + _ROW_GAP)


def _head(height: float) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" text-anchor="middle">'
    )
    yield "<title>The rooms of permafrost's source, in layers; an arrow is an import</title>"
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#7a8699"/></marker></defs>'
    )
    yield f'<rect width="{_WIDTH:.0f}" height="{height:.0f}" rx="8" fill="#ffffff"/>'
    yield '<g fill="none" stroke="#7a8699" stroke-width="1.3">'


def _edges(rows: list[list[Spot]]) -> Iterator[str]:
    """Yield a path for each edge, from its room through its passages to the room below."""
    level = {id(spot): n for n, row in enumerate(rows) for spot in row}
    for row in rows:
        for spot in (one for one in row if one.is_room):
            for below in spot.below:
                yield _path(spot, below, level)
    yield "</g>"


def _path(room: Spot, first: Spot, level: dict[int, int]) -> str:
    upper, lower, y = room, first, _top(level[id(room)]) + _BOX_HEIGHT
    parts = [f"M{_port(room, first):.1f} {y:.1f}"]
    while True:
        bottom = y + _ROW_GAP
        start, end = _port(upper, lower), _port(lower, upper)
        middle = (y + bottom) / 2
        parts.append(f"C{start:.1f} {middle:.1f} {end:.1f} {middle:.1f} {end:.1f} {bottom:.1f}")
        if lower.is_room:
            return f'<path d="{" ".join(parts)}" marker-end="url(#tip)"/>'
        y = bottom + _BOX_HEIGHT
        parts.append(f"V{y:.1f}")
        upper, lower = lower, lower.below[0]


def _port(spot: Spot, other: Spot) -> float:
    """Return where the edge to `other` leaves or enters: side by side, in the order of the other ends."""
    if not spot.is_room:
        return spot.x
    side = spot.below if any(other is one for one in spot.below) else spot.above
    place = [id(one) for one in sorted(side, key=lambda one: one.x)].index(id(other))
    step = min(22.0, (spot.width - 24) / len(side))
    return spot.x + (place - (len(side) - 1) / 2) * step


def _boxes(rows: list[list[Spot]]) -> Iterator[str]:
    for n, row in enumerate(rows):
        for spot in (one for one in row if one.is_room):
            left = spot.x - spot.width / 2
            yield _box(left, _top(n), spot.width, _BOX_HEIGHT, _FILLS.get(spot.name, _ROOM))
            yield from _label(spot, _top(n))


def _label(spot: Spot, top: float) -> Iterator[str]:
    """Yield a room's name and purpose, in the middle of its box."""
    letters = int((spot.width - 8) / _LETTER_WIDTH)
    lines = textwrap.wrap(purpose(spot.name), letters, max_lines=_LINES, placeholder=" ...")
    y = top + 16 + (_LINES - len(lines)) * 6.5
    yield _text(spot.x, y, spot.name, is_title=True)
    yield from (_text(spot.x, y + 14 + 13 * n, line) for n, line in enumerate(lines))


def _base_box(row: int, base: Iterable[str]) -> Iterator[str]:
    top = _top(row)
    yield _box(_MARGIN, top, _WIDTH - 2 * _MARGIN, _BASE_HEIGHT, _BASE)
    yield _text(_WIDTH / 2, top + 20, ", ".join(sorted(base)), is_title=True)
    yield _text(_WIDTH / 2, top + 36, "small, at the bottom of all: any room may import them")


def _box(left: float, top: float, width: float, height: float, fill: str) -> str:
    place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.0f}"'
    return f'<rect {place} rx="5" fill="{fill}" stroke="#94a3b8"/>'


def _text(x: float, y: float, text: str, *, is_title: bool = False) -> str:
    style = 'font-size="14.5" font-weight="600" fill="#0f172a"' if is_title else 'font-size="12" fill="#334155"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def main() -> None:
    """Write the picture."""
    FILE.write_text(picture(read_room_graph()), encoding="utf-8")


if __name__ == "__main__":
    main()
