"""permafrost drill: a snapshot is restored into a throw-away server, compared, examined, and thrown away.

It uses what a vault has, the repository and the key, and the server programs. The verdict is recorded in the state
folder, where there is one: a snapshot whose drill passed is proven.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from permafrost.errors import DifferentRestoreError
from permafrost.events import Note, Reporter, Steps, ignore_events, steps_as_notes
from permafrost.loading.preflight import Target
from permafrost.loading.scratch_server import scratch_server
from permafrost.loading.source import Source, opened
from permafrost.mastodon.dotenv import parse_dotenv
from permafrost.mastodon.health.examine import examine, is_mastodon
from permafrost.mastodon.health.report import HealthReport
from permafrost.operations.restore import restore
from permafrost.postgres.connection import connected
from permafrost.repository.distrust import distrust
from permafrost.repository.layout import SnapshotId
from permafrost.repository.manifest import Manifest
from permafrost.runs import DRILL, RunRecords

_DATABASE = "drilled"
_STEPS = 4
_VAULT_SETTINGS = "vault.toml"
_VAULT_STATE = "state"


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What was restored, compared and thrown away again, and how long it took in all."""

    snapshot: SnapshotId
    duration_s: float
    restore_s: float
    tables: int
    rows: int
    is_audited: bool
    health: HealthReport | None


def drill(
    source: Source,
    choice: SnapshotId | None,
    *,
    scratch: Path,
    state: Path | None,
    jobs: int,
    report: Reporter,
    now: datetime,
) -> DrillResult:
    """Restore the chosen snapshot (None: the newest) into a server below `scratch`, and return if it came back.

    The verdict is recorded in `state`, if given. If an audited snapshot came back different, the next backup reads
    everything anew (`distrust`). Raise what a restore raises.
    """
    if state is None:
        return _drill(source, choice, scratch, jobs, report, now, {})
    records = RunRecords(state)
    with records.recorded(DRILL, now) as told:
        try:
            result = _drill(source, choice, scratch, jobs, report, now, told)
        except DifferentRestoreError as error:
            distrust(state, f"the drill of {told.get('snapshot')} found that {error.message}")
            raise
        told.update(duration_s=result.duration_s, tables=result.tables, rows=result.rows, is_audited=result.is_audited)
    return result


def state_of_vault(repository: Path) -> Path | None:
    """Return the state folder of the vault that the repository's folder lies in, None if it is in none."""
    for folder in repository.absolute().parents:
        if (folder / _VAULT_SETTINGS).is_file():
            return folder / _VAULT_STATE
    return None


def _drill(
    source: Source,
    choice: SnapshotId | None,
    scratch: Path,
    jobs: int,
    report: Reporter,
    now: datetime,
    told: dict[str, Any],
) -> DrillResult:
    started = time.monotonic()
    steps = Steps(report, _STEPS)
    with steps.step("read what the snapshot needs"):
        manifest, snapshot, environment = _read(source, choice)
        told["snapshot"] = str(snapshot)
        report(Note(f"snapshot {snapshot} of {manifest.database.name}"))
    with ExitStack() as stack:
        with steps.step("make a throw-away server"):
            server = stack.enter_context(scratch_server(manifest.database, scratch, report))
        with steps.step("restore into it, and compare"):
            restored = restore(
                source,
                snapshot,
                Target(_DATABASE, replaces=False, with_owners=True, with_tablespaces=False, with_all_extensions=False),
                server=server.conninfo("postgres"),
                secrets_to=None,
                jobs=jobs,
                report=steps_as_notes(report),
                now=now,
            )
        with steps.step("examine it, if it is a Mastodon's"):
            health = _examine(server.conninfo(_DATABASE), manifest, environment, report)
            told["findings"] = [check.message for check in health.findings] if health else []
    return DrillResult(
        snapshot=snapshot,
        duration_s=round(time.monotonic() - started, 3),
        restore_s=restored.duration_s,
        tables=restored.tables,
        rows=restored.rows,
        is_audited=restored.is_audited,
        health=health,
    )


def _read(source: Source, choice: SnapshotId | None) -> tuple[Manifest, SnapshotId, dict[str, str] | None]:
    """Return the chosen snapshot's manifest, and what its environment files set, None if it has none.

    The restore reads and checks the snapshot again, and tells whose key it is. Secrets stay in memory.
    """
    with opened(source, ignore_events) as repository:
        snapshot = repository.read(choice)
        environment: dict[str, str] | None = None
        for file in snapshot.secret_files():
            if file.name.name.startswith(".env"):
                text = file.content.decode("utf-8-sig", "replace")
                environment = parse_dotenv(text, environment or {}) | (environment or {})
    return snapshot.manifest, snapshot.id, environment


def _examine(
    conninfo: str, manifest: Manifest, environment: dict[str, str] | None, report: Reporter
) -> HealthReport | None:
    known = manifest.mastodon.local_domain if manifest.mastodon else None
    with connected(conninfo) as connection:
        if not is_mastodon(connection):
            return None
        return examine(connection, environment, None, local_domain=known, report=report)
