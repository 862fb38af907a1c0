"""Options that many commands share, and the frame in which every command runs."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar

import click

from permafrost.cli.shared.closed_pipe import is_output_unread
from permafrost.cli.shared.rendering import Rendering, print_error
from permafrost.config.models import DEFAULT_PATH
from permafrost.errors import (
    ConfigurationError,
    InterruptedRunError,
    PermafrostError,
    ReportedError,
    SpaceError,
    exit_code_of,
)
from permafrost.events import Note, Reporter
from permafrost.openpgp.fingerprints import plain, what_is_mistyped

P = ParamSpec("P")
R = TypeVar("R")

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=None,
    help=f"Configuration file  [default: $PERMAFROST_CONFIG, or {DEFAULT_PATH}]",
)


def _fingerprint(_context: click.Context, _parameter: click.Parameter, typed: str | None) -> str | None:
    if not typed:
        return None
    if mistyped := what_is_mistyped(typed):
        raise click.BadParameter(f"{mistyped}; compare it with the recovery sheet")
    return plain(typed)


fingerprint_option = click.option(
    "--fingerprint",
    callback=_fingerprint,
    help="The signing key to trust, as on the recovery sheet, spaces or not.",
)
repository_option = click.option(
    "--repository",
    type=click.Path(path_type=Path),
    help="The repository's folder; needs no configuration  [default: the configuration's]",
)
readers_option = click.option(
    "--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Objects read at the same time."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def config_path(given: Path | None) -> Path:
    """Return the configuration file to use: the option, otherwise $PERMAFROST_CONFIG, otherwise the default."""
    return given or Path(os.environ.get("PERMAFROST_CONFIG") or DEFAULT_PATH)


def reporting(command: Callable[..., int | None]) -> Callable[..., None]:
    """Run `command` with a `Rendering` as its first argument, and end the process with its exit code.

    The command returns 0 or None when done, 3 when done with findings. It must take `as_json` through
    `json_option`; the option goes into the rendering. Errors are printed and become exit codes; SIGTERM and
    SIGINT become `InterruptedRunError` in the main thread, so that everything open is closed on the way out. If nobody
    reads the output any more, `BrokenPipeError` goes on to the group (`closed_pipe`).
    """

    @functools.wraps(command)
    def wrapper(*args: object, as_json: bool = False, **kwargs: object) -> None:
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)
        try:
            with Rendering(as_json=as_json) as rendering:
                code = command(rendering, *args, **kwargs)
        except ReportedError as error:
            print_error(error, as_json=as_json)
            sys.exit(exit_code_of(error))
        except Exception as error:
            if isinstance(error, BrokenPipeError) and is_output_unread():
                raise
            reported = explained(error)
            print_error(reported, as_json=as_json)
            sys.exit(exit_code_of(reported))
        sys.exit(code or 0)

    return wrapper


@contextmanager
def stopping_quietly(report: Reporter) -> Iterator[None]:
    """Treat SIGTERM and Ctrl-C as what they are to a service, its normal end: a note, and no error."""
    try:
        yield
    except InterruptedRunError:
        report(Note("stopped"))


def explained(error: Exception) -> PermafrostError:
    """Return the error that a user gets for one that is none of ours; a defect's traceback is printed."""
    if isinstance(error, OSError):
        return _explained(error)
    traceback.print_exception(error)
    return PermafrostError(
        f"a defect of permafrost: {type(error).__name__}: {error}",
        unchanged="all existing snapshots",
        hint="please report it with the lines above",
    )


def _explained(error: OSError) -> PermafrostError:
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpaceError(f"no space left on the disk: {what}", hint="make room, and run the command again")
    if error.errno == errno.EROFS:
        hint = "mount it to be written; to a systemd unit other folders are open by ReadWritePaths= alone"
        return ConfigurationError(f"nothing can be written there: {what}", hint=hint)
    return ConfigurationError(
        f"a file or folder cannot be used: {what}",
        hint="check that it exists, and that the user running permafrost may use it",
    )


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(signal_number, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up short
    raise InterruptedRunError(signal_number)
