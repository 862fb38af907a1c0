"""python -m demo."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from demo.account import Account
from demo.comparison import render
from demo.machine import DemoError, end_leftovers
from demo.mastodon import SMALL, USUAL, Size
from demo.story import tell
from permafrost.errors import PermafrostError

PIPE_WIDTH = 100
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedDemoError(Exception):
    """A signal came; `number` makes the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def main() -> int:
    """Run the demo and return its exit code: 0 if all that came back is equal to what was lost, else 1."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=sys.modules["demo"].__doc__)
    parser.add_argument("--small", action="store_true", help="with a tiny database, for permafrost's own tests")
    size = SMALL if parser.parse_args().small else USUAL
    # a pipe has no width, and 80 columns would cut the tables
    account = Account(Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH))
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return _play(size, account)
    except InterruptedDemoError as error:
        account.verdict(f"demo: {error}; everything it had made is gone again", is_good=False)
        return 128 + error.number


def _play(size: Size, account: Account) -> int:
    with _temporary_folder() as folder:
        account.say(f"Everything happens below {folder}, on loopback, and is gone in the end.")
        try:
            comparison = tell(folder, size, account)
        except (DemoError, PermafrostError) as error:
            hint = getattr(error, "hint", "")
            account.verdict(f"demo: FAILED: {error}" + (f" ({hint})" if hint else ""), is_good=False)
            return 1
    render(comparison, account)
    if comparison.differences:
        account.verdict(f"demo: FAILED: {len(comparison.differences)} differences, see above", is_good=False)
        return 1
    account.verdict(f"demo: passed: {comparison.summary} came back equal to what was lost", is_good=True)
    return 0


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Yield a new folder that PostgreSQL's user can pass through; it goes with all that was started in it."""
    folder = Path(tempfile.mkdtemp(prefix="permafrost-demo-")).resolve()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up short
        for left in end_leftovers(folder):
            print(f"demo: warning: had to end a program that was left: {left}", file=sys.stderr)
        shutil.rmtree(folder)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    raise InterruptedDemoError(number)


if __name__ == "__main__":
    sys.exit(main())
