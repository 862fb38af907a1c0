"""Compares what came back with what was lost, and says so in a table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from demo.account import Account
from demo.portrait import FilePortrait, Portrait, TablePortrait, portray_file, portray_files
from permafrost.amounts import bytes_text, seconds_text

TABLES_SHOWN = 12
_SHORT = 8


@dataclass(frozen=True, slots=True)
class Original:
    """What there was, taken down before it was destroyed."""

    database: Portrait
    media: Mapping[str, FilePortrait]
    secrets: FilePortrait


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, line by line, and every difference in words."""

    lines: tuple[tuple[str, ...], ...]
    differences: tuple[str, ...]
    summary: str


def compare(original: Original, restored: Portrait, media: Path, secrets: Path) -> Comparison:
    """Compare database, media and secrets; files that are missing are differences like any other."""
    database = original.database
    received = portray_files(media) if media.is_dir() else {}
    kept = {secrets.name: _timeless(original.secrets)}
    found = {secrets.name: _timeless(portray_file(secrets))} if secrets.is_file() else {}
    differences = (
        *_differences("table", database.tables, restored.tables),
        *_differences("schema", {"of the database": database.schema}, {"of the database": restored.schema}),
        *_differences("sequences", {"of the database": database.sequences}, {"of the database": restored.sequences}),
        *_differences("media file", original.media, received),
        *_differences("secrets file", kept, found),
    )
    lines = (
        *_table_lines(database.tables, restored.tables),
        _line("schema: pg_dump --schema-only", "", database.schema, restored.schema),
        _line("sequences", "", database.sequences, restored.sequences),
        _line(f"{len(original.media):,} media files", _size(original.media), _hash(original.media), _hash(received)),
        _line(secrets.name, _size(kept), _hash(kept), _hash(found)),
    )
    rows = sum(table.rows for table in restored.tables.values())
    tables = f"{len(restored.tables)} tables and materialized views with {rows:,} rows"
    summary = f"{tables}, {len(received):,} media files and the secrets"
    return Comparison(lines, differences, summary)


def _timeless(file: FilePortrait) -> FilePortrait:
    return replace(file, modified_s=0)  # a secrets file comes back with its mode; its time is the restore's


def _differences(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    found = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found.append(f"{what} {name} is missing")
        elif name not in before:
            found.append(f"{what} {name} is there, and was not before")
        elif before[name] != after[name]:
            found.append(f"{what} {name} differs: it was {before[name]}, it is {after[name]}")
    return found


def _table_lines(before: Mapping[str, TablePortrait], after: Mapping[str, TablePortrait]) -> list[tuple[str, ...]]:
    """Return a line for each table that is big or differs, and one for all others together."""
    by_size = sorted(before, key=lambda name: (-before[name].rows, name))
    shown = [name for n, name in enumerate(by_size) if n < TABLES_SHOWN or before[name] != after.get(name)]
    others = [name for name in by_size if name not in shown]
    groups = [(name, [name]) for name in shown]
    if others:
        groups.append((f"{len(others)} smaller tables", others))
    lines = []
    for title, names in groups:
        rows = sum(before[name].rows for name in names)
        old, new = ({name: side[name].sha256 for name in names if name in side} for side in (before, after))
        lines.append(_line(title, f"{rows:,} rows", _hash(old), _hash(new)))
    return lines


def _line(what: str, size: str, before: str, after: str) -> tuple[str, ...]:
    return (what, size, before[:_SHORT], after[:_SHORT], "equal" if before == after else "DIFFERENT")


def _hash(portraits: Mapping[str, object]) -> str:
    """Return one hash for several portraits with their names, and for a single one that is a hash, that hash."""
    if len(portraits) == 1:
        (single,) = portraits.values()
        if isinstance(single, str):
            return single
    return hashlib.sha256("\n".join(f"{name} {portraits[name]}" for name in sorted(portraits)).encode()).hexdigest()


def _size(files: Mapping[str, FilePortrait]) -> str:
    return bytes_text(sum(file.size_bytes for file in files.values()))


def render(comparison: Comparison, account: Account) -> None:
    """Print what was compared, and what took how long."""
    account.table(("SHA-256 of", "size", "before", "after", ""), comparison.lines, numbers=(1,))
    figures = [(figure.what, seconds_text(figure.duration_s), figure.size) for figure in account.figures]
    figures.append(("the whole demo", seconds_text(account.elapsed_s()), ""))
    account.table(("what took how long", "time", "size"), figures, numbers=(1,))
    for difference in comparison.differences:
        account.say(difference)
