"""docs/architecture.md and its picture are about the program as it is."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from scripts.architecture import FILE, picture
from scripts.room_graph import ROOT, RoomGraph, read_room_graph

DOCUMENTS = ("architecture.md", "engine.md")
MODULE = re.compile(r"`((?:\w+/)+\w+\.py)`")


@pytest.fixture(scope="module")
def graph() -> RoomGraph:
    """The rooms as they are imported."""
    return read_room_graph()


def test_the_picture_is_up_to_date(graph: RoomGraph) -> None:
    """The committed picture is what `make reference` draws; if this fails, run that."""
    assert FILE.read_text(encoding="utf-8") == picture(graph)


def test_every_room_is_in_the_picture(graph: RoomGraph) -> None:
    """Each room stands in the picture, and each import is drawn or follows from those that are."""
    drawn = picture(graph)
    for room in set(chain.from_iterable(graph.layers)) - {"__main__"}:
        assert re.search(rf">(?:[\w, ]*, )?{room}(?:, [\w, ]*)?</text>", drawn), room
    reached = set(graph.necessary())
    while longer := {(a, d) for a, b in reached for c, d in reached if b == c} - reached:
        reached |= longer
    assert reached >= graph.imports


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_modules_exist(document: str) -> None:
    """Each module that the document names is a file of the sources."""
    named = MODULE.findall((ROOT / "docs" / document).read_text(encoding="utf-8"))
    assert len(named) > 10
    for module in named:
        places = (ROOT / module, ROOT / "src/permafrost" / module)
        assert any(place.is_file() for place in places), f"{document} names {module}"
