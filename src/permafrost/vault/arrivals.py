"""What a vault knows about one server's snapshots: when each arrived, and what became of it. SQLite, next to the
history.

Losing the file loses no snapshot: what is in the history is found there again, with the time at which its folder was
made, and everything is read again within a week.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from permafrost.errors import ConfigurationError
from permafrost.findings import vault_kind
from permafrost.ledger import Ledger
from permafrost.state_files import is_no_file, is_sound, other_reason, set_aside
from permafrost.vault.clock import Moment, OwnTime
from permafrost.vault.cost import BLOCK_BYTES, ENTRY_BYTES
from permafrost.vault.record_values import check_values

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (
    only INTEGER PRIMARY KEY CHECK (only = 1), own TEXT NOT NULL, wall TEXT NOT NULL,
    uptime_s REAL NOT NULL, boot_id TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS snapshots (
    snapshot TEXT PRIMARY KEY, seen_at TEXT NOT NULL, arrived_at TEXT, arrived_by_clock TEXT, list_hash TEXT,
    state TEXT NOT NULL, objects INTEGER NOT NULL DEFAULT 0, size_bytes INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS objects (
    name TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, verified_at TEXT NOT NULL, is_good INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS objects_by_age ON objects (verified_at);
CREATE INDEX IF NOT EXISTS objects_bad ON objects (name) WHERE is_good = 0;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""

IN_FLIGHT = "in flight"
REJECTED = "rejected"
WAITING = "waiting"
KEPT = "kept"
DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A snapshot that was seen. Times are the vault's own, but `arrived_by_clock`, which is the machine's."""

    snapshot: str
    seen_at: datetime
    state: str
    arrived_at: datetime | None = None
    """When it was found whole and good, and was taken into the history."""
    arrived_by_clock: datetime | None = None
    list_hash: str | None = None
    """SHA-256 of its list once it is kept; before, of the list and signature that were checked last."""
    objects: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class KeptObject:
    """An object in the history, and when it was last read and compared."""

    name: str
    size_bytes: int
    verified_at: datetime
    is_good: bool


