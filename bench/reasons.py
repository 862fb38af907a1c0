"""Why a promise is not kept, where it is not: said under the table, next to the figures of that run."""

from __future__ import annotations

from collections.abc import Sequence

from bench.judgement import Figure

_REASONS = {
    "log engine, first run, time / published": "reading every row from PostgreSQL, zstd -3 and gpg keep both "
    "processors busy nearly all the time; gzip, which the published set-up waits for, uses one",
    "log engine, hourly, time / published": "most of it is the scan of every row's ctid and xmin and the start of "
    "Python, as the unchanged run shows, which does nothing else",
    "log engine, hourly, time / restic": "the unchanged run, which only starts and scans, already takes longer than "
    "that; the scan grows with the database as restic's run does, so the ratio does not improve with size",
    "log engine, hourly, time / borg": "the same as with restic",
    "log engine, hourly, bytes / published": "the changed rows alone, compressed by zstd -3, are larger; a slower "
    "level would come close and cost a second; an hour costs what changed, so the ratio improves with larger databases",
    "log engine, stored after a week / restic": "a single compressed copy of the database at the end of the week is "
    "larger than that",
    "log engine, sent in a week / restic (estimate)": "once a day the changes of a day are merged, which "
    "sends them a second time; and of a small database there is little that restic can send",
    "log engine, restore, time / published": "the rounds of one run on this machine differ by more than the shortfall",
    "log engine, restore, time / pg_restore -j2": "ours includes signature and hashes, ANALYZE, and "
    "counting all rows afterwards; pg_restore's has none of these",
}

_STARTS = (
    "what an unchanged run takes, which scans nothing, is most of it: the start of Python, gpg and the sessions with "
    "PostgreSQL"
)
_REASONS_OF_CHANGED = dict.fromkeys(
    (
        "log engine, hourly, time / published",
        "log engine, hourly, time / restic",
        "log engine, hourly, time / borg",
    ),
    _STARTS,
)
"""Where runs scan only what has changed."""


def shortfalls(judged: Sequence[Figure], *, scans_changed: bool = False) -> list[str]:
    """Return a line for each promise that not every run has kept; the scan may have been of changed blocks only."""
    reasons = {**_REASONS, **(_REASONS_OF_CHANGED if scans_changed else {})}
    return [
        f"- **{figure.name}**: {reasons.get(figure.name, 'no reason is known yet')}."
        for figure in judged
        if figure.verdict != "yes"
    ]
