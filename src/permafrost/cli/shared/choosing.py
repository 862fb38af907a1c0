"""Which snapshot a command is about: an id, `latest`, or --at and a moment."""

from __future__ import annotations

from datetime import datetime

import click

from permafrost.errors import PermafrostError, UsageError
from permafrost.events import Reporter
from permafrost.loading.source import Source, choose_by_time
from permafrost.repository.layout import SnapshotId, parse_moment, parse_snapshot_choice


def _moment(_context: click.Context, _parameter: click.Parameter, typed: str | None) -> datetime | None:
    try:
        return parse_moment(typed) if typed is not None else None
    except PermafrostError as error:
        raise click.BadParameter(f"{error.message}: {error.hint}") from error


at_option = click.option(
    "--at",
    metavar="MOMENT",
    callback=_moment,
    help='Instead of SNAPSHOT: the newest up to "2026-11-22 14:00", local time.',
)


def check_choice(snapshot: str | None, at: datetime | None) -> None:
    """Raise `UsageError` unless a snapshot or a moment was given, one of the two, and can be one."""
    if (snapshot is None) == (at is None):
        raise UsageError(
            "give exactly one of a snapshot, latest, or --at MOMENT", hint="permafrost snapshots lists them"
        )
    if snapshot is not None:
        parse_snapshot_choice(snapshot)


def chosen(source: Source, snapshot: str | None, at: datetime | None, report: Reporter) -> SnapshotId | None:
    """Return the snapshot that the checked options mean, None for the newest; report which one --at means."""
    if at is not None:
        return choose_by_time(source, at, report)
    return parse_snapshot_choice(snapshot or "")
