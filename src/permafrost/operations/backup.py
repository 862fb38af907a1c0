"""permafrost backup: one snapshot, sealed as it is read.

Nothing is published before everything is durable, so a run that dies at any point leaves the repository as it
was, plus unfinished files in a folder that the next run empties.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from permafrost import __version__
from permafrost.config.models import Configuration
from permafrost.errors import ConfigurationError, PermafrostError
from permafrost.events import Progress, Reporter, Steps
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import Sealing
from permafrost.openpgp.signing import sign_detached
from permafrost.operations.sealing_choice import sealing_of
from permafrost.operations.secret_archive import pack_secrets
from permafrost.operations.snapshot_facts import database_facts, mastodon_facts, table_facts
from permafrost.postgres.archive import explain_pg_dump, pg_dump_program
from permafrost.postgres.catalog import (
    DatabaseDescription,
    TableName,
    describe_database,
    list_tables,
    schema_migrations_version,
)
from permafrost.postgres.digest import TableContents, count_rows, digest_rows
from permafrost.postgres.snapshot import exported_snapshot, imported_snapshot
from permafrost.processes import Program
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import repository_lock
from permafrost.repository.manifest import Manifest, ManifestObject, encode_manifest
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject
from permafrost.repository.repository import Repository
from permafrost.repository.sealed import put_sealed, seal_bytes
from permafrost.repository.snapshots import publish_snapshot
from permafrost.runs import RunRecords

_STEPS = 5
_KINDS = (ManifestObject(kind="frame", index=0), ManifestObject(kind="secrets", index=1))
_ZSTD = Program(("zstd", "-3", "-T0", "-q", "-c"))


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What a backup stored: bytes new in the repository, rows in all (the dump engine stores every row anew)."""

    snapshot: SnapshotId
    engine: str
    duration_s: float
    bytes_new: int
    rows_new: int
    rows_gone: int
    tables: int
    segments: int
    segments_changed: int
    is_audited: bool


@dataclass(frozen=True, slots=True)
class _Contents:
    """What was read of the database under one snapshot."""

    description: DatabaseDescription
    schema_version: str | None
    tables: tuple[TableContents, ...]
    frame: StoredObject


def back_up(configuration: Configuration, *, is_audited: bool, report: Reporter, now: datetime) -> BackupResult:
    """Make one snapshot of database and secrets, and return what it took.

    Raise `LockedError` if another run holds the repository, and the errors of the part that failed; no snapshot
    appears then.
    """
    started = time.monotonic()
    repository = Repository.open(configuration.repository.path)
    _check_same_key(configuration, repository)
    sealing = sealing_of(configuration.encryption)
    records = RunRecords(configuration.state.path)
    steps = Steps(report, _STEPS)
    with (
        repository_lock(repository.layout, "backup", now),
        records.recorded("backup", now) as record,
        temporary_home() as home,
        _nothing_published(),
    ):
        with steps.step("clear what an unfinished run left"):
            repository.prepare_for_writing()
            repository.place_emergency_files()
        contents = _read_database(configuration, repository, sealing, home, steps, report, is_audited)
        with steps.step("seal the secrets"):
            secrets = _seal_secrets(configuration, repository, sealing, home)
        with steps.step("publish the snapshot"):
            objects = (contents.frame, *((secrets,) if secrets else ()))
            snapshot = SnapshotId.new(now)
            manifest = Manifest(
                repository=repository.repository_id,
                snapshot=str(snapshot),
                made_at=now.astimezone(UTC),
                signing_key=repository.fingerprint,
                engine="dump",
                is_audited=is_audited,
                database=database_facts(contents.description),
                tables=table_facts(contents.tables),
                objects=_KINDS[: len(objects)],
                mastodon=mastodon_facts(configuration.secrets.files, contents.schema_version),
                tools={"permafrost": __version__},
            )
            sealed_manifest = seal_bytes(home, sealing, encode_manifest(manifest))
            size = _publish(configuration, repository, snapshot, objects, sealed_manifest)
        result = BackupResult(
            snapshot=snapshot,
            engine="dump",
            duration_s=round(time.monotonic() - started, 3),
            bytes_new=size,
            rows_new=sum(table.rows for table in contents.tables),
            rows_gone=0,
            tables=len(contents.tables),
            segments=0,
            segments_changed=0,
            is_audited=is_audited,
        )
        record.update(snapshot=str(snapshot), duration_s=result.duration_s, bytes_new=size, is_audited=is_audited)
    return result


