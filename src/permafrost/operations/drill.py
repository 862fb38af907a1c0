"""permafrost drill: restores a snapshot into a throw-away server, compares it, examines it, and deletes it.

It uses what a vault has, the repository and the key, and the server programs. The verdict is recorded in the state
folder, where there is one: a snapshot whose drill passed is proven.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from permafrost.documents.restore import DrillDocument
from permafrost.errors import DifferentRestoreError
from permafrost.events import Note, Reporter, Steps, ignore_events, steps_as_notes
from permafrost.loading.logins import READER_ROLE
from permafrost.loading.scratch_server import ScratchPlace, scratch_server
from permafrost.loading.source import Source, opened
from permafrost.mastodon.dotenv import parse_dotenv
from permafrost.mastodon.environment import holds_variables
from permafrost.mastodon.health.examine import examine
from permafrost.mastodon.health.report import HealthReport
from permafrost.operations.restore import RestoreRequest, restore
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.repository.distrust import distrust
from permafrost.repository.layout import SnapshotId
from permafrost.repository.manifest import Manifest
from permafrost.runs import BUCKET_DRILL, DRILL, RunRecords
from permafrost.timing import StepTimes

_DATABASE = "drilled"
_STEPS = 4
_VAULT_SETTINGS = "vault.toml"
_VAULT_STATE = "state"


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """Which snapshot to prove (None: the newest), and where.

    `scratch` is the folder for the throw-away server, which runs in a sandbox if it `is_sandboxed`. `state` is the
    state folder that keeps the verdict, None where there is none.
    """

    source: Source
    choice: SnapshotId | None
    scratch: Path
    state: Path | None
    jobs: int = 2
    is_sandboxed: bool = True
    prefers_audited: bool = False
    """Take the newest audited snapshot, whose rows can be compared one by one, if there is one."""
    bucket: str | None = None
    """The name of the configured bucket that the repository is read from; the verdict is then about that place too."""


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What was restored, compared and thrown away again, and how long it took in all."""

    snapshot: SnapshotId
    duration_s: float
    restore_s: float
    tables: int
    rows: int
    is_audited: bool
    missing: tuple[str, ...]
    health: HealthReport
    steps_s: Mapping[str, float]
    """How long each step of the restore took, by its title."""
    size_bytes: int
    """What the snapshot's objects weigh."""

    @property
    def has_findings(self) -> bool:
        """Whether the health checks have findings, or something is missing."""
        return bool(self.health.findings or self.missing)

    def document(self) -> DrillDocument:
        """Return it for JSON."""
        return DrillDocument(
            snapshot=str(self.snapshot),
            verdict="findings" if self.has_findings else "passed",
            duration_s=self.duration_s,
            restore_s=self.restore_s,
            tables=self.tables,
            rows=self.rows,
            audited=self.is_audited,
            missing=self.missing,
            health=self.health.document(),
        )


def drill(request: DrillRequest, *, report: Reporter, now: datetime) -> DrillResult:
    """Restore the snapshot into a throw-away server, and return if it came back.

    The verdict is recorded in the state folder, if there is one. If an audited snapshot came back different, the next
    backup reads everything again (`distrust`). Raise what a restore raises.
    """
    if request.state is None:
        return _drill(request, report, now, {})
    records = RunRecords(request.state)
    with records.recorded(BUCKET_DRILL if request.bucket else DRILL, now) as told:
        if request.bucket:
            told["bucket"] = request.bucket
        try:
            result = _drill(request, report, now, told)
        except DifferentRestoreError as error:
            distrust(request.state, f"the drill of {told.get('snapshot')} found that {error.message}")
            raise
        told.update(
            duration_s=result.duration_s,
            restore_s=result.restore_s,
            steps_s=result.steps_s,
            size_bytes=result.size_bytes,
            tables=result.tables,
            rows=result.rows,
            is_audited=result.is_audited,
        )
        if result.missing:
            told["error"] = f"it comes back NOT WHOLE: {'; '.join(result.missing)}"
    return result


def state_of_vault(repository: Path) -> Path | None:
    """Return the state folder of the vault that contains the repository's folder, None if no vault does."""
    for folder in repository.absolute().parents:
        if (folder / _VAULT_SETTINGS).is_file():
            return folder / _VAULT_STATE
    return None


def _drill(request: DrillRequest, report: Reporter, now: datetime, told: dict[str, Any]) -> DrillResult:
    started = time.monotonic()
    steps = Steps(report, _STEPS)
    restore_times = StepTimes(steps_as_notes(report))
    with steps.step("read what the snapshot needs"):
        manifest, snapshot, environment, size_bytes = _read(request, report, now)
        told["snapshot"] = str(snapshot)
        report(Note(f"snapshot {snapshot} of {manifest.database.name}"))
    with ExitStack() as stack:
        with steps.step("start a throw-away server"):
            place = ScratchPlace(request.scratch, request.is_sandboxed)
            server = stack.enter_context(scratch_server(manifest.database, place, report))
        with steps.step("restore into it, and compare"):
            scratch_request = RestoreRequest.into_scratch(request.source, snapshot, server, _DATABASE, request.jobs)
            restored = restore(scratch_request, report=restore_times, now=now)
            steps_s = restore_times.seconds()
        with steps.step("examine it like check"):
            health = _examine(conninfo_for(server.conninfo(_DATABASE), user=READER_ROLE), manifest, environment, report)
            told["findings"] = [check.message for check in health.findings]
    return DrillResult(
        snapshot=snapshot,
        duration_s=round(time.monotonic() - started, 3),
        restore_s=restored.duration_s,
        tables=restored.tables,
        rows=restored.rows,
        is_audited=restored.is_audited,
        missing=restored.missing.reasons,
        health=health,
        steps_s=steps_s,
        size_bytes=size_bytes,
    )


def _read(
    request: DrillRequest, report: Reporter, now: datetime
) -> tuple[Manifest, SnapshotId, dict[str, str] | None, int]:
    """Return the chosen snapshot's manifest, what its environment files set (None if it has none), and its bytes.

    The restore reads and checks the snapshot again, and tells whose key it is. Secrets stay in memory.
    """
    with opened(request.source, ignore_events) as repository:
        if request.prefers_audited:
            snapshot = repository.read_newest_audited(now, report)
        else:
            snapshot = repository.read(request.choice, now, report)
        environment: dict[str, str] | None = None
        for file in snapshot.secret_files():
            if holds_variables(file.name.name):
                text = file.content.decode("utf-8-sig", "replace")
                environment = parse_dotenv(text, environment or {}) | (environment or {})
        if environment is not None:
            environment = _domains(snapshot.manifest) | environment
        size_bytes = sum(stored.size_bytes for stored in snapshot.checked.object_list.objects)
    return snapshot.manifest, snapshot.id, environment, size_bytes


def _domains(manifest: Manifest) -> dict[str, str]:
    """Return what the manifest says of Mastodon's domains, as variables: not every system has them in a file."""
    facts = manifest.mastodon
    named = {"LOCAL_DOMAIN": facts.local_domain, "WEB_DOMAIN": facts.web_domain} if facts else {}
    return {name: domain for name, domain in named.items() if domain}


def _examine(conninfo: str, manifest: Manifest, environment: dict[str, str] | None, report: Reporter) -> HealthReport:
    known = manifest.mastodon.local_domain if manifest.mastodon else None
    with connected(conninfo) as connection:  # every row has just been read and compared
        return examine(connection, environment, None, local_domain=known, reads_rows=False, report=report)
