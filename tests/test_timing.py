"""Seconds by kind of work."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

from permafrost.events import Event, Note, StepStarted
from permafrost.timing import StepTimes, WorkTimes


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_work_inside_other_work_counts_once() -> None:
    """The inner work's time is not the outer's, also when it comes in pieces."""
    clock = Clock()
    times = WorkTimes(clock)

    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            clock.now += 2
            yield b"row\n"

    with times.of("seal"):
        clock.now += 1
        for _ in times.waiting_for("fetch", pieces()):
            with times.of("compress"):
                clock.now += 0.5
        clock.now += 4
    assert times.seconds() == {"fetch": 6.0, "seal": 5.0, "compress": 1.5}


def test_threads_are_added_up() -> None:
    """What another thread does inside the block is not taken from the block's own time."""
    clock = Clock()
    times = WorkTimes(clock)

    def beside() -> None:
        with times.of("scan"):
            clock.now += 3

    with times.of("frame"):
        thread = Thread(target=beside)
        thread.start()
        thread.join()
    assert times.seconds() == {"scan": 3.0, "frame": 3.0}


def test_steps_last_until_the_next_one() -> None:
    """Every event is passed on, and each step's time ends where the next one begins."""
    clock, told = Clock(), list[Event]()
    times = StepTimes(told.append, clock)
    for number, took_s in ((1, 2.0), (2, 5.0)):
        times(StepStarted(number, 2, f"step {number}"))
        times(Note("a note"))
        clock.now += took_s
    assert times.seconds() == {"step 1": 2.0, "step 2": 5.0}
    assert len(told) == 4
