"""When each finding was first and last seen, and when it ended. Server and vault keep a ledger each.

A finding is known by its code and subject. It ends when whoever looks no longer finds it (`settle`), when it is said to
have ended (`end`), or when it has not been seen for so long that it does not last (`end_quiet`): some findings are
events, which nobody can look at again. A finding that comes back after its end begins again.

SQLite; the table may lie in a file of its own or beside others. It is a record, and losing it loses no backup.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from permafrost.documents.finding import VaultFindingDocument
from permafrost.findings import Finding, Severity
from permafrost.state_files import is_no_file, is_sound, is_time, other_reason, set_aside

LEDGER_FILE = "findings.sqlite"
ENDED_ARE_KEPT = timedelta(days=90)
SAID_AGAIN_AFTER = timedelta(days=1)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    id INTEGER PRIMARY KEY, code TEXT NOT NULL, subject TEXT NOT NULL, severity INTEGER NOT NULL, message TEXT NOT NULL,
    first_at TEXT NOT NULL, last_at TEXT NOT NULL, ended_at TEXT, times INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS ledger_open ON ledger (code, subject) WHERE ended_at IS NULL;
"""
_SELECT = "SELECT code, subject, severity, message, first_at, last_at, ended_at, times FROM ledger"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A finding over time. `ended_at` is None while it lasts; `times` is how often it was seen."""

    code: str
    subject: str
    severity: Severity
    message: str
    first_at: datetime
    last_at: datetime
    ended_at: datetime | None
    times: int

    def document(self) -> VaultFindingDocument:
        """Return it for JSON."""
        return VaultFindingDocument(
            kind=self.code,
            subject=self.subject,
            message=self.message,
            severity=self.severity.word,
            first_at=self.first_at,
            last_at=self.last_at,
            ended_at=self.ended_at,
            times=self.times,
        )


class Ledger:
    """The ledger in an SQLite database, which stays the caller's. Methods raise `sqlite3.DatabaseError`."""

    def __init__(self, database: sqlite3.Connection, *, is_read_only: bool = False) -> None:
        """Make the table if there is none, unless the database is only read."""
        self._database = database
        if not is_read_only:
            database.executescript(_SCHEMA)

    def check(self) -> None:
        """Raise `sqlite3.DatabaseError` if a value in it is none that a ledger writes: its file is damaged."""
        rules = (is_time("first_at"), is_time("last_at"), f"ended_at IS NULL OR {is_time('ended_at')}")
        for rule in (*rules, f"severity BETWEEN {min(Severity)} AND {max(Severity)}", "times >= 0"):
            if self._database.execute(f"SELECT 1 FROM ledger WHERE ({rule}) IS NOT 1 LIMIT 1").fetchone():  # noqa: S608
                raise sqlite3.DatabaseError("a value in its ledger is none that a ledger writes")

    def saw(self, finding: Finding, now: datetime) -> bool:
        """Record that it was seen; return whether it is new, or was last seen more than a day ago."""
        row = self._database.execute(
            "SELECT last_at FROM ledger WHERE code = ? AND subject = ? AND ended_at IS NULL",
            (finding.code, finding.subject),
        ).fetchone()
        if row is None:
            self._database.execute(
                "INSERT INTO ledger (code, subject, severity, message, first_at, last_at, times)"
                " VALUES (?, ?, ?, ?, ?, ?, 1)",
                (finding.code, finding.subject, int(finding.severity), finding.message, _text(now), _text(now)),
            )
            return True
        self._database.execute(
            "UPDATE ledger SET message = ?, severity = ?, last_at = ?, times = times + 1"
            " WHERE code = ? AND subject = ? AND ended_at IS NULL",
            (finding.message, int(finding.severity), _text(now), finding.code, finding.subject),
        )
        return now - _time(row[0]) >= SAID_AGAIN_AFTER

    def has_room(self, code: str, subject: str, most: int) -> bool:
        """Return whether the finding holds already, or fewer than `most` of its code do."""
        count, known = self._database.execute(
            "SELECT count(*), coalesce(max(subject = ?), 0) FROM ledger WHERE code = ? AND ended_at IS NULL",
            (subject, code),
        ).fetchone()
        return bool(known) or int(count) < most

    def end(self, code: str, subject: str, now: datetime) -> None:
        """Record that it no longer holds."""
        self._database.execute(
            "UPDATE ledger SET ended_at = ? WHERE code = ? AND subject = ? AND ended_at IS NULL",
            (_text(now), code, subject),
        )

    def settle(self, found: Iterable[Finding], now: datetime) -> None:
        """Record what holds now, and that everything else has ended."""
        found = tuple(found)
        for finding in found:
            self.saw(finding, now)
        holding = {(finding.code, finding.subject) for finding in found}
        for entry in self.open():
            if (entry.code, entry.subject) not in holding:
                self.end(entry.code, entry.subject, now)
        self.forget_ended(now - ENDED_ARE_KEPT)

    def end_quiet(self, before: datetime, now: datetime) -> None:
        """Record as ended what was last seen before that."""
        self._database.execute(
            "UPDATE ledger SET ended_at = ? WHERE ended_at IS NULL AND last_at < ?", (_text(now), _text(before))
        )

    def forget_ended(self, before: datetime) -> None:
        """Forget what ended before that."""
        self._database.execute("DELETE FROM ledger WHERE ended_at < ?", (_text(before),))

    def open(self) -> tuple[LedgerEntry, ...]:
        """Return what holds, last seen first."""
        return _entries(self._database, f"{_SELECT} WHERE ended_at IS NULL ORDER BY last_at DESC, code, subject")

    def ended(self) -> tuple[LedgerEntry, ...]:
        """Return what has ended and is not forgotten yet, the last first."""
        return _entries(self._database, f"{_SELECT} WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, code, subject")


