"""Run records: what ran when, and how it ended. SQLite in the state folder; losing them loses no backup."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from permafrost.errors import ConfigurationError
from permafrost.state_files import is_no_file, is_sound, set_aside

RUNS_FILE = "runs.sqlite"
"""In the state folder."""
DRILL = "drill"
"""The operation of drills; those that ended as done have proven their snapshot."""
BUCKET_DRILL = "bucket-drill"
"""The operation of drills from a bucket; their details name it. They take no turn of the scheduled ones."""
DRILL_UNIT = "drill-unit"
"""The operation under which a service records that the unit of its drills cannot be asked, or can be again."""
RESTORE = "restore"
"""The operation of restores; its details say whether the database is whole, and how many parts are missing."""
DAMAGED = "damaged-state"
"""The operation under which damage to files of the state folder is recorded."""
PLACE = "place-measured"
"""The operation under which sizes of places are recorded now and then, to see them grow."""
MEASURED_EVERY = timedelta(hours=6)
SENT_BACK = "sent-back"
"""The operation, on a vault, of copies that it has sent back: what came over the line, and in which time."""
SHEET = "sheet-proven"
"""The operation of proofs that the recovery sheet opens the newest snapshot."""
SEAL_MEDIA = "seal-media"
"""The operation of runs that seal media for vaults."""
MEDIA_COMPARED = "media-compare"
"""The operation of comparisons of the server's own media with the database; its details are what status shows."""
SCAN_FINDING, SCAN_MESSAGE = "scan_finding", "scan_message"
"""Details of a backup: the kind of finding that its scan of the rows gives rise to, and what it says."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
MISSED = "missed"
"""The operation under which missed runs are recorded."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT NOT NULL,
    snapshot TEXT,
    details TEXT NOT NULL DEFAULT '{}'
) STRICT
"""
_INDEX = "CREATE INDEX IF NOT EXISTS by_operation ON runs (operation, id)"
_IS_SETTLED = (
    "(outcome = 'done' OR outcome = 'failed'"
    " AND CASE WHEN json_valid(details) THEN json_extract(details, '$.kind') END IS NOT 'InterruptedRunError')"
)
_SETTLED = f"""
SELECT operation, started_at, ended_at, outcome, snapshot, details FROM runs
WHERE operation = ? AND {_IS_SETTLED} AND (? OR outcome = 'done')
AND (? OR CASE WHEN json_valid(details) THEN json_extract(details, '$.is_audited') END)
ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Run:
    """One run: `outcome` is done, failed, or unfinished (it is under way, or was killed)."""

    operation: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    snapshot: str | None
    details: Mapping[str, Any]


