"""Renders what was measured on pgbench's database."""

from __future__ import annotations

from bench.measuring import Taken
from bench.results import Pgbench
from bench.rows import HOURS, OTHERS, hour_rows, log_system, other_row
from bench.tables import markdown
from bench.texts import facts_text
from permafrost.amounts import bytes_text

_TEXT = """\
Not every database is Mastodon's: `pgbench -i` creates four tables, one of them without any key, and an hour is
{transactions} of its transactions (like TPC-B, `pgbench -t` with a fixed seed), then `VACUUM` as in the other parts.
Each updates an account, a teller and a branch anywhere in their tables, and adds a line to the history: {written} row
versions are written, about as many as in the Mastodon hour; tellers and branches are few, and only the last version of
each remains at the end. After every hour each system makes a backup, which is restored and compared row by row.

Its rows are nearly all blanks and ascending numbers, so a copy of everything is small for any system that compresses,
and bytes say less about how systems compare than with text. Columns are as above; the published set-up's restore is
analyzed here too."""


def pgbench_parts(measured: Pgbench) -> list[str]:
    """Return the paragraphs and tables."""
    log = measured.log
    data = (
        f"The database is pgbench's with scale {measured.scale}, {bytes_text(log.data.database_bytes)} "
        f"(`pg_database_size`; the tables' heaps are\n{bytes_text(log.data.heap_bytes)}) with {log.data.rows:,} rows."
    )
    return [
        "## Another kind of database",
        _TEXT.format(transactions=f"{measured.transactions:,}", written=f"{measured.transactions * 4:,}"),
        facts_text(measured.facts),
        data,
        markdown(OTHERS, pgbench_rows(measured)),
        markdown(HOURS, hour_rows(log.hours)),
    ]


def pgbench_rows(measured: Pgbench) -> list[tuple[str, ...]]:
    """Return a row for each system."""
    carried = {one.name: one for one in measured.carried}
    log = log_system(measured.log, [Taken(hour.restore_s, 0, 0, 0) for hour in measured.log.hours])
    return [other_row(one, carried.get(one.name)) for one in (log, *measured.systems)]