def settle_in(folder: Path, found: Iterable[Finding], now: datetime) -> str | None:
    """Settle the ledger in `folder`. Return None, or what was wrong with a damaged one, which is moved aside.

    Raise `OSError` or `PermafrostError` if the folder cannot be written.
    """
    found = tuple(found)
    file = folder / LEDGER_FILE
    try:
        if is_no_file(file):
            raise sqlite3.DatabaseError("it is not a regular file")
        _settle_in(file, found, now)
    except (sqlite3.DatabaseError, ValueError) as error:
        if isinstance(error, sqlite3.Error) and (reason := other_reason(file, error)):
            raise reason from error
        aside = set_aside(file)
        _settle_in(file, found, now)
        return f"the ledger of findings was damaged ({error}) and starts again; the old one is {aside}"
    return None


def _settle_in(file: Path, found: tuple[Finding, ...], now: datetime) -> None:
    with closing(sqlite3.connect(file, timeout=30)) as database, database:
        if not is_sound(database):
            raise sqlite3.DatabaseError("pages of it are damaged")
        ledger = Ledger(database)
        ledger.check()
        ledger.settle(found, now)


def read_open(folder: Path) -> tuple[LedgerEntry, ...]:
    """Return what the ledger in `folder` says holds, nothing if there is none or it is damaged; nothing is written."""
    if is_no_file(folder / LEDGER_FILE):
        return ()
    try:
        with closing(sqlite3.connect(f"{(folder / LEDGER_FILE).absolute().as_uri()}?mode=ro", uri=True)) as database:
            ledger = Ledger(database, is_read_only=True)
            ledger.check()
            return ledger.open()
    except (sqlite3.DatabaseError, ValueError):
        return ()


def _entries(database: sqlite3.Connection, query: str) -> tuple[LedgerEntry, ...]:
    return tuple(
        LedgerEntry(
            code, subject, Severity(severity), message, _time(first), _time(last), _time(end) if end else None, times
        )
        for code, subject, severity, message, first, last, end, times in database.execute(query)
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
