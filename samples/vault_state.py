"""The traces of a vault's history, without the vault: its settings, its records of what arrived, and drills made there.

The server that it keeps is the one of `samples.server_state`; nothing in these histories can be restored.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.findings import Finding, FindingKind
from permafrost.repository.layout import SnapshotId
from permafrost.runs import RunRecords
from permafrost.status.vault_document import STATE
from permafrost.vault.arrivals import DROPPED, KEPT, Arrival, KeptObject, Records
from permafrost.vault.history import to_keep
from permafrost.vault.invitation import OfferedFolder
from permafrost.vault.settings import Vault, VaultServer, VaultSettings
from samples.server_state import NOW, StateName, history_of

_DEVICE = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAO"
_ID = "0123456789abcdef" * 2
_OBJECTS = 1200


def make_vault_state(folder: Path, state: StateName, now: datetime = NOW) -> Path:
    """Write the traces of the vault into `folder`, as they are where its server is in that state; return `folder`."""
    history = history_of(state, now)
    server = VaultServer(
        name="social.example",
        repository_id=_ID,
        fingerprint="0123456789ABCDEF0123456789ABCDEF01234567",
        device_id=_DEVICE,
        folders=(OfferedFolder(folder_id=f"permafrost-{_ID}", kind="repository"),),
    )
    vault = Vault(root=folder, settings=VaultSettings(name="attic", servers=(server,)))
    vault.save()
    (folder / server.name).mkdir(parents=True)
    hours = 0 if state in ("first-day", "no-vault") else history.hours
    newest = now.replace(minute=2, second=11) - timedelta(hours=max(history.silent_h, history.behind_h))
    made = [newest - timedelta(hours=number) for number in range(hours - 1, -1, -1)]
    arrivals = {SnapshotId(f"{moment:%Y%m%dT%H%M%SZ}-0000aaaa"): moment + timedelta(seconds=40) for moment in made}
    kept = to_keep(arrivals, vault.settings.history, now)
    with closing(Records(vault.records(server))) as records:
        with records.together():
            for snapshot, arrived in arrivals.items():
                what = KEPT if snapshot in kept else DROPPED
                records.record(
                    Arrival(str(snapshot), arrived, what, arrived, arrived, "0" * 64, _OBJECTS, 1_900_000_000)
                )
        read = now - timedelta(days=3, hours=5)
        objects = _OBJECTS if hours else 0
        records.record_objects(KeptObject(f"{number:064x}", 3_400_000, read, is_good=True) for number in range(objects))
        if state == "full":
            message = "the history has reached its disk quota (400 GB); nothing already kept is removed"
            records.ledger.saw(Finding(FindingKind.HISTORY_FULL, "history", message), now - timedelta(hours=3))
        if state == "vault-silent":
            message = "no new snapshot has been taken from the server for 31 h; it declares a backup every 60 min"
            records.ledger.saw(Finding(FindingKind.NOTHING_NEW, "snapshots", message), now - timedelta(hours=27))
    _record_drill(folder / STATE, state, sorted(kept), now)
    for days in range(6, -1, -1) if hours else ():
        size = int(4.1e9 - 0.05e9 * days)
        RunRecords(folder / STATE).record_place(server.name, size, None, now - timedelta(days=days, minutes=4))
    return folder


def _record_drill(state_folder: Path, state: StateName, kept: list[SnapshotId], now: datetime) -> None:
    RunRecords(state_folder).oldest_start()  # makes the table
    if state not in ("healthy", "drill-failed"):
        return
    is_done = state == "healthy"
    snapshot = max(one for one in kept if one.made_at < now - timedelta(days=2))
    details = {"restore_s": 2900.0, "size_bytes": 1_900_000_000} if is_done else {"error": "3 rows differ"}
    started = (now - timedelta(days=2)).isoformat()
    with closing(sqlite3.connect(state_folder / "runs.sqlite")) as database, database:
        database.execute(
            "INSERT INTO runs (operation, started_at, ended_at, outcome, snapshot, details) VALUES (?, ?, ?, ?, ?, ?)",
            ("drill", started, started, "done" if is_done else "failed", str(snapshot), json.dumps(details)),
        )