class Records:
    """The records of one server."""

    _all: tuple[int, tuple[Arrival, ...]] | None = None
    """All arrivals, and SQLite's number for the state of the file that they were read from; None if some changed."""

    def __init__(self, file: Path) -> None:
        """Open or make them; raise `ConfigurationError` if the file cannot be used."""
        self._file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.database = _sound_database(file)
            self.ledger = Ledger(self.database)
            _take_over_findings(self.database)
        except (sqlite3.DatabaseError, OSError) as error:
            raise ConfigurationError(
                f"the vault's records {file} cannot be used: {error}",
                hint="move the file away: a new one is created from the history, and nothing kept is lost",
            ) from error

    @classmethod
    def for_reading(cls, file: Path) -> Records | None:
        """Return the records as they are, None if there are none; nothing is written, not even beside the file.

        Raise `sqlite3.DatabaseError` if they are damaged, or of a version before there was a ledger.
        """
        if is_no_file(file) or not file.exists():
            return None
        # without a log beside it nobody has the file open, and SQLite need not make one to read it
        is_in_use = file.with_name(f"{file.name}-wal").exists()
        how = "mode=ro" if is_in_use else "mode=ro&immutable=1"
        records = cls.__new__(cls)
        records.database = sqlite3.connect(f"{file.absolute().as_uri()}?{how}", timeout=30, uri=True)
        records.ledger = Ledger(records.database, is_read_only=True)
        try:
            check_values(records.database)
            records.ledger.check()
        except BaseException:
            records.close()
            raise
        return records

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that the block records be recorded in one step, or nothing of it."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._all = None
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    # --- the vault's own time ---

    def own_time(self) -> OwnTime | None:
        """Return the vault's own time as it was last recorded."""
        row = self.database.execute("SELECT own, wall, uptime_s, boot_id FROM clock").fetchone()
        return OwnTime(_time(row[0]), Moment(_time(row[1]), row[2], row[3])) if row else None

    def record_time(self, own: OwnTime) -> None:
        """Record the vault's own time."""
        self.database.execute(
            "INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?, ?)",
            (_text(own.now), _text(own.moment.wall), own.moment.uptime_s, own.moment.boot_id),
        )

    # --- snapshots ---

    def arrivals(self, *states: str) -> tuple[Arrival, ...]:
        """Return the snapshots in those states (in any, if none is given), by name.

        A vault asks several times at each look, and there may be thousands: they are read again only if they changed.
        """
        (version,) = self.database.execute("PRAGMA data_version").fetchone()  # another one if somebody else wrote
        if self._all is None or self._all[0] != version:
            rows = self.database.execute(f"{_SELECT_ARRIVALS} ORDER BY snapshot")
            self._all = version, tuple(_arrival(row) for row in rows)
        known = self._all[1]
        return tuple(arrival for arrival in known if arrival.state in states) if states else known

    def arrival(self, snapshot: str) -> Arrival | None:
        """Return what is known of one snapshot."""
        row = self.database.execute(f"{_SELECT_ARRIVALS} WHERE snapshot = ?", (snapshot,)).fetchone()
        return _arrival(row) if row else None

    def record(self, arrival: Arrival) -> None:
        """Record what is known of a snapshot now."""
        self._all = None
        self.database.execute(
            "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                arrival.snapshot,
                _text(arrival.seen_at),
                _text_or_none(arrival.arrived_at),
                _text_or_none(arrival.arrived_by_clock),
                arrival.list_hash,
                arrival.state,
                arrival.objects,
                arrival.size_bytes,
            ),
        )

    def set_state(self, snapshots: Iterable[str], state: str) -> None:
        """Record the state of snapshots that are known."""
        changes = [(state, snapshot) for snapshot in snapshots]
        if changes:
            self._all = None
            self.database.executemany("UPDATE snapshots SET state = ? WHERE snapshot = ?", changes)

    def forget(self, snapshots: Iterable[str]) -> None:
        """Forget snapshots."""
        names = [(snapshot,) for snapshot in snapshots]
        if names:
            self._all = None
            self.database.executemany("DELETE FROM snapshots WHERE snapshot = ?", names)

    # --- objects ---

    def record_objects(self, objects: Iterable[KeptObject]) -> None:
        """Record that the objects were read."""
        self.database.executemany(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
            [(found.name, found.size_bytes, _text(found.verified_at), int(found.is_good)) for found in objects],
        )

    def object(self, name: str) -> KeptObject | None:
        """Return what is known of an object in the history."""
        row = self.database.execute(
            "SELECT name, size_bytes, verified_at, is_good FROM objects WHERE name = ?", (name,)
        ).fetchone()
        return _object(row) if row else None

    def oldest_verified(self, before: datetime, count: int) -> tuple[KeptObject, ...]:
        """Return objects that were not read since `before`, longest ago first."""
        rows = self.database.execute(
            "SELECT name, size_bytes, verified_at, is_good FROM objects WHERE verified_at < ?"
            " ORDER BY verified_at, name LIMIT ?",
            (_text(before), count),
        )
        return tuple(_object(row) for row in rows)

    def bad_objects(self) -> tuple[KeptObject, ...]:
        """Return the objects whose bytes are no longer what their name says."""
        rows = self.database.execute("SELECT name, size_bytes, verified_at, is_good FROM objects WHERE is_good = 0")
        return tuple(_object(row) for row in rows)

    def objects_after(self, name: str, count: int) -> tuple[KeptObject, ...]:
        """Return the next objects in the order of their names."""
        rows = self.database.execute(
            "SELECT name, size_bytes, verified_at, is_good FROM objects WHERE name > ? ORDER BY name LIMIT ?",
            (name, count),
        )
        return tuple(_object(row) for row in rows)

    def forget_objects(self, names: Iterable[str]) -> None:
        """Forget objects that are no longer in the history."""
        self.database.executemany("DELETE FROM objects WHERE name = ?", [(name,) for name in names])

    def object_names(self) -> Iterator[str]:
        """Yield the names of all objects that are known."""
        for (name,) in self.database.execute("SELECT name FROM objects"):
            yield str(name)

    def size(self) -> tuple[int, int, datetime | None]:
        """Return count and bytes of the objects in the history, and since when none of them was not read."""
        count, size, oldest = self.database.execute(
            "SELECT count(*), coalesce(sum(size_bytes), 0), min(verified_at) FROM objects"
        ).fetchone()
        return int(count), int(size), _time(oldest) if oldest else None

    def objects_cost(self) -> int:
        """Return what the objects in the history cost the disk."""
        (cost,) = self.database.execute(
            "SELECT coalesce(sum((size_bytes + ?) / ? * ? + ?), 0) FROM objects",
            (BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES, ENTRY_BYTES),
        ).fetchone()
        return int(cost)

    # --- notes ---

    def forget_note(self, name: str) -> None:
        """Forget what was noted under that name."""
        self.database.execute("DELETE FROM notes WHERE name = ?", (name,))

    def note(self, name: str) -> str | None:
        """Return what was noted under that name."""
        row = self.database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def noted_time(self, name: str) -> datetime | None:
        """Return the moment that was noted under that name, None if there is none."""
        text = self.note(name)
        try:
            moment = _time(text) if text is not None else None
        except ValueError:
            return None
        return moment if moment is not None and moment.tzinfo is not None else None

    def noted_count(self, name: str) -> int | None:
        """Return the number that was noted under that name, None if there is none."""
        text = self.note(name)
        return int(text) if text is not None and _COUNT.fullmatch(text) else None

    def set_note(self, name: str, value: str) -> None:
        """Note something for the next turn."""
        self.database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))


