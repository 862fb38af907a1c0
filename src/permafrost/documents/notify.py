"""The document of notify test."""

from __future__ import annotations

from dataclasses import dataclass

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class TriedReceiverDocument(Document):
    """A receiver of alerts, and whether a test reached it."""

    name: str
    """its name in `[[notify]]`"""
    kind: str
    """what it is: `message`, `healthchecks`, `uptime-kuma` or `url`"""
    is_reached: bool
    """whether it took the test"""
    problem: str | None
    """why it did not; null if it did"""


@dataclass(frozen=True, slots=True)
class NotifyTestDocument(Document):
    """Which receivers of alerts a test reached."""

    receivers: tuple[TriedReceiverDocument, ...]
    """each receiver that was tried"""
