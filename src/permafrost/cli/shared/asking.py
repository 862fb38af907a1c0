"""Secrets that a human types: from the terminal without an echo, or from stdin, and never from an argument."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from permafrost.errors import UsageError
from permafrost.openpgp.home import temporary_home
from permafrost.repository.durable import write_new_file


def ask_secret(what: str) -> str:
    """Return the line that is typed; raise `UsageError` if there is none."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise UsageError(f"nothing was typed: {what}", hint="run it on a terminal, or give one line on stdin")
    return line


@contextmanager
def typed_passphrase() -> Iterator[Path]:
    """Yield a file, in memory where possible, with the passphrase that is typed; it is gone after the block."""
    typed = ask_secret("passphrase, as on the recovery sheet")
    with temporary_home() as folder:
        file = folder / "typed-passphrase"
        write_new_file(file, f"{typed}\n".encode(), 0o600)
        yield file
