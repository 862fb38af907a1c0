"""The traces of a server's history, without the server: snapshots' folders, run records, what vaults have said.

`permafrost status` and the page only read such traces, so they can show any history in a second: a month of hourly
backups, a vault that has fallen silent, a drill that failed. Nothing in these snapshots can be restored.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from permafrost.config.alerting import Notify, ReceiverKind
from permafrost.config.models import (
    Configuration,
    Database,
    Encryption,
    Promise,
    RepositorySettings,
    Schedule,
    Secrets,
    Server,
    State,
)
from permafrost.repository.layout import SnapshotId
from permafrost.repository.repository import Repository
from permafrost.repository.retention import snapshots_to_keep
from permafrost.repository.snapshots import MANIFEST, OBJECT_LIST, SIGNATURE
from permafrost.runs import PLACE, SHEET, RunRecords
from permafrost.status.deliveries import Deliveries, deliveries_file
from permafrost.status.written import STATUS_FILE, WrittenStatus
from permafrost.vault.receipt import MediaReceipt, Receipt, ReceivedSnapshot, SentBackReceipt
from permafrost.vault.receipt_files import RECEIPTS
from permafrost.vault.report import VaultReport

StateName = Literal[
    "healthy", "first-day", "no-vault", "vault-silent", "behind", "full", "drill-failed", "key-unproven"
]
STATES: tuple[StateName, ...] = (
    "healthy", "first-day", "no-vault", "vault-silent", "behind", "full", "drill-failed", "key-unproven",
)  # fmt: skip
NOW = datetime(2026, 11, 26, 14, 5, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_GB = 10**9


@dataclass(frozen=True, slots=True)
class History:
    """What has happened to a server up to `now`. Ages in hours; None where a thing never happened."""

    now: datetime = NOW
    hours: int = 30 * 24
    gaps: tuple[tuple[int, int], ...] = ((200, 205), (402, 403))
    """Hours ago between which no backup was made."""
    keeps_all: bool = False
    """Whether nothing was ever pruned."""
    drills: tuple[tuple[int, bool], ...] = ((680, True), (512, True), (344, True), (176, True), (10, True))
    """How many hours ago, and whether each was done."""
    vaults: tuple[str, ...] = ("attic", "cellar")
    silent_h: int = 0
    """How long ago the first vault was heard last."""
    behind_h: int = 0
    """How old the newest snapshot of every vault is."""
    free_share: float = 0.45
    sheet_h: int | None = 400
    receivers: tuple[tuple[str, ReceiverKind, str], ...] = (("phone", "message", ""), ("monitor", "healthchecks", ""))
    """Those of alerts: name, kind, and why nothing has reached it for an hour; empty if all did."""
    media_missing: int = 0
    """How many media files every vault lacks."""
    sent_back: tuple[int, int, float] | None = None
    """How many days ago the first vault sent a copy back, how many bytes, and in how many seconds."""
    promise: Promise = field(default_factory=lambda: Promise(restore_minutes=60, lost_minutes=120))


def history_of(state: StateName, now: datetime = NOW) -> History:
    """Return the history behind one of the states that a page has to show well."""
    drilled = History().drills
    changes: dict[StateName, dict[str, Any]] = {
        "healthy": {},
        "first-day": {
            "hours": 1,
            "gaps": (),
            "drills": (),
            "vaults": (),
            "sheet_h": None,
            "promise": Promise(),
            "receivers": (),
        },
        "no-vault": {"vaults": ()},
        "vault-silent": {"silent_h": 31},
        "behind": {"behind_h": 9},
        "full": {"free_share": 0.02},
        "drill-failed": {"drills": (*drilled[:-1], (10, False))},
        "key-unproven": {"sheet_h": None},
    }
    return History(now=now, **changes[state])


def make_server_state(folder: Path, history: History) -> Configuration:
    """Write the traces into `folder`, and return the configuration that reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    repository = Repository.create(
        folder / "repository",
        sealing="passphrase",
        recipients=(),
        fingerprint="0123456789ABCDEF0123456789ABCDEF01234567",
        signing_public_key=b"no key: these snapshots cannot be restored\n",
        now=history.now,
    )
    passphrase = folder / "passphrase"
    secrets = folder / "env.production"
    passphrase.write_text("NOBODY-CAN-READ-THIS\n")
    secrets.write_text("LOCAL_DOMAIN=social.example\n")
    configuration = Configuration(
        server=Server(name="social.example"),
        database=Database(url="postgresql:///mastodon_production"),
        repository=RepositorySettings(path=repository.path),
        state=State(path=folder / "state"),
        encryption=Encryption(passphrase_file=passphrase),
        secrets=Secrets(files=(secrets,)),
        schedule=Schedule(backup="2 * * * *", audit="0 3 * * *"),
        promise=history.promise,
        notify=tuple(Notify(name=name, kind=kind, url_file=folder / name) for name, kind, _ in history.receivers),
    )
    made = list(_made(history))
    kept = _kept(history, configuration, made)
    for snapshot in kept:
        _write_snapshot(repository, snapshot)
    _write_runs(configuration.state.path, history, made, kept)
    _write_receipts(repository, configuration.state.path, history, kept)
    _write_deliveries(configuration.state.path, history)
    return configuration


