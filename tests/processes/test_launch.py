"""Programs are started with an environment of our making, in a session of their own."""

from __future__ import annotations

import os

import pytest

from permafrost.errors import ToolError
from permafrost.processes.program import Program
from permafrost.processes.run import run_checked


def test_environment_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program sees few names of our environment, the C locale, and what the caller adds."""
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    lines = run_checked(Program(("env",), {"ADDED": "2"})).decode().splitlines()
    assert {"LC_ALL=C", "ADDED=2", f"PATH={os.environ['PATH']}"} <= set(lines)
    assert not [line for line in lines if line.startswith("SECRET_OF_OURS")]


def test_session_of_its_own() -> None:
    """A program leads a session, so that it can be ended with all that it started."""
    fields = run_checked(Program(("cat", "/proc/self/stat"))).decode().rpartition(")")[2].split()
    own, session = run_checked(Program(("sh", "-c", "echo $$; cut -d ' ' -f 6 /proc/$$/stat"))).split()
    assert int(fields[3]) != os.getsid(0)
    assert own == session


def test_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is not installed is an error that says what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match="gpg is not on PATH") as caught:
        run_checked(Program(("gpg", "--version")))
    assert "apt-get install gnupg" in caught.value.hint


def test_unknown_user() -> None:
    """A system user that does not exist is an error before anything is started."""
    with pytest.raises(ToolError, match="no system user nobody-of-ours"):
        run_checked(Program(("true",), user="nobody-of-ours"))
