"""From which address a server's media are fetched: the first that it names, and another one only when confirmed.

Whoever holds the server signs any list. The address is the one thing in it by which a vault could be sent elsewhere, so
the first one that was read is noted, and the vault's owner confirms another one by writing it into vault.toml.
"""

from __future__ import annotations

from permafrost.findings import FindingKind
from permafrost.vault.fetching_settings import MediaSource
from permafrost.vault_keeping.media.list_intake import KEYS_URL
from permafrost.vault_keeping.noting import Noting

_CONFIRMED = "media-url"
_SUBJECT = "media"


def source_url(source: MediaSource, noting: Noting) -> str | None:
    """Return where to fetch from; None before a list has come, and while another address waits to be confirmed."""
    records, named = noting.records, noting.records.note(KEYS_URL)
    if named is None:
        return None
    url = source.url or records.note(_CONFIRMED) or named
    if source.url is None and named != url:
        message = f"the server now names {named} for its media, where it was {url}; nothing is fetched until confirmed"
        noting.found(FindingKind.MEDIA_ADDRESS, _SUBJECT, message)
        return None
    records.ledger.end(FindingKind.MEDIA_ADDRESS.code, _SUBJECT, noting.now)
    if records.note(_CONFIRMED) != url:
        records.set_note(_CONFIRMED, url)
    return url
