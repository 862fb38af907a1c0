"""What the demo tells: numbered chapters, commands as a person types them, what they said, and tables."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from permafrost.amounts import seconds_text

LINE_WIDTH = 100
INVITATION = "permafrost-invite-"
_LONG_INVITATION = re.compile(rf"({INVITATION}\S{{32}})\S+")


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that took time, for the table at the end."""

    what: str
    duration_s: float
    size: str


class Account:
    """Prints what happens as it happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapters = 0
        self._began = time.monotonic()
        self.figures: list[Figure] = []

    def elapsed_s(self) -> float:
        """Return the seconds since the account began."""
        return time.monotonic() - self._began

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Tell the block as the next numbered chapter, and how long it took."""
        self._chapters += 1
        began = time.monotonic()
        self._line("")
        self._line(f"{self._chapters}. {title}", style="bold")
        yield
        self._line(f"   ({seconds_text(time.monotonic() - began)})", style="dim")

    def say(self, text: str) -> None:
        """Tell something in the demo's own words."""
        self._line(f"   {text}")

    def typed(self, machine: str, words: Sequence[str], *, is_beside: bool = False) -> None:
        """Show a command as it is typed on the machine; one too long for a line goes on after a backslash."""
        first, *rest = command_lines(words, is_beside=is_beside)
        self._line(f"   {machine}$ {first}", style="bold")
        for line in rest:
            self._line(f"       {line}", style="bold")

    def said(self, line: str) -> None:
        """Show a line that a command has printed."""
        self._line(f"     {_shortened(line)}", style="dim")

    def figure(self, what: str, duration_s: float, size: str = "") -> None:
        """Keep a figure for the table at the end."""
        self.figures.append(Figure(what, duration_s, size))

    def verdict(self, text: str, *, is_good: bool) -> None:
        """Print the last line."""
        self._line("")
        self._line(text, style="bold green" if is_good else "bold red")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int]) -> None:
        """Print a table; the columns in `numbers` are set to the right."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for index, heading in enumerate(headings):
            table.add_column(heading, justify="right" if index in numbers else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._line("")
        self._console.print(table)

    def _line(self, text: str, *, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)


def command_lines(words: Sequence[str], *, is_beside: bool = False) -> list[str]:
    """Return the lines of a command, each but the last ending with a backslash; one that runs beside others has &."""
    groups: list[str] = []
    for word in words:
        quoted = shlex.quote(_shortened(word))
        if groups and groups[-1].startswith("--") and " " not in groups[-1] and not word.startswith("--"):
            groups[-1] += f" {quoted}"  # an option and its value stay together
        else:
            groups.append(quoted)
    if is_beside:
        groups[-1] += " &"
    lines = [""]
    for group in groups:
        if lines[-1] and len(lines[-1]) + len(group) > LINE_WIDTH:
            lines[-1] += " \\"
            lines.append("")
        lines[-1] = f"{lines[-1]} {group}".strip()
    return lines


def _shortened(line: str) -> str:
    """Return the line, an invitation in it cut short: it fills half a screen."""
    return _LONG_INVITATION.sub(r"\1...", line)
