"""Short programs are run to their end; long ones are looked after and ended with all that they started."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from permafrost.processes.attended import Attended
from permafrost.processes.daemon import Daemon
from permafrost.processes.proc import descendants, session_members
from permafrost.processes.program import STATUS_FD, Program, ProgramFailedError, SilenceError
from permafrost.processes.run import run, run_checked
from tests.fixtures.syncthing import wait_for


def test_output_status_and_last_words() -> None:
    """All of stdout, the status lines and both ends of stderr are returned, and no exit code is judged."""
    script = 'cat; echo good > "/proc/self/fd/$0"; i=0; while [ $i -lt 100 ]; do echo $i >&2; i=$((i+1)); done; exit 5'
    content = b"x" * 3_000_000
    finished = run(Program(("sh", "-c", script, STATUS_FD)), stdin=content)
    assert finished.stdout == content
    assert finished.status == ("good",)
    first, last = ([str(number) for number in numbers] for numbers in (range(20), range(60, 100)))
    assert finished.stderr_tail.splitlines() == [*first, "[40 lines omitted]", *last]
    assert finished.returncode == 5


def test_failure_is_raised() -> None:
    """Another exit code than 0 is an error that quotes the program."""
    with pytest.raises(ProgramFailedError, match="sh failed with exit code 4: no"):
        run_checked(Program(("sh", "-c", "echo no >&2; exit 4")))


def test_too_long(tmp_path: Path) -> None:
    """A program that takes longer than it may is ended with what it started."""
    place = tmp_path / "pid"
    with pytest.raises(SilenceError, match="did not finish within"):
        run(Program(("sh", "-c", f"echo $$ > {place}; sleep 1000 & wait")), timeout_s=1)
    wait_for(lambda: not session_members(int(place.read_text())), "its session is empty")


def test_attended_hands_lines_on() -> None:
    """Lines of stderr are heard as they come; stdout is whole at the end."""
    lines: list[str] = []
    heard = Event()

    def on_line(line: str) -> None:
        lines.append(line)
        heard.set()

    program = Attended(Program(("sh", "-c", "echo result; echo working >&2; exec sleep 1000")), on_line)
    assert heard.wait(10)
    assert lines == ["working"]
    assert program.finished() is None
    program.end(10)
    finished = program.finished()
    assert finished is not None
    assert finished.stdout == b"result\n"
    assert finished.returncode == -15


def test_attended_is_ended_with_all_below_it() -> None:
    """A program that does not end by itself is killed, and so is what it started in sessions of their own."""
    heard: list[str] = []
    script = "trap '' TERM; setsid sleep 1000 & echo $$ >&2; wait; wait"
    program = Attended(Program(("sh", "-c", script)), heard.append)
    wait_for(lambda: heard, "it tells its id")
    pid = int(heard[0])
    wait_for(lambda: descendants(pid), "it has started another")
    (below,) = descendants(pid)
    program.end(0.2)
    wait_for(lambda: not session_members(below), "the other has ended")
    assert program.finished() is not None


def test_daemon_ends_with_its_session(tmp_path: Path) -> None:
    """What a daemon says is appended to its log, and every process of its session ends with it."""
    log = tmp_path / "log"
    log.write_text("before\n")
    daemon = Daemon(Program(("sh", "-c", "pwd; sleep 1000 & wait")), log, folder=tmp_path)
    wait_for(lambda: len(session_members(daemon.pid)) == 2, "it has started another")
    assert daemon.returncode() is None
    daemon.end()
    wait_for(lambda: not session_members(daemon.pid), "its session is empty")
    assert daemon.returncode() == -15
    assert log.read_text() == f"before\n{tmp_path}\n"
