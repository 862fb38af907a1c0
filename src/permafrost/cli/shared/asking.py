"""Secrets that a human types: from the terminal without an echo, or from stdin, and never from an argument."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from permafrost.errors import UsageError
from permafrost.openpgp.home import temporary_home
from permafrost.repository.durable import write_new_file

_MOST_BYTES = 1 << 16
"""As much as a secret file may have."""


def ask_secret(what: str) -> str:
    """Return the line that is typed; raise `UsageError` if there is none, or if it is no text."""
    if sys.stdin.isatty():
        line = os.fsencode(str(click.prompt(what, hide_input=True, err=True)))
    else:
        line = sys.stdin.buffer.readline(_MOST_BYTES + 1).rstrip(b"\r\n")
    if not line:
        raise UsageError(f"nothing was typed: {what}", hint="run it on a terminal, or give one line on stdin")
    try:
        if len(line) > _MOST_BYTES:
            raise ValueError
        return line.decode("utf-8")
    except ValueError as error:
        raise UsageError(
            f"what was typed is not a line of UTF-8 text: {what}",
            hint="type it again; a file with it needs to be in UTF-8",
            unchanged="everything",
        ) from error


@contextmanager
def typed_passphrase() -> Iterator[Path]:
    """Yield a file, in memory where possible, with the passphrase that is typed; it is gone after the block."""
    typed = ask_secret("passphrase, as on the recovery sheet")
    with temporary_home() as folder:
        file = folder / "typed-passphrase"
        write_new_file(file, f"{typed}\n".encode(), 0o600)
        yield file