class RunRecords:
    """The records in a state folder."""

    def __init__(self, state_folder: Path, *, is_read_only: bool = False) -> None:
        """Open or make the records; raise `ConfigurationError` if the folder cannot be used.

        With `is_read_only` nothing is made or written, and records that do not exist are empty.
        """
        self._file = state_folder / RUNS_FILE
        self._is_read_only = is_read_only
        self._is_checked = self._is_readable = False
        self.set_aside: Path | None = None
        """Where damaged records are now, if there were any; the new ones know nothing of earlier runs."""
        if is_read_only:
            return
        try:
            state_folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the state folder {state_folder} cannot be created: {error.strerror}", hint="check [state] path"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if self._is_read_only:
            if not self._is_checked:
                self._is_checked, self._is_readable = True, _is_readable(self._file)
            return _opened_for_reading(self._file if self._is_readable else None)
        if not self._is_checked and is_no_file(self._file):
            self.set_aside = set_aside(self._file)
        database = sqlite3.connect(self._file, timeout=30)
        if not self._is_checked and not is_sound(database):
            database.close()
            self.set_aside = set_aside(self._file)
            database = sqlite3.connect(self._file, timeout=30)
        self._is_checked = True
        database.execute(_SCHEMA)
        database.execute(_INDEX)
        return database

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connect()) as database, database:
                yield database
        except (sqlite3.DatabaseError, OSError) as error:
            raise ConfigurationError(
                f"the run records {self._file} cannot be used: {error}",
                hint="check [state] path: the folder's owner and mode, the disk, ReadWritePaths= of a systemd unit",
            ) from error

    def begin(self, operation: str, now: datetime) -> int:
        """Record that `operation` has begun; return the record's number."""
        with self._database() as database:
            cursor = database.execute(
                "INSERT INTO runs (operation, started_at, outcome) VALUES (?, ?, 'unfinished')",
                (operation, _text(now)),
            )
            assert cursor.lastrowid is not None  # noqa: S101 - an INSERT has one
            return cursor.lastrowid

    def end(
        self, number: int, now: datetime, outcome: str, *, snapshot: str | None = None, details: Mapping[str, Any]
    ) -> None:
        """Record how run `number` ended."""
        with self._database() as database:
            database.execute(
                "UPDATE runs SET ended_at = ?, outcome = ?, snapshot = ?, details = ? WHERE id = ?",
                (_text(now), outcome, snapshot, json.dumps(details, default=str), number),
            )

    def newest(self, operation: str, outcome: str | None = None) -> Run | None:
        """Return the newest record of `operation`, of those that ended with `outcome` if given."""
        with self._database() as database:
            row = database.execute(
                "SELECT operation, started_at, ended_at, outcome, snapshot, details FROM runs"
                " WHERE operation = ? AND outcome = coalesce(?, outcome) ORDER BY id DESC LIMIT 1",
                (operation, outcome),
            ).fetchone()
        return _run(row) if row else None

    def snapshots(self, operation: str, outcome: str) -> frozenset[str]:
        """Return the snapshots of which a run of `operation` ended with `outcome`."""
        with self._database() as database:
            rows = database.execute(
                "SELECT DISTINCT snapshot FROM runs WHERE operation = ? AND outcome = ? AND snapshot IS NOT NULL",
                (operation, outcome),
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def proven(self) -> frozenset[str]:
        """Return the snapshots that a drill has proven, wherever it read them: their bytes are the same."""
        return self.snapshots(DRILL, "done") | self.snapshots(BUCKET_DRILL, "done")

    def audited(self) -> frozenset[str]:
        """Return the snapshots that an audited backup has made."""
        with self._database() as database:
            rows = database.execute(
                "SELECT snapshot FROM runs WHERE operation = 'backup' AND outcome = 'done' AND snapshot IS NOT NULL"
                " AND CASE WHEN json_valid(details) THEN json_extract(details, '$.is_audited') END"
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def since(self, moment: datetime, *operations: str) -> tuple[Run, ...]:
        """Return the runs of these operations that started at `moment` or later, in the order of their start."""
        marks = ", ".join("?" * len(operations))
        with self._database() as database:
            rows = database.execute(
                "SELECT operation, started_at, ended_at, outcome, snapshot, details FROM runs"  # noqa: S608 - marks
                f" WHERE operation IN ({marks}) AND started_at >= ? ORDER BY started_at, id",
                (*operations, _text(moment)),
            ).fetchall()
        return tuple(_run(row) for row in rows)

    def newest_settled(self, operation: str, *, audited_only: bool = False, done_only: bool = False) -> Run | None:
        """Return the newest run that came to its own end, done or failed; not one that was cut short."""
        with self._database() as database:
            row = database.execute(_SETTLED, (operation, not done_only, not audited_only)).fetchone()
        return _run(row) if row else None

    def oldest_start(self) -> datetime | None:
        """Return when the oldest run began, None if there is none."""
        with self._database() as database:
            row = database.execute("SELECT started_at FROM runs ORDER BY id LIMIT 1").fetchone()
        return _time(row[0]) if row else None

    def settle_failure(self, operation: str, started_at: datetime, now: datetime, details: Mapping[str, Any]) -> None:
        """Make the records tell of a failure since `started_at` that the run itself did not record, or as cut short."""
        with self._database() as database:
            row = database.execute(
                f"SELECT id, {_IS_SETTLED} FROM runs"  # noqa: S608 - a constant
                " WHERE operation = ? AND started_at >= ? ORDER BY id DESC LIMIT 1",
                (operation, _text(started_at)),
            ).fetchone()
        if row is None or not row[1]:
            number = self.begin(operation, started_at) if row is None else row[0]
            self.end(number, now, "failed", details=details)

    def removed_by_prune(self) -> frozenset[str]:
        """Return the snapshots that recorded prunes have removed, those of a prune that was cut short too."""
        with self._database() as database:
            rows = database.execute("SELECT details FROM runs WHERE operation = 'prune'").fetchall()
        return frozenset(str(name) for (details,) in rows for name in _details(details).get("removed", ()))

    def may_have_left_objects(self) -> bool:
        """Return whether the last run that stored or removed objects did not come to its end, or is not known."""
        backup, prune = self.newest("backup"), self.newest("prune")
        return backup is None or any(run is not None and run.outcome != "done" for run in (backup, prune))

    def began(self) -> datetime | None:
        """Return when the first recorded run started; what was before that is not known."""
        with self._database() as database:
            row = database.execute("SELECT min(started_at) FROM runs").fetchone()
        return _time(row[0]) if row and row[0] else None

    def record_damage(self, what: str, message: str, now: datetime) -> None:
        """Record that a file of the state folder was damaged and is started again."""
        self.end(self.begin(DAMAGED, now), now, "done", details={"what": what, "message": message})

    def record_place(self, name: str, size_bytes: int, media_bytes: int | None, now: datetime) -> None:
        """Record what a place keeps, unless it was recorded in the last hours: from that, it is seen to grow."""
        lately = self.since(now - MEASURED_EVERY, PLACE)
        if any(run.details.get("name") == name and run.started_at <= now for run in lately):
            return
        media = {} if media_bytes is None else {"media_bytes": media_bytes}
        self.end(self.begin(PLACE, now), now, "done", details={"name": name, "size_bytes": size_bytes, **media})

    @contextmanager
    def recorded(self, operation: str, now: datetime) -> Iterator[dict[str, Any]]:
        """Record the block as a run; the yielded dict takes `snapshot` and details. Errors are recorded and go on.

        A block that ends without one and has put an `error` into the dict has failed too.
        """
        number = self.begin(operation, now)
        told: dict[str, Any] = {}
        try:
            yield told
        except BaseException as error:
            details = {**told, "error": str(error), "kind": type(error).__name__}
            self.end(number, datetime.now(UTC), "failed", snapshot=details.pop("snapshot", None), details=details)
            raise
        outcome = "failed" if "error" in told else "done"
        self.end(number, datetime.now(UTC), outcome, snapshot=told.pop("snapshot", None), details=told)


def _is_readable(file: Path) -> bool:
    """Return whether there are records, and every page of them is sound."""
    if not file.is_file() or file.is_symlink():
        return False
    with closing(_read_only(file)) as database, suppress(sqlite3.DatabaseError):
        has_runs = database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'runs'").fetchone()
        return is_sound(database) and has_runs is not None
    return False


def _opened_for_reading(file: Path | None) -> sqlite3.Connection:
    """Return the records to read from, empty ones if there is no file."""
    if file is not None:
        return _read_only(file)
    database = sqlite3.connect(":memory:")
    database.execute(_SCHEMA)
    return database


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", timeout=30, uri=True)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _time(text: str) -> datetime | None:
    """Return the moment, None if the text names none: a damaged disk may have changed it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _details(text: str) -> dict[str, Any]:
    try:
        details = json.loads(text)
    except (ValueError, RecursionError):  # the latter from lists in lists in lists
        return {}
    return details if isinstance(details, dict) else {}


def _run(row: tuple[Any, ...]) -> Run:
    return Run(
        operation=row[0],
        started_at=_time(row[1]) or _LONG_AGO,
        ended_at=_time(row[2]) if row[2] else None,
        outcome=row[3],
        snapshot=row[4],
        details=_details(row[5]),
    )