@contextmanager
def _nothing_published() -> Iterator[None]:
    try:
        yield
    except PermafrostError as error:
        error.unchanged = error.unchanged or "every snapshot that was there before; no new one appeared"
        raise


def _check_same_key(configuration: Configuration, repository: Repository) -> None:
    if configuration.signing.fingerprint not in (None, repository.fingerprint):
        raise ConfigurationError(
            f"[signing] fingerprint is {configuration.signing.fingerprint}, and the repository at {repository.path} "
            f"was made for {repository.fingerprint}",
            hint="use the configuration that init made with this repository, or make a new repository",
        )
    configured = "recipients" if configuration.encryption.recipients else "passphrase"
    if configured != repository.facts.sealing:
        raise ConfigurationError(
            f"[encryption] says {configured}, and the repository was made for {repository.facts.sealing}",
            hint="a repository keeps its way of sealing; make a new one for another way",
        )


def _read_database(
    configuration: Configuration,
    repository: Repository,
    sealing: Sealing,
    home: Path,
    steps: Steps,
    report: Reporter,
    is_audited: bool,
) -> _Contents:
    url = configuration.database.url
    with steps.step("fix one moment of the database"), exported_snapshot(url) as (connection, exported):
        description = describe_database(connection)
        tables = list_tables(connection)
        schema_version = schema_migrations_version(connection)
        in_recovery = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        dump = pg_dump_program(
            url,
            snapshot=exported,
            server_major=description.server_version // 10000,
            is_standby=bool(in_recovery and in_recovery[0]),
        )
        with (
            steps.step("dump the database, compress and seal it"),
            _measuring(url, exported, tables, is_audited=is_audited) as measured,
        ):
            frame = put_sealed(
                repository.layout,
                home,
                sealing,
                programs=(dump, _ZSTD),
                explain=explain_pg_dump,
                on_bytes=lambda size: report(Progress(size, None, "bytes")),
            )
            return _Contents(description, schema_version, measured.result(), frame)


@contextmanager
def _measuring(
    conninfo: str, exported: str, tables: tuple[TableName, ...], *, is_audited: bool
) -> Iterator[Future[tuple[TableContents, ...]]]:
    """Count (and digest) the rows of every table under the same snapshot, beside the block."""
    measure = digest_rows if is_audited else count_rows
    with imported_snapshot(conninfo, exported) as connection, ThreadPoolExecutor(1) as executor:
        future = executor.submit(lambda: tuple(measure(connection, table) for table in tables))
        try:
            yield future
        except BaseException:
            future.cancel()
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)
            raise


def _seal_secrets(
    configuration: Configuration, repository: Repository, sealing: Sealing, home: Path
) -> StoredObject | None:
    if not configuration.secrets.files:
        return None
    packed = pack_secrets(configuration.secrets.files)
    return put_sealed(repository.layout, home, sealing, source=[packed])


def _publish(
    configuration: Configuration,
    repository: Repository,
    snapshot: SnapshotId,
    objects: tuple[StoredObject, ...],
    sealed_manifest: bytes,
) -> int:
    described = StoredObject(hashlib.sha256(sealed_manifest).hexdigest(), len(sealed_manifest))
    object_list = ObjectList(repository.repository_id, snapshot, described, objects)
    encoded = object_list.encode()
    signature = sign_detached(configuration.signing.gnupg_home, repository.fingerprint, encoded)
    publish_snapshot(repository.layout, object_list, sealed_manifest, signature)
    return sum(one.size_bytes for one in objects) + len(sealed_manifest) + len(encoded) + len(signature)
