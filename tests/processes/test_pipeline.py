"""Pipelines: what goes in comes out, the cause of a failure is named, and nothing is left running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from permafrost.processes.pipeline import Pipeline
from permafrost.processes.proc import session_members
from permafrost.processes.program import Program, ProgramFailedError, SilenceError
from permafrost.processes.running import end_every_program
from tests.fixtures.syncthing import wait_for

CAT = Program(("cat",))


def shell(script: str) -> Program:
    """A program that does what `script` says."""
    return Program(("sh", "-c", script))


def test_bytes_go_through() -> None:
    """What is fed comes out of the last program, however much it is."""
    fed = [bytes([number]) * 100_000 for number in range(100)]
    with Pipeline([CAT, CAT], source=fed) as pipeline:
        assert b"".join(pipeline.chunks()) == b"".join(fed)
        assert [ended.returncode for ended in pipeline.finish()] == [0, 0]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_cause_is_named(at: int) -> None:
    """Wherever a program fails, it is the one that is named, and its last words are quoted."""
    failing = shell("head -c 10 >/dev/null; echo the cause >&2; exit 3")
    programs = [CAT, CAT, CAT]
    programs[at] = failing
    fed = (b"x" * 100_000 for _ in range(100))
    with Pipeline(programs, source=fed) as pipeline:
        assert len(b"".join(pipeline.chunks())) < 10_000_000
        with pytest.raises(ProgramFailedError, match="the cause") as caught:
            pipeline.finish()
    assert caught.value.finished.returncode == 3


def test_error_of_the_source_is_raised() -> None:
    """What the source raises is raised where the pipeline is finished."""

    def fed() -> Iterator[bytes]:
        yield b"some"
        raise ValueError("the source broke")

    with Pipeline([CAT], source=fed()) as pipeline:
        assert b"".join(pipeline.chunks()) == b"some"
        with pytest.raises(ValueError, match="the source broke"):
            pipeline.finish()


def test_silence_is_an_error() -> None:
    """A program that produces nothing for too long is given up, and ended with what it started."""
    with Pipeline([shell("sleep 1000 & echo $$; wait")], silence_s=2) as pipeline:
        chunks = pipeline.chunks()
        pid = int(next(chunks))
        with pytest.raises(SilenceError, match="sh produced no output"):
            next(chunks)
    wait_for(lambda: not session_members(pid), "its session is empty")


def test_leaving_early_ends_every_program() -> None:
    """A block that is left before the end leaves no program behind."""
    with Pipeline([shell("echo $$; exec sleep 1000"), CAT]) as pipeline:
        pid = int(next(pipeline.chunks()))
        assert session_members(pid) == [pid]
    assert session_members(pid) == []


def test_all_programs_can_be_ended_from_elsewhere() -> None:
    """A run that is given up ends the programs that its threads wait for, and they see a failure."""
    with Pipeline([shell("echo ready; exec sleep 1000")]) as pipeline:
        assert next(pipeline.chunks()) == b"ready\n"
        end_every_program()
        with pytest.raises(ProgramFailedError, match="signal 15"):
            pipeline.finish()
