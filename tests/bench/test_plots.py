from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.dom.minidom import parseString

from matplotlib.patches import Rectangle

from bench.plots import pictures, plots
from bench.report import document
from bench.results import Results, save_results
from tests.bench.measurements import ONE_SIZE
from tests.bench.plot_names import NAMES, WHOLE


def test_the_document_names_the_plots_that_are_drawn() -> None:
    """Every plot is in the document and is well-formed; what was not measured is not drawn."""
    drawn = plots(WHOLE)
    assert sorted(drawn) == NAMES
    text = document(WHOLE)
    for name, picture in drawn.items():
        assert f"(plots/{name})" in text
        assert parseString(picture).getElementsByTagName("text")  # noqa: S318 - our own
    assert plots(Results(ONE_SIZE)) == {}


def test_the_same_numbers_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    """What the command writes is what is drawn here, and what it writes again."""
    save_results(tmp_path / "benchmarks.json", WHOLE)
    drawn = plots(WHOLE)
    for _ in range(2):
        command = (sys.executable, "-m", "bench", "--render", f"--output={tmp_path}")
        subprocess.run(command, check=True, capture_output=True)
        assert {file.name: file.read_text() for file in (tmp_path / "plots").iterdir()} == drawn


def test_bench_starts_without_matplotlib() -> None:
    """Only who draws waits for its import."""
    code = "import sys, bench.__main__; print('matplotlib' in sys.modules)"
    assert subprocess.run((sys.executable, "-c", code), check=True, capture_output=True, text=True).stdout == "False\n"


def test_every_kind_of_work_has_its_place_in_the_bar() -> None:
    """The parts of a run lie end to end, over the time that it took."""
    first, hour, unchanged = pictures(WHOLE)["work.svg"].axes
    assert [axes.get_title(loc="left") for axes in (first, hour, unchanged)] == ["first run", "an hour", "unchanged"]
    whole, *parts = (patch for patch in first.patches if isinstance(patch, Rectangle))
    assert whole.get_width() == 7.0
    assert [(part.get_x(), part.get_width()) for part in parts if part.get_width()] == [(0, 5.5), (5.5, 4), (9.5, 0.5)]
    assert [text.get_text() for text in first.texts] == ["fetch", "compress"]
