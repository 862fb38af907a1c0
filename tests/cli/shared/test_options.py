"""What the system refuses becomes an error that says what to do."""

from __future__ import annotations

import errno
import os

import pytest

from permafrost.cli.shared.options import explained


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (errno.ENOSPC, "space", "make room"),
        (errno.EDQUOT, "space", "make room"),
        (errno.EROFS, "configuration", "ReadWritePaths="),
        (errno.EACCES, "configuration", "that the user running permafrost may use it"),
    ],
)
def test_what_the_system_refuses(number: int, code: str, says: str) -> None:
    """No room, a file system that cannot be written, and a file that may not be used are three kinds of error."""
    error = explained(OSError(number, os.strerror(number), "/some/file"))
    assert (error.code, "/some/file" in error.message) == (code, True)
    assert says in error.hint


def test_a_defect(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is a defect, whose traceback is printed for a report."""
    try:
        raise KeyError("nothing")
    except KeyError as failed:
        error = explained(failed)
    assert (error.code, error.exit_code) == ("defect", 1)
    assert "KeyError: 'nothing'" in capsys.readouterr().err
