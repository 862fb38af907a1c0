"""The week's part of docs/benchmarks.md."""

from __future__ import annotations

import textwrap

from bench.tables import markdown
from bench.week_results import FileWeek, SystemWeek, Week
from bench.week_rules import file_sent, file_stored, is_estimate, sent_in_week
from permafrost.amounts import bytes_text

WEEK = ("system", "kept", "sent in the week", "stored", "files", "/ permafrost's", "time first", "time last")
PLOT = "bytes-by-hour.svg"

_TEXT = """\
After everything else was measured, {hours} hours of the same churn pass on the same database, which grows from {first}
to {last}. Each system continues with its repository, and keeps its last 24 hourly and 7 daily backups by its own rules.

permafrost makes a backup each hour and prunes after it, as its service does, with only `hourly = 24` and `daily = 7` in
`[retention]`; its runs are made in one process, with a clock that advances an hour each time. restic and borg make only
those backups that they would still have at the end (`restic backup --time`, `borg create --timestamp`), all but the
last of them from one dump at once; then `restic forget --keep-hourly 24 --keep-daily 7 --prune`, and `borg prune` with
the same and `borg compact`. By then they would have made and removed all others: this is in their favour, as removing
takes time and may leave something behind. So what they would have sent in the week is not known. Values with ~ are
estimates: the number of hours times the mean of a usual hour before the week and a usual one at its end.

Of the published set-up, one file on the server and six versions of it on a vault are kept, as published; of the
archive as many as of the others. Both were computed from the file's size before and after the week, as if it grew
evenly. pgBackRest is left out: it keeps full backups with everything that depends on them, not hours and days of
incremental ones; its WAL archiving is off, so that it does not slow the week down.

Times: permafrost's are the medians of its runs on the first and on the last day, including pruning, without the start
of Python; the others' are complete commands, before the week the median of the hours above, after it one run. More than
30 are kept if a backup from before the week is one of the days."""

_UNDER_THE_PLOT = """\
restic's and borg's lines connect the backups that they made. Before the last day they would have had more: the last 24
hours at each moment. All systems also had their backups from before the week."""


def week_rows(week: Week) -> list[tuple[str, ...]]:
    """Return a row for each system."""
    own = week.systems[0].stored_bytes
    return [
        *(_row(one, week.hours, own) for one in week.systems),
        *(_file_row(one, week.hours, own) for one in week.files),
    ]


def week_section(week: Week) -> list[str]:
    """Return the parts of the section."""
    text = _TEXT.format(
        hours=week.hours, first=bytes_text(week.database_first_bytes), last=bytes_text(week.database_last_bytes)
    )
    return [
        "## A week",
        text,
        markdown(WEEK, week_rows(week)),
        textwrap.fill(_told(week), 118),
        f"![Bytes stored over the week](plots/{PLOT})",
        _UNDER_THE_PLOT,
    ]


def _row(one: SystemWeek, hours: int, own: int) -> tuple[str, ...]:
    return (
        one.name,
        str(one.kept),
        ("~" if is_estimate(one, hours) else "") + bytes_text(sent_in_week(one, hours)),
        bytes_text(one.stored_bytes),
        str(one.files),
        f"{one.stored_bytes / own:.1f}",
        f"{one.wall_first_s:.1f} s",
        f"{one.wall_last_s:.1f} s",
    )


def _file_row(one: FileWeek, hours: int, own: int) -> tuple[str, ...]:
    stored, count = file_stored(one, hours), len(one.kept_hours)
    return (
        f"{one.name}, computed",
        str(count),
        bytes_text(file_sent(one, hours)),
        bytes_text(stored),
        str(count),
        f"{stored / own:.1f}",
        f"{one.wall_first_s:.1f} s",
        f"{one.wall_last_s:.1f} s",
    )


def _told(week: Week) -> str:
    newest, oldest = week.restores
    removed = " and ".join(f"{one.name} {one.prune_s:.1f} s" for one in week.systems if one.prune_s)
    when = f"of hour {oldest.hour}" if oldest.hour else "from before the week"
    return (
        f"At the end permafrost's newest snapshot was restored in {newest.wall_s:.1f} s, and all "
        f"{newest.rows_equal or 0:,} rows were equal to the source's; its oldest one, {when}, was restored in "
        f"{oldest.wall_s:.1f} s, with as many rows in each table as were backed up. The removal at the end took "
        f"{removed}; permafrost's is in each of its runs."
    )
