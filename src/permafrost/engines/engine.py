"""The engines: what a backup calls to read the database and store what the repository lacks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from permafrost.engines.contents import SnapshotContents
from permafrost.engines.context import RunContext


class Engine(Protocol):
    """Makes the database's part of a snapshot."""

    def __call__(self, run: RunContext) -> AbstractContextManager[SnapshotContents]:
        """Yield what was read and stored, once all of it is durable.

        The block publishes the snapshot. What the engine remembers for the next run counts only once the block has
        ended well; if it fails, or the engine does, the next run finds everything as it was.
        """
        ...


def engine_named(name: str) -> Engine:
    """Return the engine that `[database] engine` names; only that one is imported."""
    return _ENGINES[name]()


def _log() -> Engine:
    from permafrost.engines.log import logged  # noqa: PLC0415 - see engine_named

    return logged


def _dump() -> Engine:
    from permafrost.engines.dump import dumped  # noqa: PLC0415 - see engine_named

    return dumped


_ENGINES: Mapping[str, Callable[[], Engine]] = {"log": _log, "dump": _dump}
