"""The present version of permafrost against another commit's: the same work in turn, on one server, in one run.

Times depend on what else a machine does; ratios of neighbours in time hardly do. Both versions have a repository of
their own, and back up the same database after the same hours. In every round each does everything once, and who begins
changes from round to round.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.hours import Say, Servers, live_as_mastodon
from bench.measuring import measure
from bench.programs import permafrost
from bench.results import Facts
from bench.revision import ROOT, Version, both_versions
from bench.sections import make_mastodon, running_servers
from bench.server_cpu import cpu_of_server_s
from bench.systems import Permafrost
from bench.tables import text_table
from permafrost.amounts import bytes_text

KINDS = ("first", "hour", "unchanged", "status", "restore")
STORED = ROOT / ".bench"
_SLOWER = 1.05


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: wall time, CPU of its programs, and of the servers for it."""

    wall_s: float
    cpu_s: float
    server_cpu_s: float

    @property
    def all_cpu_s(self) -> float:
        """Processor time on both sides."""
        return self.cpu_s + self.server_cpu_s


Rounds = Mapping[str, Sequence[tuple[Cost, Cost]]]
"""By kind of work, what each round took: the present version, and the compared one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared with what, where and when, and what it took."""

    facts: Facts
    database_bytes: int
    present: str
    compared: str
    rounds: Rounds


def compare(folder: Path, facts: Facts, size_bytes: int, rounds: int, rev: str, say: Say) -> Comparison:
    """Measure the present version and commit `rev`, so many rounds; raise `BenchError` if that cannot be run."""
    with both_versions(folder, rev) as versions, running_servers(folder) as servers:
        data = make_mastodon(servers, size_bytes, say)
        servers.summarize_wal()
        sides = [_Side(folder / f"side-{number}", version, servers) for number, version in enumerate(versions)]
        taken: dict[str, list[tuple[Cost, Cost]]] = defaultdict(list)
        for side in sides:
            side.begin()
        for number in range(rounds):
            live_as_mastodon(servers.conninfo, number, 1.0)
            for kind in KINDS:
                costs = {side: side.take(kind) for side in (sides if number % 2 == 0 else sides[::-1])}
                taken[kind].append((costs[sides[0]], costs[sides[1]]))
                said = " against ".join(f"{costs[side].all_cpu_s:.2f} s" for side in sides)
                say(f"round {number + 1}, {kind}: CPU {said}")
    present, compared = versions
    return Comparison(facts, data.database_bytes, present.commit, compared.commit, dict(taken))


class _Side:
    """A version at work, in a folder of its own."""

    def __init__(self, folder: Path, version: Version, servers: Servers) -> None:
        folder.mkdir()
        self._folder, self._version, self._servers = folder, version, servers
        self._kept = self._new("kept")
        self._firsts = 0

    def _new(self, name: str) -> Permafrost:
        return Permafrost(self._folder / name, self._servers.conninfo, "log", source=self._version.source)

    def begin(self) -> None:
        """Make the first snapshot of the repository that is kept."""
        self._kept.first()

    def take(self, kind: str) -> Cost:
        """Do one kind of work once, and return what it took."""
        done: Mapping[str, Callable[[], Cost]] = {
            "first": self._first,
            "hour": lambda: self._cost(self._kept.hourly),
            "unchanged": self._unchanged,
            "status": lambda: self._cost(self._status),
            "restore": self._restore,
        }
        return done[kind]()

    def _first(self) -> Cost:
        self._firsts += 1
        system = self._new(f"first-{self._firsts}")
        return self._cost(system.first)

    def _unchanged(self) -> Cost:
        self._kept.hourly()  # the other side's run has left its mark in the server's history since
        return self._cost(self._kept.hourly)

    def _status(self) -> int:
        config = f"--config={self._kept.config_file}"
        return len(permafrost("status", config, "--json", codes=(0, 3), source=self._version.source).text)

    def _restore(self) -> Cost:
        names: list[str] = []
        cost = self._cost(lambda: names.append(self._kept.restore(self._servers.target)))
        self._servers.drop_restored(names[0])
        return cost

    def _cost(self, work: Callable[[], object]) -> Cost:
        os.sync()
        before = self._servers_cpu_s()
        took = measure(lambda: int(bool(work())))
        return Cost(took.wall_s, took.cpu_s, self._servers_cpu_s() - before)

    def _servers_cpu_s(self) -> float:
        return cpu_of_server_s(self._servers.source.pid) + cpu_of_server_s(self._servers.target.pid)


def report(comparison: Comparison) -> list[str]:
    """Return the lines of a table of ratios, median and spread over the rounds; 1 is as long as the compared commit."""
    headings = (
        "present / compared",
        "CPU of both sides",
        "CPU of the programs",
        "CPU of the server",
        "time",
        "seconds",
    )
    rows = [_row(kind, comparison.rounds[kind]) for kind in KINDS if kind in comparison.rounds]
    slower = [row[0] for row in rows if float(row[1].split()[0]) > _SLOWER]
    said = f"slower by more than {_SLOWER - 1:.0%} of the CPU: {', '.join(slower) or 'nothing'}"
    where = f"{comparison.present} against {comparison.compared}, {bytes_text(comparison.database_bytes)}"
    return [where, "", *text_table(headings, rows), "", said]


def _row(kind: str, rounds: Sequence[tuple[Cost, Cost]]) -> tuple[str, ...]:
    ours, theirs = (statistics.median(pair[side].all_cpu_s for pair in rounds) for side in (0, 1))
    return (
        kind,
        _ratio(rounds, lambda cost: cost.all_cpu_s),
        _ratio(rounds, lambda cost: cost.cpu_s),
        _ratio(rounds, lambda cost: cost.server_cpu_s),
        _ratio(rounds, lambda cost: cost.wall_s),
        f"{ours:.2f} / {theirs:.2f}",
    )


def _ratio(rounds: Sequence[tuple[Cost, Cost]], of: Callable[[Cost], float]) -> str:
    """Return the median of the ratios round by round, the least and the greatest; '' where nothing was used."""
    found = sorted(of(ours) / of(theirs) for ours, theirs in rounds if of(theirs) > 0)
    return f"{statistics.median(found):.2f} ({found[0]:.2f}-{found[-1]:.2f})" if found else ""


def store(comparison: Comparison, folder: Path = STORED) -> Path:
    """Write the comparison as JSON, named by both commits, and return the file."""
    folder.mkdir(exist_ok=True)
    name = f"{comparison.present}-against-{comparison.compared}".replace(" ", "-")
    file = folder / f"{name}-{bytes_text(comparison.database_bytes).replace(' ', '-')}.json"
    file.write_text(json.dumps(asdict(comparison), indent=1) + "\n")
    return file
