"""Secrets that come through a pipe: a line of text, or an error of usage."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.fixtures.server import MakeServer

WRONG = {"no text": b"\xff\xfe\n", "nothing": b"", "an empty line": b"\n", "no end": b"x" * (1 << 17)}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("typed", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_line_of_text(make_server: MakeServer, typed: bytes, locale: str) -> None:
    """Bytes that are no text, nothing, and a line without an end are errors of usage, whatever the locale."""
    words = ("restore", "latest", f"--repository={make_server().path}", "--ask-passphrase", "--database=x")
    ended = subprocess.run(
        (sys.executable, "-m", "permafrost", *words),
        input=typed,
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert ended.returncode == 2, ended.stderr
    assert b"typed" in ended.stderr
