"""Renders events and results: for a terminal, for a journal, or as JSON. stdout is data, stderr the rest."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING

from permafrost.cli.shared import journal
from permafrost.errors import ReportedError, exit_code_of
from permafrost.events import Event, JobEnded, Note, Progress, StepStarted, Warned, encode_event

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console
    from rich.progress import Progress as RichProgress


class Rendering:
    """One command's output. Use as a context manager, so that a progress bar ends before anything else is printed."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console = None if as_json or not sys.stderr.isatty() else _terminal()
        self._bar: RichProgress | None = None
        self._lock = RLock()

    def __enter__(self) -> Rendering:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_bar()

    def report(self, event: Event) -> None:
        """Render one event; a `Reporter`, from any thread."""
        with self._lock:
            self._render(event)

    def _render(self, event: Event) -> None:
        if self.as_json:
            sys.stderr.write(encode_event(event) + "\n")
            sys.stderr.flush()
            return
        match event:
            case StepStarted(number, total, title):
                self._end_bar()
                self._say(f"{number}/{total}", f" {title}")
            case Progress():
                self._advance(event)
            case Note(message):
                self._say("", f"    {message}")
            case Warned(message):
                self._say("", f"{journal.level(journal.WARNING)}permafrost: warning: {message}")
            case JobEnded(message):
                self._say_end(event, message)

    def _say_end(self, event: JobEnded, message: str) -> None:
        has_failed = event.outcome == "failed"
        fields = asdict(event)
        del fields["message"]
        if not journal.send(message, journal.WARNING if has_failed else journal.NOTICE, fields):
            self._render(Warned(message) if has_failed else Note(message))

    def _say(self, bold: str, plain: str) -> None:
        if self._console is None:
            sys.stderr.write(f"{bold}{plain}\n")
            sys.stderr.flush()
        else:
            self._console.print(f"[bold]{bold}[/bold]" if bold else "", end="")
            self._console.print(plain, markup=False)

    def result(self, document: DataclassInstance | Mapping[str, object], lines: Iterable[str]) -> None:
        """Print the command's result on stdout: the document as JSON, or the lines for a person.

        A mapping is for what is a document of its own kind: a configuration, a schema.
        """
        if self.as_json:
            self._end_bar()
            _print_json(document if isinstance(document, Mapping) else asdict(document))
        else:
            self.lines(lines)

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines for a person on stdout, as they are."""
        self._end_bar()
        for line in lines:
            print(line, flush=True)  # noqa: T201

    def _advance(self, event: Progress) -> None:
        if self._console is None:
            return
        if self._bar is None:
            # imported only where there is somebody to see it: it takes as long as a small query
            from rich.progress import (  # noqa: PLC0415
                BarColumn,
                DownloadColumn,
                MofNCompleteColumn,
                ProgressColumn,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )
            from rich.progress import Progress as RichProgress  # noqa: PLC0415

            amounts: list[ProgressColumn] = [MofNCompleteColumn()]
            if event.unit == "bytes":
                amounts = [DownloadColumn(), TransferSpeedColumn()]
            self._bar = RichProgress(
                TextColumn("   "), BarColumn(), *amounts, TimeRemainingColumn(), console=self._console, transient=True
            )
            self._bar.add_task("", total=event.total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=event.done, total=event.total)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _print_json(document: Mapping[str, object]) -> None:
    print(json.dumps(document, indent=2, default=_plain), flush=True)  # noqa: T201


def _plain(value: object) -> str:
    """Return a moment as RFC 3339 has it; documents hold nothing else that JSON does not know."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be in a JSON document")


def _terminal() -> Console:
    """Return the console of a terminal; rich is imported only for a terminal."""
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: ReportedError, *, as_json: bool) -> None:
    """Say on stderr what failed, at which step, what was left unchanged, and what to do; on stdout if JSON."""
    if as_json:
        from permafrost.documents.failure import ErrorDetails, ErrorDocument  # noqa: PLC0415 - for a run that fails

        details = ErrorDetails(
            code=error.code,
            exit_code=exit_code_of(error),
            message=error.message,
            step=error.step,
            unchanged=error.unchanged,
            hint=error.hint,
        )
        _print_json(asdict(ErrorDocument(details)))
        return
    where = f" ({error.step})" if error.step else ""
    print(f"{journal.level(journal.ERROR)}permafrost: error: {error.message}{where}", file=sys.stderr)  # noqa: T201
    if error.unchanged:
        print(f"permafrost: unchanged: {error.unchanged}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"permafrost: hint: {error.hint}", file=sys.stderr)  # noqa: T201
