"""Run records: what was done when, and how it ended. SQLite in the state folder; losing it loses no backup."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from permafrost.errors import ConfigurationError

DRILL = "drill"
"""The operation of drills; those that ended as done have proven their snapshot."""
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
    "(outcome = 'done' OR outcome = 'failed' AND json_extract(details, '$.kind') IS NOT 'InterruptedRunError')"
)
_SETTLED = f"""
SELECT operation, started_at, ended_at, outcome, snapshot, details FROM runs
WHERE operation = ? AND {_IS_SETTLED} AND (? OR outcome = 'done')
AND (? OR json_extract(details, '$.is_audited'))
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
        self._file = state_folder / "runs.sqlite"
        self._is_read_only = is_read_only
        if is_read_only:
            return
        try:
            state_folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the state folder {state_folder} cannot be made: {error.strerror}", hint="check [state] path"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if self._is_read_only and self._file.exists():
            return sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", timeout=30, uri=True)
        database = sqlite3.connect(":memory:" if self._is_read_only else self._file, timeout=30)
        database.execute(_SCHEMA)
        database.execute(_INDEX)
        return database

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connect()) as database, database:
                yield database
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"the run records {self._file} cannot be used: {error}",
                hint="move the file away; a new one is made, and no backup is lost",
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

    def newest_settled(self, operation: str, *, audited_only: bool = False, done_only: bool = False) -> Run | None:
        """Return the newest run that came to its own end, done or failed; not one that was cut short."""
        with self._database() as database:
            row = database.execute(_SETTLED, (operation, not done_only, not audited_only)).fetchone()
        return _run(row) if row else None

    def oldest_start(self) -> datetime | None:
        """Return when the oldest run began, None if there is none."""
        with self._database() as database:
            row = database.execute("SELECT started_at FROM runs ORDER BY id LIMIT 1").fetchone()
        return datetime.fromisoformat(row[0]) if row else None

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
        return frozenset(name for (details,) in rows for name in json.loads(details).get("removed", ()))

    def began(self) -> datetime | None:
        """Return when the first recorded run started; what was before that is not known."""
        with self._database() as database:
            row = database.execute("SELECT min(started_at) FROM runs").fetchone()
        return datetime.fromisoformat(row[0]) if row and row[0] else None

    @contextmanager
    def recorded(self, operation: str, now: datetime) -> Iterator[dict[str, Any]]:
        """Record the block as a run; the yielded dict takes `snapshot` and details. Errors are recorded and go on."""
        number = self.begin(operation, now)
        told: dict[str, Any] = {}
        try:
            yield told
        except BaseException as error:
            details = {**told, "error": str(error), "kind": type(error).__name__}
            self.end(number, datetime.now(UTC), "failed", snapshot=details.pop("snapshot", None), details=details)
            raise
        self.end(number, datetime.now(UTC), "done", snapshot=told.pop("snapshot", None), details=told)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _run(row: tuple[Any, ...]) -> Run:
    return Run(
        operation=row[0],
        started_at=datetime.fromisoformat(row[1]),
        ended_at=datetime.fromisoformat(row[2]) if row[2] else None,
        outcome=row[3],
        snapshot=row[4],
        details=json.loads(row[5]),
    )
