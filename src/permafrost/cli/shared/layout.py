"""Text laid out for a terminal: paragraphs and tables that fit its width, colours where it has them."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from permafrost.printable import printable

_COMMAND_SPACE = "\x00"
_COLOURS = {"green": "32", "yellow": "33", "red": "31", "bold": "1", "dim": "2"}


def width() -> int:
    """Return how many columns there are: the terminal's, or $COLUMNS, or 80."""
    return max(24, shutil.get_terminal_size((80, 24)).columns)


def coloured(text: str, colour: str) -> str:
    """Return the text in that colour, where stdout is a terminal and $NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def paragraph(text: str, columns: int, *, indent: str = "") -> list[str]:
    """Return the text in lines of at most `columns`; a command between backticks stays in one line if it fits."""
    pieces = printable(text).split("`")
    for number in range(1, len(pieces) - 1, 2):
        if len(pieces[number]) + len(indent) + 2 <= columns:
            pieces[number] = pieces[number].replace(" ", _COMMAND_SPACE)
    lines = textwrap.wrap(
        "`".join(pieces), columns, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
    return [line.replace(_COMMAND_SPACE, " ") for line in lines]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """Return a table; where it is too wide, one block for each row, with a line for each of its cells.

    Columns that are empty in all rows are left out.
    """
    used = [n for n in range(len(headers)) if any(row[n] for row in rows)]
    headers = [headers[n] for n in used]
    cells = [[printable(row[n]) or "-" for n in used] for row in rows]
    widths = [max(len(row[n]) for row in (headers, *cells)) for n in range(len(headers))]
    if sum(widths) + 2 * (len(widths) - 1) <= columns:
        return [
            "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()
            for row in (headers, *cells)
        ]
    label = max((len(header) for header in headers[1:]), default=0)
    lines = []
    for row in cells:
        lines.append(row[0][:columns])
        for header, cell in zip(headers[1:], row[1:], strict=True):
            if cell != "-":
                lines.append(f"  {header.ljust(label)}  {cell}"[:columns])
    return lines
