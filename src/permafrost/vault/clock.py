"""The vault's own clock, by which a history ages. Pure, but for `read_moment`.

A clock that is wrong must not make a vault throw its history away, and the machine's clock is wrong at times: an
empty battery, a bad time server, a hand. So what ages is counted in a time of the vault's own:

- It never goes back.
- While the machine is up, it advances by what the kernel counts as passed (CLOCK_BOOTTIME), which nobody can set.
- Behind the machine's clock, it goes twice as fast until it has caught up. A clock that jumps ten years forward can
  therefore make a history age twice as fast as real time, and no faster.
- What passed while the machine was off, only its clock can say; it is believed for a day.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

BELIEVED_WHILE_OFF = timedelta(days=1)
JUMP = timedelta(hours=1)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """What the machine says of the time: its clock (UTC), how long it has been up, and which start that was."""

    wall: datetime
    uptime_s: float
    boot_id: str


@dataclass(frozen=True, slots=True)
class OwnTime:
    """The vault's own time, and the moment at which it was that."""

    now: datetime
    moment: Moment

    def at(self, moment: Moment) -> OwnTime:
        """Return the vault's own time at a later moment."""
        passed = _passed(self.moment, moment)
        behind = moment.wall - (self.now + passed)
        if moment.boot_id != self.moment.boot_id or behind < timedelta(0):
            return OwnTime(self.now + passed, moment)
        return OwnTime(self.now + passed + min(passed, behind), moment)

    def jump_to(self, moment: Moment) -> timedelta:
        """Return by how much the machine's clock jumped until `moment`; zero for less than an hour.

        A machine that was off cannot tell a jump forward from the time that it was off.
        """
        jump = moment.wall - self.moment.wall
        if moment.boot_id == self.moment.boot_id:
            jump -= _passed(self.moment, moment)
        else:
            jump = min(jump, timedelta(0))
        return jump if abs(jump) >= JUMP else timedelta(0)


def _passed(before: Moment, after: Moment) -> timedelta:
    if before.boot_id == after.boot_id:
        return timedelta(seconds=max(0.0, after.uptime_s - before.uptime_s))
    return min(max(after.wall - before.wall, timedelta(0)), BELIEVED_WHILE_OFF)


def read_moment() -> Moment:
    """Return what this machine says of the time."""
    return Moment(
        datetime.now(UTC),
        time.clock_gettime(time.CLOCK_BOOTTIME),
        _BOOT_ID.read_text(encoding="ascii").strip(),
    )
