"""What commands cost as a repository and its records grow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of what grows with the years."""

    snapshots: int
    objects: int
    runs: int


@dataclass(frozen=True, slots=True)
class Grown:
    """What a command took at a size; `peak_bytes` is the most memory of all its programs together."""

    command: str
    size: Size
    wall_s: float
    cpu_s: float
    peak_bytes: int
