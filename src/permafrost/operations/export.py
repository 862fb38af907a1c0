"""permafrost export: any snapshot as a standard dump file, sealed like the repository unless plaintext is requested.

A dump snapshot's frame is a pg_dump archive already. A log snapshot is restored, with all that a restore checks,
into a server of the export's own, and dumped from there; what that server holds is in a folder that only it can
enter, and is removed with it. The file appears under its name whole and durable, or not at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from permafrost.documents.restore import ExportDocument
from permafrost.errors import KeyFileError, PermafrostError, RestoreRefusedError
from permafrost.events import Note, Progress, Reporter, Steps, steps_as_notes
from permafrost.loading.missing import Missing
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.loading.scratch_server import ScratchPlace, scratch_server
from permafrost.loading.source import OpenedRepository, Source, opened
from permafrost.openpgp.home import gpg
from permafrost.openpgp.sealing import (
    OpeningKey,
    PassphraseSealing,
    RecipientSealing,
    Sealing,
    explain_sealing,
    seal_program,
)
from permafrost.operations.restore import RestoreRequest, restore
from permafrost.postgres.programs.clients import archive_reader, client_of
from permafrost.postgres.programs.dump_program import DumpForm, explain_pg_dump, pg_dump_file_program
from permafrost.postgres.programs.restore_program import pg_restore_text_program
from permafrost.postgres.programs.sql_script import known_to_server
from permafrost.processes.pipeline import Pipeline
from permafrost.processes.program import Finished, Program
from permafrost.processes.run import run_checked
from permafrost.repository.durable import space_errors
from permafrost.repository.layout import SnapshotId
from permafrost.repository.staging import Placing

_ENDINGS: dict[DumpForm, str] = {"custom": ".dump", "plain": ".sql"}
_STEPS = 2
_DATABASE = "exported"
_HEAD_OF_LAST = b"""
--
-- What the rows above do not allow, such as a unique index over duplicates. Clean the rows up, and run it again.
--

"""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which snapshot to write (None: the newest), and what file to make of it.

    `place` is the file, None for a telling name in the current folder. If it is to be sealed, that is with the
    repository's passphrase, or to `recipients`, otherwise to the public keys of the secret key that opens it.
    `scratch` is the folder in which a server may be made, for a log snapshot; it runs in a sandbox if it
    `is_sandboxed`.
    """

    source: Source
    choice: SnapshotId | None
    form: DumpForm
    place: Path | None
    is_sealed: bool
    scratch: Path
    recipients: RecipientSealing | None = None
    jobs: int = 2
    is_sandboxed: bool = True


@dataclass(frozen=True, slots=True)
class Exported:
    """The file that was made. `size_bytes` is the file's."""

    snapshot: SnapshotId
    file: Path
    form: DumpForm
    is_sealed: bool
    size_bytes: int
    duration_s: float
    missing: tuple[str, ...] = ()
    is_whole: bool = True
    """Whether the file has all that the snapshot has; a plain one ends with what PostgreSQL refused."""

    def document(self) -> ExportDocument:
        """Return it for JSON."""
        return ExportDocument(
            snapshot=str(self.snapshot),
            file=str(self.file),
            format=self.form,
            sealed=self.is_sealed,
            bytes=self.size_bytes,
            duration_s=self.duration_s,
            missing=self.missing,
        )


