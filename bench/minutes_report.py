"""Renders what a backup every minute takes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.judgement import Figure
from bench.results import Minute, Minutes
from bench.tables import markdown
from bench.texts import data_text, facts_text
from permafrost.amounts import bytes_text

MINUTES = ("of each run", "median", "worst")

_TEXT = """\
A server and one vault, paired by permafrost's own commands (`vault invite`, `vault join`, `run`, `vault run`), both on
this machine. After the first snapshot, `permafrost backup` is started every {pause} of the clock, {count} times, with
the log engine. Between the runs, a sixtieth of an hour's churn (`samples/churn.py`) is written, and vacuumed where
necessary; its cost is not counted.

Held is the time from a run's start until the vault's Syncthing holds the whole snapshot, as `permafrost backup --wait`
determines; its requests are part of the Syncthings' CPU time. The receipt is the vault's signed statement that the
snapshot is in its history, awaited for half of the pause. Sent is what the server's Syncthing counts on its connection
(`outBytesTotal`) from one run to the next. Shares are CPU time divided by elapsed time: 100% would be all of one core.
The server's share includes the run with all its programs, PostgreSQL's work for it, `permafrost run` and its Syncthing;
the vault's includes `permafrost vault run` and its Syncthing."""

_WAL = """\
WAL is what the server's WAL grew by (`pg_current_wal_insert_lsn`), during the run itself, and during the churn that
follows it: after a checkpoint, which a run that scans only changed blocks requests, the first change to a page writes
the page in full."""

_PROMISED_OF_BYTES, _SHARE = 4_000_000_000, 0.02


def minutes_parts(measured: Minutes) -> list[str]:
    """Return the paragraphs, the table and the plots."""
    count = len(measured.minutes)
    files = sum(one.run.counted_files for one in measured.minutes)
    last = measured.minutes[-1].run
    missing = sum(one.receipt_s is None for one in measured.minutes)
    late = f"{missing} of {count} receipts" if missing else "No receipt"
    told = (
        f"The {count} runs made {files} files and left {measured.snapshots} snapshots on the server, with "
        f"{bytes_text(last.stored_bytes)} in {last.files} files,\nand as many on the vault. {late} came too late to be "
        f"waited for. The newest snapshot was restored from the vault's\nreceived copy: "
        f"{measured.rows_equal:,} rows in {measured.tables_equal} tables are equal."
    )
    return [
        "## A run every minute",
        _TEXT.format(pause=f"{measured.pause_s:g} s", count=count),
        *((_WAL,) if last.wal_bytes is not None else ()),
        facts_text(measured.facts),
        data_text(measured.data),
        markdown(MINUTES, minute_rows(measured)),
        *_judged(measured),
        told,
        "![Time since a run began](plots/lag-by-minute.svg)",
        "![Share of one core](plots/share-by-minute.svg)",
    ]


def minute_rows(measured: Minutes) -> list[tuple[str, ...]]:
    """Return a row for each quantity."""
    ones = measured.minutes
    receipts = [one.receipt_s for one in ones if one.receipt_s is not None]
    return [
        _row("time", [one.run.wall_s for one in ones], _seconds),
        _row("started late by", [one.late_s for one in ones], _seconds),
        _row("held by the vault's Syncthing after", [one.held_s for one in ones], _seconds),
        *([_row("receipt there after", receipts, _seconds)] if receipts else ()),
        _row("bytes in the repository", [one.run.counted_bytes for one in ones], _bytes),
        _row("bytes sent", [one.sent_bytes for one in ones], _bytes),
        _row("new files", [one.run.counted_files for one in ones], _whole),
        *_wal_rows(ones),
        _row("CPU of the run", [one.run.cpu_s for one in ones], _seconds),
        _row("CPU of PostgreSQL for it", [one.run.server_cpu_s for one in ones], _seconds),
        _row("share: the run", [one.run.cpu_s / one.elapsed_s for one in ones], _share),
        _row("share: PostgreSQL for it", [one.run.server_cpu_s / one.elapsed_s for one in ones], _share),
        _row("share: permafrost run", [one.spent.server_s / one.elapsed_s for one in ones], _share),
        _row("share: the server's Syncthing", [one.spent.server_syncthing_s / one.elapsed_s for one in ones], _share),
        _row("share: all on the server", [one.server_share for one in ones], _share),
        _row("share: permafrost vault run", [one.spent.vault_s / one.elapsed_s for one in ones], _share),
        _row("share: the vault's Syncthing", [one.spent.vault_syncthing_s / one.elapsed_s for one in ones], _share),
        _row("share: all on the vault", [one.vault_share for one in ones], _share),
    ]


def _wal_rows(ones: Sequence[Minute]) -> list[tuple[str, ...]]:
    """Return what the server wrote, and what of it was scanned, as far as that was looked at."""
    runs = [one.run.wal_bytes for one in ones if one.run.wal_bytes is not None]
    churns = [one.churn_wal_bytes for one in ones if one.churn_wal_bytes is not None]
    scans = [one.run.scan for one in ones if one.run.scan]
    return [
        *([_row("WAL of the run", runs, _bytes)] if runs else ()),
        *([_row("WAL of the churn after it", churns, _bytes)] if churns else ()),
        *(
            [("runs that scanned only changed blocks", f"{scans.count('changed')} of {len(scans)}", "")]
            if scans
            else ()
        ),
    ]


def _judged(measured: Minutes) -> tuple[str, ...]:
    """Return the table of what is promised of a database of 5 GB, nothing of a smaller one."""
    if measured.data.database_bytes < _PROMISED_OF_BYTES:
        return ()
    shares = tuple(one.server_share for one in measured.minutes)
    figure = Figure("all on the server, share of one core", _SHARE, shares, _share)
    row = (figure.name, _share(figure.target), _share(figure.median), _share(figure.worst), figure.verdict)
    return (markdown(("promised", "at most", "median", "worst", "kept"), [row]),)


def _row(name: str, values: Sequence[float], text: Callable[[float], str]) -> tuple[str, ...]:
    return (name, text(statistics.median(values)), text(max(values)))


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _bytes(value: float) -> str:
    return bytes_text(round(value))


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _share(value: float) -> str:
    return f"{value:.1%}"
