"""Tables in columns, for the terminal and for Markdown, from the same rows."""

from __future__ import annotations

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def text_table(headings: Sequence[str], rows: Rows) -> list[str]:
    """Return the lines of a table in columns as wide as they need to be; all but the first are set to the right."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in (headings, *rows)]


def markdown_table(headings: Sequence[str], rows: Rows) -> list[str]:
    """Return the lines of the same table in Markdown."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    rule = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    lines = [_aligned(headings, widths), rule, *(_aligned(row, widths) for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def markdown(headings: Sequence[str], rows: Rows) -> str:
    """Return that table as one text."""
    return "\n".join(markdown_table(headings, rows))


def with_values(headings: Sequence[str], rows: Sequence[tuple[str, ...]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the headings and the rows without the columns that are empty in every row."""
    kept = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    return [headings[column] for column in kept], [tuple(row[column] for column in kept) for row in rows]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