def _made(history: History) -> Iterator[SnapshotId]:
    newest = history.now.replace(minute=2, second=11)
    for hours in range(history.hours - 1, -1, -1):
        if not any(first <= hours < last for first, last in history.gaps):
            moment = newest - hours * _HOUR
            yield SnapshotId(f"{moment:%Y%m%dT%H%M%SZ}-{hours:08x}")


def _kept(history: History, configuration: Configuration, made: list[SnapshotId]) -> list[SnapshotId]:
    if history.keeps_all:
        return made
    moments = snapshots_to_keep([one.made_at for one in made], configuration.retention)
    return [one for one in made if one.made_at in moments]


def _write_snapshot(repository: Repository, snapshot: SnapshotId) -> None:
    folder = repository.layout.snapshot(snapshot)
    folder.mkdir()
    for name in (MANIFEST, OBJECT_LIST, SIGNATURE):
        (folder / name).write_text(f"{name} of {snapshot}\n")


def _write_runs(state: Path, history: History, made: list[SnapshotId], kept: list[SnapshotId]) -> None:
    randomness = random.Random(17)
    RunRecords(state).oldest_start()  # makes the table
    rows = [_backup_row(one, number, randomness) for number, one in enumerate(made)]
    for hours, is_done in history.drills:
        rows.append(_drill_row(history.now - hours * _HOUR, made, is_done=is_done, size=0.95 - hours / 4000))
    if history.sheet_h is not None:
        rows.append(_row(SHEET, history.now - history.sheet_h * _HOUR, 20.0, None, {}))
    for days in range(8, -1, -1):
        for name in history.vaults:
            size = int((4.1 - 0.05 * days) * _GB)
            rows.append(
                _row(
                    PLACE, history.now - timedelta(days=days, minutes=4), 0.0, None, {"name": name, "size_bytes": size}
                )
            )
    gone = [str(one) for one in made if one not in set(kept)]
    rows.append(_row("prune", history.now - timedelta(minutes=2), 0.4, None, {"removed": gone}))
    rows.sort(key=lambda row: str(row[1]))
    with sqlite3.connect(state / "runs.sqlite") as database:
        database.executemany(
            "INSERT INTO runs (operation, started_at, ended_at, outcome, snapshot, details) VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
    database.close()


Row = tuple[str, str, str, str, str | None, str]


def _row(
    operation: str,
    started: datetime,
    took_s: float,
    snapshot: str | None,
    details: dict[str, Any],
    *,
    is_done: bool = True,
) -> Row:
    ended = started + timedelta(seconds=took_s)
    outcome = "done" if is_done else "failed"
    return (operation, started.isoformat(), ended.isoformat(), outcome, snapshot, json.dumps(details))


def _backup_row(snapshot: SnapshotId, number: int, randomness: random.Random) -> Row:
    took = 4 + 3 * randomness.random()
    day = 1.6 if 15 <= snapshot.made_at.hour <= 22 else 0.8
    new = int(1.9 * _GB) if number == 0 else int(day * randomness.uniform(2e6, 9e6))
    details = {
        "is_audited": snapshot.made_at.hour == 3,
        "duration_s": round(took, 2),
        "bytes_new": new,
        "snapshot_bytes": int(1.9 * _GB + number * 4e5),
    }
    return _row("backup", snapshot.made_at, took, str(snapshot), details)


def _drill_row(moment: datetime, made: list[SnapshotId], *, is_done: bool, size: float) -> Row:
    drilled = max(one for one in made if one.made_at <= moment)
    restore_s = 2300 * size + 120
    details: dict[str, Any] = {"error": "table statuses: 2 rows differ from the snapshot"}
    if is_done:
        steps = {
            "check the snapshot: signature, list, every object's bytes": 0.06 * restore_s,
            "load definitions": 0.02 * restore_s,
            "load rows": 0.5 * restore_s,
            "build indexes": 0.34 * restore_s,
            "compare it with the snapshot": 0.08 * restore_s,
        }
        details = {
            "restore_s": restore_s,
            "duration_s": restore_s + 40,
            "steps_s": steps,
            "size_bytes": int(2.1 * _GB * size),
        }
    return _row("drill", moment, restore_s + 40, str(drilled), details, is_done=is_done)


def _write_deliveries(state: Path, history: History) -> None:
    for name, _, problem in history.receivers:
        file = deliveries_file(state, name)
        file.parent.mkdir(exist_ok=True)
        known = Deliveries(failing_since=history.now - _HOUR if problem else None, problem=problem)
        file.write_text(known.model_dump_json())


def _write_receipts(repository: Repository, state: Path, history: History, kept: list[SnapshotId]) -> None:
    reports = []
    for number, name in enumerate(history.vaults):
        folder = state / RECEIPTS / name
        folder.mkdir(parents=True)
        paired = history.now - timedelta(hours=history.hours)
        os.utime(folder, (paired.timestamp(), paired.timestamp()))
        silent = timedelta(hours=history.silent_h if number == 0 else 0)
        limit = history.now - max(silent, timedelta(hours=history.behind_h))
        held = [one for one in kept if one.made_at <= limit]
        reports.append(
            VaultReport(
                name=name, paired_at=paired, receipt=_receipt(repository, name, held, history, history.now - silent)
            )
        )
    written = WrittenStatus(written_at=history.now - timedelta(minutes=1), vaults=tuple(reports))
    (state / STATUS_FILE).write_bytes(written.encode())


def _receipt(repository: Repository, name: str, held: list[SnapshotId], history: History, written: datetime) -> Receipt:
    return Receipt(
        vault=name,
        device_id="",
        repository_id=repository.repository_id,
        written_at=written - timedelta(minutes=2),
        snapshots=tuple(
            ReceivedSnapshot(
                snapshot=str(one),
                list_hash=hashlib.sha256((repository.layout.snapshot(one) / OBJECT_LIST).read_bytes()).hexdigest(),
                arrived_at=one.made_at + timedelta(seconds=40),
                objects=1200,
                size_bytes=int(1.9 * _GB),
            )
            for one in held[-200:]
        ),
        history_snapshots=len(held),
        history_bytes=int(4.1 * _GB),
        waiting=0,
        bad_objects=0,
        all_verified_since=history.now - timedelta(days=3, hours=4),
        media_files=184_223,
        media=_media(held, history),
        sent_back=_sent_back(history) if name == history.vaults[0] else None,
        free_bytes=int(500 * _GB * history.free_share),
        disk_bytes=500 * _GB,
    )


def _sent_back(history: History) -> SentBackReceipt | None:
    if history.sent_back is None:
        return None
    days, size_bytes, duration_s = history.sent_back
    return SentBackReceipt(ended_at=history.now - timedelta(days=days), size_bytes=size_bytes, duration_s=duration_s)


def _media(held: list[SnapshotId], history: History) -> MediaReceipt | None:
    if not held:
        return None
    missing, needed = history.media_missing, 184_011
    return MediaReceipt(
        snapshot=str(held[-1]),
        needed=needed,
        needed_bytes=61 * _GB,
        held=needed - missing,
        held_bytes=61 * _GB - missing * 331_000,
        missing=missing,
        different=0,
        overdue=0,
        all_read_since=history.now - timedelta(days=5),
    )
