"""Several repositories and one bucket: a vault keeps several servers' histories, and one may be damaged, or hostile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from permafrost.errors import PermafrostError

R = TypeVar("R")
S = TypeVar("S")


def each(requests: Iterable[R], work: Callable[[R], S]) -> tuple[S, ...]:
    """Do the work on every request, whatever becomes of the others; raise the first failure at the end."""
    results: list[S] = []
    failure: PermafrostError | None = None
    for request in requests:
        try:
            results.append(work(request))
        except PermafrostError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return tuple(results)
