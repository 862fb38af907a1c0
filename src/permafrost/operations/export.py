"""permafrost export: any snapshot as a standard dump file, sealed as the repository is unless plain is asked for.

A dump snapshot's frame is a pg_dump archive already. A log snapshot is restored, with all that a restore checks,
into a server of the export's own, and dumped from there; what that server holds lies in a folder that only it can
enter, and is removed with it. The file appears under its name whole and durable, or not at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.errors import KeyFileError, PermafrostError, RestoreRefusedError
from permafrost.events import Note, Progress, Reporter, Steps, steps_as_notes
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.preflight import Target
from permafrost.loading.scratch_server import scratch_server
from permafrost.loading.source import OpenedRepository, Source, opened
from permafrost.openpgp.home import gpg
from permafrost.openpgp.sealing import (
    PassphraseSealing,
    RecipientSealing,
    Sealing,
    explain_sealing,
    seal_program,
)
from permafrost.operations.restore import restore
from permafrost.postgres.dump_program import DumpForm, explain_pg_dump, pg_dump_file_program
from permafrost.postgres.restore_program import pg_restore_text_program
from permafrost.postgres.scratch import ScratchCluster
from permafrost.processes import Finished, Pipeline, Program, run_checked
from permafrost.repository.durable import space_errors
from permafrost.repository.layout import SnapshotId
from permafrost.repository.staging import Placing

_ENDINGS: dict[DumpForm, str] = {"custom": ".dump", "plain": ".sql"}
_STEPS = 2
_DATABASE = "exported"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What file to make: its form, where (None: a telling name in the current folder), sealed or not.

    `scratch` is the folder in which a server may be made, for a log snapshot; the server's user must be able to
    pass through its parents.
    """

    form: DumpForm
    place: Path | None
    is_sealed: bool
    scratch: Path


@dataclass(frozen=True, slots=True)
class Exported:
    """The file that was made. `size_bytes` is the file's."""

    snapshot: SnapshotId
    file: Path
    size_bytes: int
    duration_s: float


def export(
    source: Source,
    choice: SnapshotId | None,
    request: ExportRequest,
    *,
    recipients: RecipientSealing | None,
    jobs: int,
    report: Reporter,
    now: datetime,
) -> Exported:
    """Make the dump file that `request` says out of the chosen snapshot (None: the newest).

    It is sealed with the repository's passphrase, or to `recipients`, else to the public keys of the secret key
    that opens it. Raise `RestoreRefusedError` if a file of that name is there.
    """
    started = time.monotonic()
    steps = Steps(report, _STEPS)
    with opened(source, report) as repository, Placing() as placing:
        with steps.step("check the snapshot's signature, and the place of the file"):
            snapshot = repository.read(choice)
            report(Note(f"snapshot {snapshot.id} of {snapshot.manifest.database.name}"))
            place = (request.place or Path(_name(snapshot, request))).absolute()
            if os.path.lexists(place):
                raise RestoreRefusedError(
                    f"{place} is there already", unchanged="everything", hint="give another name: --output FILE"
                )
            sealing = _sealing(repository, recipients) if request.is_sealed else None
            staged = placing.stage(place)
        seal = [seal_program(sealing, repository.home)] if sealing is not None else []
        with steps.step(f"write {place.name}"):
            if snapshot.manifest.engine == "dump":
                _write_frame(snapshot, request.form, seal, staged, report)
            else:
                with scratch_server(snapshot.manifest.database, request.scratch, report) as server:
                    _restore(source, snapshot.id, server, jobs, report, now)
                    dump = pg_dump_file_program(
                        server.conninfo(_DATABASE), request.form, snapshot.manifest.database.server_major
                    )
                    with Pipeline([dump, *seal]) as pipeline:
                        _write(pipeline, staged, report)
                        pipeline.finish(_explain)
        size = staged.stat().st_size
        placing.place()
    return Exported(snapshot.id, place, size, round(time.monotonic() - started, 3))


def _name(snapshot: OpenedSnapshot, request: ExportRequest) -> str:
    database = snapshot.manifest.database.name.replace("/", "_")
    return f"{database}-{snapshot.id}{_ENDINGS[request.form]}{'.gpg' if request.is_sealed else ''}"


def _restore(
    source: Source, snapshot: SnapshotId, server: ScratchCluster, jobs: int, report: Reporter, now: datetime
) -> None:
    """Restore and compare the snapshot; of the restore's events its steps become notes."""
    target = Target(_DATABASE, replaces=False, with_owners=True, with_tablespaces=False, with_all_extensions=False)
    restore(
        source,
        snapshot,
        target,
        server=server.conninfo("postgres"),
        secrets_to=None,
        jobs=jobs,
        report=steps_as_notes(report),
        now=now,
    )


def _sealing(repository: OpenedRepository, recipients: RecipientSealing | None) -> Sealing:
    key = repository.source.key
    if repository.repository.facts.sealing == "passphrase" and key.passphrase_file is not None:
        return PassphraseSealing(key.passphrase_file)
    if recipients is not None:
        return recipients
    files: list[Path] = []
    for fingerprint in repository.repository.facts.recipients:
        public = run_checked(gpg(repository.home, "--armor", "--export", fingerprint), timeout_s=60)
        if public:
            files.append(repository.home / f"recipient-{len(files)}.asc")
            files[-1].write_bytes(public)
    if not files:
        raise KeyFileError(
            "the secret key is none of those that the repository is sealed to", hint="or say --plaintext, if you must"
        )
    return RecipientSealing(tuple(files))


def _write_frame(
    snapshot: OpenedSnapshot,
    form: DumpForm,
    seal: Sequence[Program],
    staged: Path,
    report: Reporter,
) -> None:
    programs: list[Program] = []
    if form == "plain":
        programs.append(pg_restore_text_program(snapshot.manifest.database.server_major))
    with snapshot.unsealed_frame(*programs, *seal) as pipeline:
        _write(pipeline, staged, report)


def _write(pipeline: Pipeline, staged: Path, report: Reporter) -> None:
    """Write what the programs produce into the new file `staged`, mode 0600, and sync it."""
    size = 0
    with space_errors(staged.parent):
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in pipeline.chunks():
                file.write(chunk)
                size += len(chunk)
                report(Progress(size, None, "bytes"))
            file.flush()
            os.fsync(file.fileno())


def _explain(finished: Finished) -> PermafrostError | None:
    return explain_pg_dump(finished) or explain_sealing(finished)
