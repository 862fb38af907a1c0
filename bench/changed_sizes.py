"""Which sizes a server that summarizes its WAL was measured at: those of several days stand beside each other.

What is measured again replaces what was measured before at about the same size with the same major of PostgreSQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bench.results import ChangedBlocks, Facts, ScanRuns

_ABOUT = 0.1


def merged(before: ChangedBlocks | None, measured: ChangedBlocks) -> ChangedBlocks:
    """Return what was measured before and now, by version and size, each with its own facts."""
    new = _with_facts(measured)
    kept = [one for one in _with_facts(before) if not any(_is_same(one, other) for other in new)] if before else []
    return ChangedBlocks(measured.facts, tuple(sorted((*kept, *new), key=_order)))


def with_one_major(measured: ChangedBlocks) -> tuple[ScanRuns, ...]:
    """Return the runs of that major of PostgreSQL that was measured at most sizes, the newest of several, by size."""
    runs = _with_facts(measured)
    sizes = Counter(major_of(one) for one in runs)
    chosen = max(sizes, key=lambda major: (sizes[major], major), default=0)
    return tuple(sorted((one for one in runs if major_of(one) == chosen), key=_order))


def measured_together(measured: ChangedBlocks) -> Sequence[Sequence[ScanRuns]]:
    """Return the runs that were measured together, each time by itself."""
    groups: list[list[ScanRuns]] = []
    for one in _with_facts(measured):
        same = next((group for group in groups if group[0].facts == one.facts), None)
        if same is None:
            groups.append([one])
        else:
            same.append(one)
    return groups


def major_of(one: ScanRuns) -> int:
    """Return the major version of the server, 0 if it is not known."""
    version = one.facts.versions.get("PostgreSQL", "") if one.facts else ""
    major = version.split(".")[0]
    return int(major) if major.isdigit() else 0


def facts_of(one: ScanRuns, measured: ChangedBlocks) -> Facts:
    """Return with what and when it was measured."""
    return one.facts or measured.facts


def _with_facts(measured: ChangedBlocks) -> list[ScanRuns]:
    return [replace(one, facts=facts_of(one, measured)) for one in measured.runs]


def _is_same(one: ScanRuns, other: ScanRuns) -> bool:
    ratio = one.data.database_bytes / other.data.database_bytes
    return major_of(one) == major_of(other) and abs(ratio - 1) < _ABOUT


def _order(one: ScanRuns) -> tuple[int, int, str]:
    return major_of(one), one.data.database_bytes, one.setting
