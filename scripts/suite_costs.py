"""Prints which tests and fixtures cost most CPU, from the folder that `pytest --costs FOLDER` wrote.

make test PYTEST="--costs /tmp/costs" && .venv/bin/python -m scripts.suite_costs /tmp/costs
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PHASES = ("setup", "call", "teardown")


@dataclass(frozen=True)
class Cost:
    """One line of a worker's file: what a phase of a test, or the setup of a fixture, used."""

    kind: str
    test: str
    name: str
    cpu_s: float
    wall_s: float

    @property
    def file(self) -> str:
        """The test's file."""
        return self.test.partition("::")[0]


def read_costs(folder: Path) -> list[Cost]:
    """Return what all workers wrote."""
    return [Cost(**json.loads(line)) for file in sorted(folder.glob("*.jsonl")) for line in file.open()]


def summed(costs: Iterable[tuple[str, float]]) -> Counter[str]:
    """Return the sums of seconds by name."""
    sums: Counter[str] = Counter()
    for name, seconds in costs:
        sums[name] += seconds  # type: ignore[assignment]  # Counter is typed for whole numbers
    return sums


def print_most(title: str, sums: Counter[str], shown: int) -> None:
    """Print the names that cost most."""
    print(f"\n{title}:")
    for name, seconds in sums.most_common(shown):
        print(f"{seconds:8.2f}  {name}")


def main() -> None:
    """Print sums by phase, file, test and fixture, in CPU seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shown", type=int, default=25, help="lines of each list")
    words = parser.parse_args()
    costs = read_costs(words.folder)
    phases = [cost for cost in costs if cost.kind in PHASES]
    ends = sum(cost.cpu_s for cost in costs if cost.kind == "end")
    print(f"{len({cost.test for cost in phases})} tests, {ends:.0f} s of CPU in all, of which:")
    print(f"{sum(cost.cpu_s for cost in costs if cost.kind == 'start'):8.0f}  start of pytest, imports of conftest")
    for phase in PHASES:
        print(f"{sum(cost.cpu_s for cost in phases if cost.kind == phase):8.0f}  {phase}")
    print_most("by file", summed((cost.file, cost.cpu_s) for cost in phases), words.shown)
    print_most("by file, wall seconds", summed((cost.file, cost.wall_s) for cost in phases), words.shown)
    print_most("by test", summed((cost.test, cost.cpu_s) for cost in phases), words.shown)
    print_most("by fixture", summed((cost.name, cost.cpu_s) for cost in costs if cost.kind == "fixture"), words.shown)


if __name__ == "__main__":
    main()
