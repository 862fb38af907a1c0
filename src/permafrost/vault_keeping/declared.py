"""What the server last declared: read from what it sends, remembered, and reported when it promises less than before.

A declaration that is gone or cannot be read changes nothing: the one before holds.
"""

from __future__ import annotations

from pathlib import Path

from permafrost.errors import IntegrityError
from permafrost.findings import FindingKind, FindingSink
from permafrost.small_files import NotAFileError, opened_folder, read_small
from permafrost.vault.arrivals import Records
from permafrost.vault.declaration import DECLARATION_FILE, MAXIMUM_BYTES, Declaration, parse_declaration

_NOTE = "declared"


def declared(records: Records) -> Declaration | None:
    """Return what the server last declared, None if it never has, or if the note of it is damaged."""
    text = records.note(_NOTE)
    try:
        return parse_declaration(text.encode("utf-8", "replace")) if text is not None else None
    except IntegrityError:
        return None


def take_in_declaration(received: Path, records: Records, found: FindingSink) -> Declaration | None:
    """Return what the server declares, having remembered it, and reported what is less than it was."""
    before = declared(records)
    try:
        with opened_folder(received) as folder:
            now = parse_declaration(read_small(DECLARATION_FILE, MAXIMUM_BYTES, folder=folder))
    except (FileNotFoundError, NotAFileError):
        now = None
    except IntegrityError as error:
        found(FindingKind.ODD_FILE, DECLARATION_FILE, error.message)
        now = None
    if now is None:
        if before is not None:
            found(FindingKind.REMOVED, DECLARATION_FILE, f"the server no longer sends its {DECLARATION_FILE}")
        return before
    if now != before:
        less = "; ".join(now.less_than(before)) if before is not None else ""
        if less:
            found(FindingKind.DECLARES_LESS, "declaration", f"the server now promises less: {less}")
        records.set_note(_NOTE, now.model_dump_json())
    return now
