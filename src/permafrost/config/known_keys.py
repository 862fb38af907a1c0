"""The keys that a model knows, and which of them an unknown key was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every section and key of `model`, dotted, in its order."""
    for name, field in model.model_fields.items():
        dotted = f"{prefix}{name}"
        yield dotted
        section = _section_of(field.annotation)
        if section is not None:
            yield from known_keys(section, f"{dotted}.")


def _section_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - an annotation may be anything
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def nearest_keys(dotted: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the known keys that `dotted`, which is not one, most likely stands for; none if nothing is near.

    First a slip in the name within its own section, then the right name in a wrong section, then a slip
    anywhere.
    """
    section, _, name = dotted.rpartition(".")
    siblings = {key.rpartition(".")[2]: key for key in known if key.rpartition(".")[0] == section}
    others = {key.rpartition(".")[2]: key for key in reversed(known) if "." in key}
    if near := get_close_matches(name, siblings, n=1, cutoff=0.75):
        return (siblings[near[0]],)
    if name in others:
        return tuple(key for key in known if key.endswith(f".{name}"))
    if near := get_close_matches(name, others, n=1, cutoff=0.75):
        return (others[near[0]],)
    return tuple(siblings[near] for near in get_close_matches(name, siblings, n=1, cutoff=0.5))