def export(request: ExportRequest, *, report: Reporter, now: datetime) -> Exported:
    """Make the dump file that the request says; raise `RestoreRefusedError` if a file of that name exists."""
    started = time.monotonic()
    steps = Steps(report, _STEPS)
    with opened(request.source, report) as repository, Placing() as placing:
        with steps.step("check the snapshot's signature, and the output file"):
            snapshot = repository.read(request.choice, now, report)
            report(Note(f"snapshot {snapshot.id} of {snapshot.manifest.database.name}"))
            place = (request.place or Path(_name(snapshot, request))).absolute()
            if os.path.lexists(place):
                raise RestoreRefusedError(
                    f"{place} already exists", unchanged="everything", hint="give another name: --output FILE"
                )
            sealing = _sealing(repository, snapshot.key, request.recipients) if request.is_sealed else None
            staged = placing.stage(place)
        seal = (seal_program(sealing, repository.home),) if sealing is not None else ()
        output = _Output(request.form, snapshot.manifest.database.server_major, seal, staged, report)
        missing: Missing | None = None
        with steps.step(f"write {place.name}"):
            if snapshot.manifest.engine == "dump":
                _write_frame(snapshot, output)
            else:
                scratch = ScratchPlace(request.scratch, request.is_sandboxed)
                with scratch_server(snapshot.manifest.database, scratch, report) as server:
                    scratch_request = RestoreRequest.into_scratch(
                        request.source, snapshot.id, server, _DATABASE, request.jobs
                    )
                    missing = restore(scratch_request, report=steps_as_notes(report), now=now).missing
                    _write_dump(server.conninfo(_DATABASE), missing, output)
        size = staged.stat().st_size
        placing.place()
    return Exported(
        snapshot=snapshot.id,
        file=place,
        form=request.form,
        is_sealed=request.is_sealed,
        size_bytes=size,
        duration_s=round(time.monotonic() - started, 3),
        missing=missing.reasons if missing else (),
        is_whole=not missing or (request.form == "plain" and missing.is_statements_alone),
    )


@dataclass(frozen=True, slots=True)
class _Output:
    """The file that is written, and the programs that seal it; a plain one is fit for a server of `server_major`."""

    form: DumpForm
    server_major: int
    seal: Sequence[Program]
    file: Path
    report: Reporter

    def write(self, chunks: Iterable[bytes], program_major: int) -> None:
        """Seal and write what a program of that version dumps."""
        if self.form == "plain":
            chunks = known_to_server(chunks, self.server_major, program_major)
        if not self.seal:
            _write(chunks, self.file, self.report)
            return
        with Pipeline(self.seal, source=chunks) as pipeline:
            _write(pipeline.chunks(), self.file, self.report)
            pipeline.finish(_explain)


def _write_dump(conninfo: str, missing: Missing, output: _Output) -> None:
    """Write what pg_dump makes of the restored database; a plain file ends with the statements that were refused."""
    last = _HEAD_OF_LAST + missing.statements if output.form == "plain" and missing.statements else b""
    pg_dump = client_of("pg_dump", output.server_major)
    with Pipeline([pg_dump_file_program(pg_dump, conninfo, output.form)]) as dumping:
        output.write(chain(dumping.chunks(), [last]), pg_dump.major)
        dumping.finish(_explain)


def _name(snapshot: OpenedSnapshot, request: ExportRequest) -> str:
    database = snapshot.manifest.database.name.replace("/", "_")
    return f"{database}-{snapshot.id}{_ENDINGS[request.form]}{'.gpg' if request.is_sealed else ''}"


def _sealing(repository: OpenedRepository, key: OpeningKey, recipients: RecipientSealing | None) -> Sealing:
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
        raise KeyFileError("the repository is not sealed to this secret key", hint="or use --plaintext, if you must")
    return RecipientSealing(tuple(files))


def _write_frame(snapshot: OpenedSnapshot, output: _Output) -> None:
    if output.form == "plain":
        reader = archive_reader(snapshot.archive_major(), output.server_major)
        with snapshot.unsealed_frame(pg_restore_text_program(reader)) as pipeline:
            output.write(pipeline.chunks(), reader.major)
        return
    with snapshot.unsealed_frame(*output.seal) as pipeline:
        _write(pipeline.chunks(), output.file, output.report)


def _write(chunks: Iterable[bytes], staged: Path, report: Reporter) -> None:
    """Write what programs produce into the new file `staged`, mode 0600, and sync it."""
    size = 0
    with space_errors(staged.parent):
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
                report(Progress(size, None, "bytes"))
            file.flush()
            os.fsync(file.fileno())


def _explain(finished: Finished) -> PermafrostError | None:
    return explain_pg_dump(finished) or explain_sealing(finished)