_COUNT = re.compile(r"[0-9]{1,18}", re.ASCII)
_SELECT_ARRIVALS = (
    "SELECT snapshot, seen_at, state, arrived_at, arrived_by_clock, list_hash, objects, size_bytes FROM snapshots"
)


def _sound_database(file: Path) -> sqlite3.Connection:
    """Return the open database with its tables; a damaged file is set aside first, and a new one made."""
    for is_last in (False, True):
        try:
            if is_no_file(file):
                set_aside(file)
            database = sqlite3.connect(file, timeout=30, isolation_level=None)
            try:
                if not is_sound(database):
                    raise sqlite3.DatabaseError("pages of it are damaged")
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
                database.executescript(_SCHEMA)
                check_values(database)
                Ledger(database).check()
            except BaseException:
                database.close()
                raise
        except sqlite3.DatabaseError as error:
            if is_last or other_reason(file, error) is not None:
                raise
            set_aside(file)
        else:
            return database
    raise AssertionError("the last attempt returns or raises")


def _take_over_findings(database: sqlite3.Connection) -> None:
    """Move the findings of a vault that was made before there was a ledger into it."""
    is_old = database.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'findings'").fetchone()
    if not is_old:
        return
    rows = database.execute("SELECT kind, subject, message, first_at, last_at, times FROM findings").fetchall()
    database.execute("BEGIN IMMEDIATE")
    for code, subject, message, first_at, last_at, times in rows:
        kind = vault_kind(code)
        database.execute(
            "INSERT OR IGNORE INTO ledger (code, subject, severity, message, first_at, last_at, times)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (kind.code, subject, int(kind.severity), message, first_at, last_at, times),
        )
    database.execute("DROP TABLE findings")
    database.execute("COMMIT")


def _arrival(row: tuple[str, str, str, str | None, str | None, str | None, int, int]) -> Arrival:
    return Arrival(
        row[0],
        _time(row[1]),
        row[2],
        _time(row[3]) if row[3] else None,
        _time(row[4]) if row[4] else None,
        *row[5:],
    )


def _object(row: tuple[str, int, str, int]) -> KeptObject:
    return KeptObject(row[0], row[1], _time(row[2]), bool(row[3]))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _text_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else _text(moment)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
