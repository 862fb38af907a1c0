"""First backup and restore, next to what neither can do without: who takes which second of the processors?

All of them take turns, so that whatever else the machine does affects all of them alike. A backup cannot do without
reading all rows, which `pg_dump` to nowhere shows, and compressing them, which zstd of the same bytes shows. A restore
cannot do without loading the rows and building the indexes, which `pg_restore` of the two sections alone shows.
"""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psycopg
from psycopg import sql

from bench.cpu_by_program import CpuByProgram
from bench.data import check_equal
from bench.hours import Say, Servers
from bench.limits_results import Attributed, Part, StepTaken, Way
from bench.measuring import measure
from bench.programs import permafrost_steps, pipe
from bench.results import Facts, Limits
from bench.sections import make_mastodon, running_servers
from bench.server_cpu import cpu_of_server_s, cpu_of_tree_s
from bench.systems import Permafrost
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import PassphraseSealing, seal_program
from permafrost.postgres.programs.clients import client_program

_DUMP, _DUMP_ZSTD = "pg_dump, to nowhere", "pg_dump, zstd -3, to nowhere"
_ROWS, _INDEXES, _ANALYZE = "pg_restore -j2 of the rows", "pg_restore -j2 of indexes and keys", "ANALYZE"
_LIMITS = (_DUMP_ZSTD, _ROWS, _INDEXES)
_RESTORED, _PLAIN = "restored", "plain"
_REST = "what was not seen"


def measure_limits(folder: Path, facts: Facts, size_bytes: int, rounds: int, say: Say) -> Limits:
    """Measure so many rounds on a database of that size; every restore of ours is compared row by row."""
    with running_servers(folder) as servers, temporary_home() as home:
        data = make_mastodon(servers, size_bytes, say)
        pieces = _Pieces(folder, servers, home, say)
        steps = tuple(pieces.round(number) for number in range(rounds))
    return Limits(facts, data, pieces.ways(), steps)


class _Pieces:
    """What is measured, piece by piece."""

    def __init__(self, folder: Path, servers: Servers, home: Path, say: Say) -> None:
        self._folder, self._servers, self._home, self._say = folder, servers, home, say
        self._runs: dict[tuple[Part, str], list[Attributed]] = defaultdict(list)
        self._archive = folder / "archive.dump"

    def ways(self) -> tuple[Way, ...]:
        """Return all that was measured."""
        return tuple(Way(part, name, tuple(runs), name in _LIMITS) for (part, name), runs in self._runs.items())

    def round(self, number: int) -> tuple[StepTaken, ...]:
        """Make a first backup and restore it, and do alone what both cannot do without; return the restore's steps."""
        system = Permafrost(self._folder / f"log-{number}", self._servers.conninfo, "log")
        passphrase = system.config_file.with_name("passphrase")
        self._backups(system, passphrase)
        steps: list[StepTaken] = []
        self._take("restore", "permafrost restore", lambda: steps.extend(self._by_step(system, passphrase)))
        check_equal(self._servers.conninfo, self._servers.target.conninfo(_RESTORED))
        self._servers.drop_restored(_RESTORED)
        shutil.rmtree(passphrase.parent)
        self._sections()
        return tuple(steps)

    def _backups(self, system: Permafrost, passphrase: Path) -> None:
        self._take("backup", "permafrost backup, first", system.first)
        dump = (client_program("pg_dump", self._servers.major), f"--dbname={self._servers.conninfo}")
        zstd, gpg = ("zstd", "-3", "-q", "-c"), seal_program(PassphraseSealing(passphrase), self._home).argv
        self._take("backup", _DUMP, lambda: pipe(dump))
        self._take("backup", _DUMP_ZSTD, lambda: pipe(dump, zstd))
        self._take("backup", "pg_dump, zstd -3, gpg, to nowhere", lambda: pipe(dump, zstd, gpg))
        if not self._archive.exists():
            pipe((*dump, "--format=custom", "--compress=0"), target=self._archive)

    def _sections(self) -> None:
        """Load what pg_dump has written, section by section, then collect statistics."""
        target = self._servers.target.conninfo(_PLAIN)
        program = client_program("pg_restore", self._servers.major)

        def load(section: str) -> None:
            pipe((program, "--exit-on-error", f"--section={section}", "--jobs=2", f"--dbname={target}", self._archive))

        with psycopg.connect(self._servers.target.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_PLAIN)))
        load("pre-data")
        self._take("restore", _ROWS, lambda: load("data"))
        self._take("restore", _INDEXES, lambda: load("post-data"))
        with psycopg.connect(target, autocommit=True) as connection:
            self._take("restore", _ANALYZE, lambda: connection.execute("ANALYZE"))
        self._servers.drop_restored(_PLAIN)

    def _take(self, part: Part, name: str, work: Callable[[], object]) -> None:
        """Do the work, and note who took how much of the processors for it."""
        os.sync()
        before = self._server_cpu_s()
        followed = CpuByProgram(os.getpid())
        try:
            took = measure(lambda: int(bool(work())))
        finally:
            by_program = dict(followed.stop())
        rest = took.cpu_s - sum(by_program.values())
        taken = Attributed(took.wall_s, {**by_program, _REST: max(0.0, rest)}, self._server_cpu_s() - before)
        self._runs[part, name].append(taken)
        self._say(f"{name}: {taken.wall_s:.1f} s, CPU {taken.all_cpu_s:.1f} s, {taken.server_cpu_s:.1f} s the server's")

    def _by_step(self, system: Permafrost, passphrase: Path) -> list[StepTaken]:
        """Restore the newest snapshot; return what each step took."""
        marks: list[tuple[str, float, float, float]] = []

        def mark(title: str, pid: int | None) -> None:
            cpu_s = cpu_of_tree_s(pid) if pid is not None else self._own_cpu_s()
            marks.append((title, time.monotonic(), cpu_s, self._server_cpu_s()))

        own_before = self._own_cpu_s()
        permafrost_steps(
            *("restore", "latest", f"--repository={system.repository}", f"--database={_RESTORED}", "--json"),
            *(f"--passphrase-file={passphrase}", f"--server={self._servers.target.conninfo('postgres')}"),
            f"--runbook={passphrase.with_name('runbook')}",
            on_step=mark,
        )
        mark("", None)
        title, at, cpu_s, server_s = marks.pop()
        marks.append((title, at, cpu_s - own_before, server_s))
        return [
            StepTaken(title, later[1] - at, later[2] - cpu_s, later[3] - server_s)
            for (title, at, cpu_s, server_s), later in pairwise(marks)
        ]

    def _server_cpu_s(self) -> float:
        return cpu_of_server_s(self._servers.source.pid) + cpu_of_server_s(self._servers.target.pid)

    def _own_cpu_s(self) -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
