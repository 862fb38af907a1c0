"""python -m bench: measures, and writes docs/benchmarks.md, its plots, and the numbers that both are made of.

One run measures one part: everything at one size; with --sizes the log engine at several sizes; with --churns the
log engine with several amounts of churn; with --limits first backup and restore next to what neither can do without;
with --growth what commands cost as the repository and its records grow; with --summaries the log engine at several
sizes where PostgreSQL, 17 or newer, says which blocks have changed; with --pgbench the log engine and others on
pgbench's database; with --minutes a backup every minute, carried to a vault. The parts measured before stay in the
document, each with its own date. With --compare the present version runs against another commit's, and the ratios are
printed and kept apart.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from bench.changed_blocks import PUBLISHED_UP_TO_BYTES, measure_changed_blocks
from bench.changed_sizes import merged
from bench.compare import compare, report, store
from bench.growth import measure_growth
from bench.growth_results import Size
from bench.limits import measure_limits
from bench.minutes import measure_minutes
from bench.pgbench import measure_pgbench
from bench.programs import BenchError, temporary_folder
from bench.report import document, summary
from bench.results import Facts, Results, load_results, save_results
from bench.sections import measure_churns, measure_one_size, measure_sizes
from permafrost import __version__
from permafrost.errors import PermafrostError
from permafrost.postgres.programs.binaries import server_binaries

_OBJECTS, _RUNS = 100, 33  # of each snapshot that is kept: a server after some years
DOCUMENTS = Path(__file__).resolve().parent.parent / "docs"


def main() -> int:
    """Measure, print and write; return the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    if options.compare:
        return _compare(options)
    file = options.output / "benchmarks.json"
    results = load_results(file)
    try:
        if not options.render:
            with temporary_folder() as folder:
                results = _measure(options, results, folder)
    except (BenchError, PermafrostError) as error:
        print(f"bench: failed: {error}", file=sys.stderr)
        return 1
    options.output.mkdir(exist_ok=True)
    save_results(file, results)
    _draw(results, options.output / "plots")
    (options.output / "benchmarks.md").write_text(document(results))
    print("\n".join(("", *summary(results))))
    print(f"\nwritten: {options.output / 'benchmarks.md'}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    try:
        with temporary_folder() as folder:
            found = compare(folder, _facts(), round(options.size * 1e9), options.hours, options.compare, _say)
    except (BenchError, PermafrostError) as error:
        print(f"bench: failed: {error}", file=sys.stderr)
        return 1
    print("\n".join(("", *report(found))))
    print(f"\nwritten: {store(found)}")
    return 0


def _draw(results: Results, folder: Path) -> None:
    from bench.plots import plots  # noqa: PLC0415 - it imports matplotlib, which would delay all else

    for name, picture in plots(results).items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(picture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--size", type=float, default=0.3, metavar="GB", help="about so big a database; default 0.3")
    parser.add_argument("--hours", type=int, default=3, metavar="N", help="hours of churn; default 3")
    parser.add_argument(
        "--week-hours", type=int, default=168, metavar="N", help="hours of the week after them; default 168, 0 for none"
    )
    parser.add_argument(
        "--without-summaries",
        action="store_true",
        help="no summarize_wal, though the server can (everything at one size)",
    )
    parser.add_argument(
        "--published-up-to",
        type=float,
        default=PUBLISHED_UP_TO_BYTES / 1e9,
        metavar="GB",
        help="--summaries measures the published set-up up to this size; default 10",
    )
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--sizes", type=_numbers, metavar="GB,GB", help="the log engine at these sizes")
    parts.add_argument("--churns", type=_numbers, metavar="X,X", help="the log engine with so many times the churn")
    parts.add_argument(
        "--summaries", type=_numbers, metavar="GB,GB", help="changed blocks, both settings, at these sizes"
    )
    parts.add_argument(
        "--pgbench", type=int, metavar="SCALE", help="another kind of database: pgbench's, of that scale"
    )
    parts.add_argument("--limits", type=int, metavar="N", help="first backup and restore, and their limits, N rounds")
    parts.add_argument("--growth", type=_counts, metavar="N,N", help="commands on a repository of so many snapshots")
    parts.add_argument("--minutes", type=int, metavar="N", help="a backup every minute, so many, carried to a vault")
    parts.add_argument("--compare", metavar="REV", help="this version against that commit's, --hours rounds in turn")
    parts.add_argument("--render", action="store_true", help="measure nothing, write the document again")
    parser.add_argument("--output", type=Path, default=DOCUMENTS, metavar="DIR", help="where all of it goes")
    options = parser.parse_args()
    amounts = (
        options.size,
        *(options.sizes or ()),
        *(options.churns or ()),
        *(options.summaries or ()),
        *(options.growth or ()),
    )
    if min(amounts) <= 0 or options.hours < 1:
        parser.error("sizes and churns have to be above 0, and --hours at least 1")
    if any(one is not None and one < 1 for one in (options.pgbench, options.minutes, options.limits)):
        parser.error("--pgbench, --minutes and --limits have to be at least 1")
    if options.week_hours < 0:
        parser.error("--week-hours has to be 0 or more")
    return options


def _measure(options: argparse.Namespace, results: Results, folder: Path) -> Results:
    facts = _facts()
    if options.sizes:
        sizes = [round(one * 1e9) for one in options.sizes]
        return replace(results, sizes=measure_sizes(folder, facts, sizes, options.hours, _say))
    if options.growth:
        grown = [Size(count, _OBJECTS * count, _RUNS * count) for count in options.growth]
        return replace(results, growth=measure_growth(folder, facts, grown, _say))
    if options.summaries:
        sizes = [round(one * 1e9) for one in options.summaries]
        limit = round(options.published_up_to * 1e9)
        measured = measure_changed_blocks(folder, facts, sizes, options.hours, _say, published_up_to_bytes=limit)
        return replace(results, changed_blocks=merged(results.changed_blocks, measured))
    return _measure_at_one_size(options, facts, results, folder)


def _measure_at_one_size(options: argparse.Namespace, facts: Facts, results: Results, folder: Path) -> Results:
    size = round(options.size * 1e9)
    if options.churns:
        return replace(results, churns=measure_churns(folder, facts, size, options.churns, options.hours, _say))
    if options.limits:
        return replace(results, limits=measure_limits(folder, facts, size, options.limits, _say))
    if options.minutes:
        return replace(results, minutes=measure_minutes(folder, facts, size, options.minutes, _say))
    if options.pgbench:
        return replace(results, pgbench=measure_pgbench(folder, facts, options.pgbench, options.hours, _say))
    one_size = measure_one_size(
        *(folder, facts, size, options.hours, _say),
        week_hours=options.week_hours,
        summarizes_wal=not options.without_summaries,
    )
    return replace(results, one_size=one_size)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(one) for one in text.split(","))


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _facts() -> Facts:
    return Facts(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        command=shlex.join(("python", "-m", "bench", *_telling(sys.argv[1:]))),
        cpus=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        versions={"permafrost": __version__, **_versions(), "Python": platform.python_version()},
    )


def _telling(words: Sequence[str]) -> list[str]:
    """Return the words of a command that say what is measured, and not where the document goes."""
    return [
        word
        for before, word in zip(("", *words), words, strict=False)
        if "--output" not in (before, word) and not word.startswith("--output=")
    ]


def _versions() -> dict[str, str]:
    """Return the versions of the programs that are installed; not every part needs all."""
    words = {
        "PostgreSQL": (str(server_binaries() / "postgres"), "--version"),
        "GnuPG": ("gpg", "--version"),
        "gzip": ("gzip", "--version"),
        "zstd": ("zstd", "--version"),
        "restic": ("restic", "version"),
        "borg": ("borg", "--version"),
        "pgBackRest": ("pgbackrest", "version"),
        "Syncthing": ("syncthing", "--version"),
    }
    return {name: _version_of(*command) for name, command in words.items() if shutil.which(command[0])}


def _version_of(program: str, word: str) -> str:
    said = subprocess.run((program, word), capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else "?"


def _say(text: str) -> None:
    print(text, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
