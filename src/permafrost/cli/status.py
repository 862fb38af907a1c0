"""permafrost status."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.layout import width
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.shared.status_lines import (
    attention_lines,
    forecast_lines,
    job_lines,
    own_media_lines,
    place_lines,
    reader_lines,
    verdict_lines,
)
from permafrost.config.loading import load_configuration
from permafrost.errors import EXIT_FINDINGS, InterruptedRunError, UsageError
from permafrost.status.document import Status
from permafrost.status.document import status as look

WATCH_S = 2.0
watch_option = click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")


@click.command()
@watch_option
@config_option
@json_option
@reporting
def status(rendering: Rendering, *, watch: bool, config_file: Path | None) -> int:
    """Show whether the server could come back right now, and what needs attention.

    First the verdict: to when, from where, proven when, and how long the database would take. Then what needs
    attention, with the command that helps; the places where snapshots are kept; the jobs. It only reads, and needs
    neither the database nor a key. Exit code 3 if something needs attention.

    \b
    Examples:
      permafrost status
      permafrost status --watch
      permafrost status --json
    """
    file = config_path(config_file)

    def show() -> int:
        result = look(load_configuration(file), datetime.now(UTC))
        rendering.result(result.document(), status_lines(result, width()))
        return EXIT_FINDINGS if result.findings else 0

    return watching(rendering, show) if watch else show()


def status_lines(found: Status, columns: int) -> list[str]:
    """Return the status as lines of at most `columns`."""
    document = found.document()
    now, zone = found.as_of, found.zone
    blocks = [
        verdict_lines(document.verdict, columns),
        attention_lines(document.findings, [document.verdict], columns),
        [
            *place_lines(document.places, now, zone, columns, here="this server"),
            *own_media_lines(document.media, now, zone, columns),
        ],
        job_lines(document.jobs, document.running, now, zone, columns),
        forecast_lines(document.forecast, columns) if document.snapshots else [],
        reader_lines(document.readers, columns),
    ]
    return [line for block in blocks if block for line in ("", *block)][1:]


def watching(rendering: Rendering, show: Callable[[], int]) -> int:
    """Show it again and again until a signal ends it, which is its normal end."""
    if rendering.as_json or not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal", hint="without it, the status is printed once")
    try:
        while True:
            rendering.lines(["\x1b[H\x1b[2J"])
            show()
            time.sleep(WATCH_S)  # a signal ends it by its exception
    except InterruptedRunError:
        return 0
