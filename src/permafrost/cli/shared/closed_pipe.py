"""Ends a command whose output nobody reads any more, as in `permafrost snapshots | head -n 1`.

Most programs are killed by SIGPIPE there. Python ignores that signal, and has to, as programs that permafrost itself
writes to may end early; so a write fails instead, and the command ends with what a shell reports of the others: 128 +
SIGPIPE, without a word. A pipe that broke elsewhere stays the error that it is.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

EXIT_UNREAD = 128 + signal.SIGPIPE


@contextmanager
def ending_unread() -> Iterator[None]:
    """End the process with 141 if a write fails because the reader of stdout or stderr has gone."""
    try:
        yield
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
        if not unread:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:  # or what is still buffered would fail again, and be reported, when Python ends
            os.dup2(nowhere, stream.fileno())
        sys.exit(EXIT_UNREAD)


def is_output_unread() -> bool:
    """Return whether stdout or stderr is a pipe or socket whose reader has gone."""
    return any(_is_unread(stream) for stream in (sys.stdout, sys.stderr))


def _is_unread(stream: TextIO) -> bool:
    with suppress(OSError, ValueError):  # closed, or not a file
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    return False
