"""What all documents have in common."""

from __future__ import annotations

from typing import ClassVar


class Document:
    """A JSON object. Subclasses are frozen dataclasses; the string below each field describes its key."""

    __slots__ = ()
    # pydantic, which makes the schemas and is not imported for printing, takes the descriptions from those strings
    __pydantic_config__: ClassVar[dict[str, bool]] = {"use_attribute_docstrings": True}
