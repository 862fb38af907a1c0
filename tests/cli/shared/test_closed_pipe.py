"""A command whose output nobody reads any more: it ends quietly, as other programs do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from permafrost.cli.shared.closed_pipe import EXIT_UNREAD, ending_unread
from tests.fixtures.commands import command
from tests.fixtures.server import MakeServer, Server


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer) -> Server:
    """A server without a snapshot."""
    return make_server(mastodon_database)


def unread(*words: str, stream: str = "stdout") -> subprocess.CompletedProcess[str]:
    """Run a command whose stdout, or stderr, is a pipe that nobody reads; return how it ended."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
        argv = [sys.executable, "-m", "permafrost", *words]
        return subprocess.run(argv, **pipes, text=True, check=False)  # type: ignore[call-overload, no-any-return]
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("vault", "join", "--help"),
        ("--version",),
        ("schema", "status"),
        ("verify", "--repository", "/nowhere", "--json"),
    ],
    ids=" ".join,
)
def test_nobody_reads_stdout(words: tuple[str, ...]) -> None:
    """Help, a result and an error's document end without a word, and with what a shell reports of SIGPIPE."""
    finished = unread(*words)
    assert (finished.returncode, finished.stderr) == (EXIT_UNREAD, "")


@pytest.mark.parametrize("words", [("verify", "--repository", "/nowhere"), ("backup", "--confg", "x")], ids=" ".join)
def test_nobody_reads_stderr(words: tuple[str, ...]) -> None:
    """An error that nobody reads ends the same way."""
    finished = unread(*words, stream="stderr")
    assert (finished.returncode, finished.stdout) == (EXIT_UNREAD, "")


def test_a_listing_for_a_pipe(server: Server) -> None:
    """A listing for `grep -q` is no error; a backup whose progress nobody reads stops cleanly."""
    config = str(server.write_configuration())
    stopped = unread("backup", "--config", config, stream="stderr")
    assert (stopped.returncode, stopped.stdout) == (EXIT_UNREAD, "")
    assert command("backup", "--config", config).returncode == 0
    assert command("verify", "--config", config).returncode == 0
    for words in (("snapshots",), ("status",), ("config", "show")):
        finished = unread(*words, "--config", config)
        assert (finished.returncode, finished.stderr) == (EXIT_UNREAD, "")
    assert len(list(server.repository.layout.snapshots.iterdir())) == 1


def test_another_pipe_that_broke(tmp_path: Path) -> None:
    """A pipe that broke while the output is still read stays an error."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(fifo, os.O_WRONLY)
    os.close(reading)
    try:
        with pytest.raises(BrokenPipeError), ending_unread():
            os.write(writing, b"x")
    finally:
        os.close(writing)
