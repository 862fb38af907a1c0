"""Modules that are slow to import, loaded in a thread while the program waits for something else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread


@contextmanager
def imported_beside(module: str) -> Iterator[None]:
    """Import a module in a thread while the block waits for other programs.

    What is needed of it is imported after the block, in the function that needs it: httpx and numpy take a good tenth
    of a second each, which is much of an hourly run that finds little to do.
    """
    thread = Thread(target=import_module, args=(module,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
