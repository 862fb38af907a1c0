"""The rooms of the source, their layers and their imports, read from the program and from pyproject.toml.

A room is a package or a module directly below `permafrost`. The layers are those of import-linter's contract, the
imports those that grimp finds in the sources, so that a picture of them cannot differ from the program.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "permafrost"

Edge = tuple[str, str]
"""The importing room and the imported one."""


@dataclass(frozen=True, slots=True)
class RoomGraph:
    """The rooms by layer, from the top to the bottom, and which of them import which."""

    layers: tuple[tuple[str, ...], ...]
    imports: frozenset[Edge]

    def necessary(self) -> frozenset[Edge]:
        """Return the imports that do not follow from others: the transitive reduction of a graph without circles."""
        imported = {room: {below for above, below in self.imports if above == room} for room in self._rooms()}
        return frozenset(
            (above, below)
            for above, below in self.imports
            if not any(below in _reached(between, imported) for between in imported[above] - {below})
        )

    def _rooms(self) -> Iterable[str]:
        return (room for layer in self.layers for room in layer)


def read_room_graph() -> RoomGraph:
    """Return the graph of the rooms that exist; a layer whose rooms are all still to be built is left out."""
    graph = grimp.build_graph(_PACKAGE, cache_dir=None)
    rooms = {parts[1] for module in graph.modules if len(parts := module.split(".")) > 1}
    layers = (tuple(room for room in layer if room in rooms) for layer in _contract_layers())
    return RoomGraph(
        layers=tuple(layer for layer in layers if layer),
        imports=frozenset(
            (above, below)
            for module in graph.modules
            for imported in graph.find_modules_directly_imported_by(module)
            if (above := _room(module)) != (below := _room(imported)) and above and below
        ),
    )


def purpose(room: str) -> str:
    """Return the first sentence of the room's docstring, without its full stop."""
    place = ROOT / "src" / _PACKAGE / room
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return re.split(r"\.(?:\s|$)", text, maxsplit=1)[0].replace("\n", " ")


def _contract_layers() -> list[list[str]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (one for one in document["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def _room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def _reached(start: str, imported: dict[str, set[str]]) -> set[str]:
    reached, ahead = set[str](), [start]
    while ahead:
        for below in imported[ahead.pop()] - reached:
            reached.add(below)
            ahead.append(below)
    return reached
