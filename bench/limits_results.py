"""What a first backup and a restore take, program by program and step by step, next to what they cannot do without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Part = Literal["backup", "restore"]


@dataclass(frozen=True, slots=True)
class Attributed:
    """A piece of work: its time, the processor time of its programs by name, and that of the PostgreSQL server."""

    wall_s: float
    cpu_s: Mapping[str, float]
    server_cpu_s: float

    @property
    def all_cpu_s(self) -> float:
        """All of it together."""
        return sum(self.cpu_s.values()) + self.server_cpu_s


@dataclass(frozen=True, slots=True)
class Way:
    """What was done, several times; `is_limit` if it is what the first of its part cannot do without."""

    part: Part
    name: str
    runs: tuple[Attributed, ...]
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step of a restore: its time, and the processor time of permafrost with its programs and of the server."""

    title: str
    wall_s: float
    cpu_s: float
    server_cpu_s: float
