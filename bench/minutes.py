"""A backup every minute, carried to a vault: what each takes, and how long it is until the vault has it.

The server's life goes on between the runs, a sixtieth of an hour's churn each time, and is over before the next turn
comes. A run that is not over by then makes the next one late; none is left out.
"""

from __future__ import annotations

import time
from dataclasses import astuple
from pathlib import Path

from bench.hours import Say, Servers, log_run, restore_and_compare
from bench.loopback import Traffic
from bench.paired import Pair, paired
from bench.programs import BenchError
from bench.results import Facts, Minute, Minutes, Spent
from bench.sections import make_mastodon, running_servers
from bench.systems import Permafrost
from permafrost.amounts import bytes_text
from permafrost.repository.layout import Layout
from permafrost.repository.snapshots import list_snapshots

PAUSE_S = 60.0
AMOUNT = 1 / 60
RECEIPT_SHARE = 0.5
"""For how much of the pause a receipt is waited for; the churn needs the rest."""


def measure_minutes(
    folder: Path, facts: Facts, size_bytes: int, count: int, say: Say, *, pause_s: float = PAUSE_S
) -> Minutes:
    """Start so many backups, `pause_s` apart, and restore the last one from the vault; raise if a row differs."""
    with running_servers(folder) as servers:
        data = make_mastodon(servers, size_bytes, say)
        if servers.summarize_wal():
            say("the server summarizes its WAL")
        log = Permafrost(folder / "log", servers.conninfo, "log")
        first = log_run(servers, log)
        say(f"{log.name}, first run: {first.wall_s:.1f} s, CPU {first.cpu_s:.1f} s, {bytes_text(first.bytes_new)}")
        with paired(log, folder / "vault", say) as pair:
            servers.live(servers.conninfo, 0, AMOUNT)
            minutes = _minutes(servers, log, pair, count, pause_s, say)
            pair.check_receipt()
            log.restore_from = pair.received
            took, tables, rows = restore_and_compare(servers, log)
            say(f"restored from the vault's copy in {took.wall_s:.1f} s, {rows:,} rows in {tables} tables equal")
            kept = len(list_snapshots(Layout(log.repository)))
            if pair.vault_snapshots != kept:
                raise BenchError(f"the server has {kept} snapshots, and the vault {pair.vault_snapshots}")
            vault_snapshots = pair.vault_snapshots
    return Minutes(facts, data, pause_s, first, minutes, kept, vault_snapshots, tables, rows)


def _minutes(servers: Servers, log: Permafrost, pair: Pair, count: int, pause_s: float, say: Say) -> tuple[Minute, ...]:
    traffic = Traffic(pair.client, pair.vault_id)
    minutes: list[Minute] = []
    turn = time.monotonic()
    before, since = pair.spent(), turn
    for number in range(count):
        run = log_run(servers, log)
        late_s = max(0.0, log.began - turn)
        pair.wait_until_held(log.newest)
        held_s = time.monotonic() - log.began
        has_receipt = pair.wait_for_receipt(log.newest, turn + pause_s * RECEIPT_SHARE)
        receipt_s = time.monotonic() - log.began if has_receipt else None
        churn_wal_bytes = None
        if number < count - 1:  # what is restored in the end is what the last run has seen
            churn_wal_bytes = _live(servers, number + 1)
        turn += pause_s
        time.sleep(max(0.0, turn - time.monotonic()))
        now, spent = time.monotonic(), pair.spent()
        took = (run, late_s, now - since, held_s, receipt_s)
        minutes.append(Minute(*took, traffic.sent(), _difference(before, spent), churn_wal_bytes))
        before, since = spent, now
        say(_told(number + 1, minutes[-1]))
    return tuple(minutes)


def _live(servers: Servers, number: int) -> int:
    """Let a minute pass, and return how much WAL it wrote."""
    before = servers.wal_bytes()
    servers.live(servers.conninfo, number, AMOUNT)
    return servers.wal_bytes() - before


def _difference(before: Spent, after: Spent) -> Spent:
    spent = Spent(
        after.server_s - before.server_s,
        after.server_syncthing_s - before.server_syncthing_s,
        after.vault_s - before.vault_s,
        after.vault_syncthing_s - before.vault_syncthing_s,
    )
    if min(astuple(spent)) < 0:
        raise BenchError("a Syncthing was started anew meanwhile, so what it had taken before is not known")
    return spent


def _told(number: int, one: Minute) -> str:
    run, spent = one.run, one.spent
    receipt = f"{one.receipt_s:.1f} s" if one.receipt_s is not None else "none in time"
    return (
        f"run {number}: {run.wall_s:.2f} s, CPU {run.cpu_s:.2f} s and {run.server_cpu_s:.2f} s of the server, late by "
        f"{one.late_s:.1f} s; scan of {run.scan} pages, {run.wal_bytes or 0:,} bytes of WAL; "
        f"{run.counted_bytes:,} bytes in {run.counted_files} files, {one.sent_bytes:,} sent; held "
        f"after {one.held_s:.2f} s, receipt {receipt}; in {one.elapsed_s:.1f} s CPU of services "
        f"{spent.server_s:.2f} s and {spent.vault_s:.2f} s, of Syncthings {spent.server_syncthing_s:.2f} s and "
        f"{spent.vault_syncthing_s:.2f} s"
    )
