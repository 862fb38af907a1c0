"""What a vault finds out about its server's object store while it fetches from there."""

from __future__ import annotations

from datetime import datetime, timedelta

from permafrost.findings import FindingKind
from permafrost.media_store.answers import Answer, Outcome
from permafrost.vault.media.keys import HELD, WANTED, MediaKeys, Unanswered, patience
from permafrost.vault.media.versions import MediaVersions
from permafrost.vault_keeping.noting import Noting
from permafrost.vault_keeping.pace import Pace

NAMED_AT_MOST = 3
SILENT_FOR = timedelta(hours=1)
_REPORT_EVERY = timedelta(hours=1)
_SUBJECT = "media"
_SILENT_SINCE = "media-silent-since"
_COUNTED = (
    (FindingKind.MEDIA_ABSENT, WANTED, Outcome.ABSENT, "the object store does not have {} that the database needs"),
    (FindingKind.MEDIA_CLOSED, WANTED, Outcome.CLOSED, "the object store does not let {} be read by everyone"),
    (FindingKind.MEDIA_UNFIT, WANTED, Outcome.UNFIT, "the object store serves something else for {}"),
    (FindingKind.MEDIA_REFUSED, WANTED, Outcome.REFUSED, "the address of {} is not asked"),
    (FindingKind.MEDIA_VANISHED, HELD, Outcome.ABSENT, "the object store no longer has {} that the vault holds"),
)


class StoreFindings:
    """Counts what cannot be had, compares what is fetched again, and rests while the store does not answer."""

    def __init__(self, keys: MediaKeys, versions: MediaVersions, noting: Noting) -> None:
        self._keys, self._versions, self._noting = keys, versions, noting
        self._pace = Pace(_REPORT_EVERY)
        self._failures = 0
        self._silent_since = noting.records.noted_time(_SILENT_SINCE)
        self._rests_until: datetime | None = None

    def rests(self, now: datetime) -> bool:
        """Return whether the store is not to be asked now."""
        return self._rests_until is not None and now < self._rests_until

    def heard(self, answer: Answer, now: datetime) -> None:
        """Learn from an answer whether the store can be reached; one that cannot is left alone for longer each time."""
        if answer.outcome is Outcome.STOPPED:
            return
        if answer.outcome not in (Outcome.FAILED, Outcome.BUSY):
            self._failures, self._rests_until = 0, None
            if self._silent_since is not None:
                self._silent_since = None
                self._noting.records.forget_note(_SILENT_SINCE)
                self._noting.records.ledger.end(FindingKind.MEDIA_UNREACHABLE.code, _SUBJECT, now)
            return
        self._failures += 1
        if self._silent_since is None:
            self._silent_since = now
            self._noting.records.set_note(_SILENT_SINCE, now.isoformat())
        if answer.outcome is Outcome.BUSY or self._failures >= 5:
            own = patience(self._failures - 1, timedelta(seconds=2), timedelta(minutes=15))
            asked = timedelta(seconds=answer.wait_s) if answer.wait_s is not None else own
            self._rests_until = max(now + asked, self._rests_until or now)
        if now - self._silent_since >= SILENT_FOR:
            message = (
                f"the object store has not answered since {self._silent_since:%Y-%m-%d %H:%M} UTC: {answer.reason}"
            )
            self._noting.found(FindingKind.MEDIA_UNREACHABLE, _SUBJECT, message)

    def compare(self, answer: Answer, now: datetime) -> None:
        """Compare a file that was fetched again with what the vault holds of it; the vault keeps its own."""
        path = answer.wanted.path
        held = self._versions.present(path.encode())
        if held is None or not held.sha256 or held.sha256 == answer.sha256:
            self._noting.records.ledger.end(FindingKind.MEDIA_ALTERED.code, f"media/{path}", now)
            return
        message = f"the object store now serves other bytes for {path} than when it was fetched; the first are kept"
        self._noting.found(FindingKind.MEDIA_ALTERED, f"media/{path}", message)

    def budget_is_used(self, waiting: int) -> None:
        """Report that the rest waits for tomorrow."""
        message = f"the bytes of today are used up; {waiting} media files wait until tomorrow"
        self._noting.found(FindingKind.MEDIA_BUDGET, _SUBJECT, message)

    def report(self, now: datetime, *, has_news: bool) -> None:
        """Report what cannot be had, and end what no longer holds; where nothing is new, once an hour."""
        if not (has_news or self._pace.is_due(now)):
            return
        self._pace.done(now)
        for kind, state, outcome, text in _COUNTED:
            self._report(kind, self._keys.with_answer(state, outcome.name.lower(), NAMED_AT_MOST), text, now)

    def _report(self, kind: FindingKind, found: Unanswered, text: str, now: datetime) -> None:
        if not found.count:
            self._noting.records.ledger.end(kind.code, _SUBJECT, now)
            return
        files = f"{found.count} media file{'s' if found.count > 1 else ''}"
        reason = f" ({found.reason})" if found.reason else ""
        self._noting.found(kind, _SUBJECT, f"{text.format(files)}, such as {', '.join(found.paths)}{reason}")
