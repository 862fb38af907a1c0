"""How the server's own media compare with its database: what the last comparison has recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from permafrost.amounts import count_text
from permafrost.config.models import Configuration
from permafrost.documents.media import MediaCompareDocument, MediaStatusDocument
from permafrost.findings import Finding, FindingKind
from permafrost.runs import MEDIA_COMPARED, RunRecords

_KEYS = tuple(field.name for field in fields(MediaCompareDocument))


def media_status(configuration: Configuration, records: RunRecords) -> MediaStatusDocument | None:
    """Return what is known, None if nothing has compared them, or no media are configured any more."""
    last, done = records.newest_settled(MEDIA_COMPARED), records.newest(MEDIA_COMPARED, "done")
    if configuration.media is None or (last is None and done is None):
        return None
    found = _comparison(done.details) if done is not None else None
    is_failed = last is not None and last.outcome == "failed"
    return MediaStatusDocument(
        compared_at=(done.ended_at or done.started_at) if done is not None and found is not None else None,
        comparison=found,
        error=str(last.details.get("error", "unknown")) if last is not None and is_failed else None,
    )


def media_findings(known: MediaStatusDocument | None) -> Iterator[Finding]:
    """Yield that files are missing; that others belong to no row is a number, and no finding."""
    found = known.comparison if known is not None else None
    if known is None or found is None or known.compared_at is None or not found.missing:
        return
    where = "object store" if found.is_store else "media folder"
    count = count_text(found.missing, "file")
    named = f", such as {found.first_missing[0]}" if found.first_missing else ""
    message = f"the {where} lacked {count} of {found.needed} that the database needs on {known.compared_at:%Y-%m-%d}"
    yield Finding(FindingKind.MEDIA_LACKING, "media", f"{message}{named}")


def _comparison(details: Mapping[str, Any]) -> MediaCompareDocument | None:
    """Return what was recorded, None if it is something else: a damaged disk may have changed it."""
    said = {key: details.get(key) for key in _KEYS}
    names = said.pop("first_missing")
    is_store, duration_s = said.pop("is_store"), said.pop("duration_s")
    are_counts = all(isinstance(value, int) and not isinstance(value, bool) for value in said.values())
    if not are_counts or not isinstance(names, list) or not isinstance(is_store, bool):
        return None
    if not isinstance(duration_s, int | float):
        return None
    counts: dict[str, Any] = said
    return MediaCompareDocument(
        is_store=is_store, first_missing=tuple(map(str, names)), duration_s=float(duration_s), **counts
    )
