"""The documents of restore, restore-table, drill, check and export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class RunbookStepDocument(Document):
    """One step of the runbook."""

    title: str
    """what to do"""
    text: str
    """what to know about it"""
    commands: tuple[str, ...]
    """commands, one line each"""


@dataclass(frozen=True, slots=True)
class RestoredMediaDocument(Document):
    """The media that `--media-to` laid out, compared with the restored rows."""

    path: str
    """the folder"""
    files: int
    """how many files it has got, those included that it had already"""
    bytes: int
    """their size"""
    expected: int
    """how many files the rows expect"""
    missing: int
    """how many of them were never there (exit code 3)"""
    missing_list: str | None
    """the file that names them; null if nothing is missing"""
    closed: int
    """how many belong to suspended accounts, and are 0600"""
    not_copied: int
    """how many paths of the source are not regular files, or could not be read"""


@dataclass(frozen=True, slots=True)
class RestoreDocument(Document):
    """What was restored, and what to do next."""

    snapshot: str
    """the snapshot's id"""
    database: str
    """the database that was made"""
    duration_s: float
    """how long it took"""
    tables: int
    """how many tables were compared"""
    rows: int
    """how many rows they have"""
    audited: bool
    """whether every row's digest was compared, and not only counts"""
    kept_as: str | None
    """with `--replace`, the name under which the former database is kept; otherwise null"""
    secrets: tuple[str, ...]
    """the files that `--secrets-to` made"""
    runbook: str | None
    """the file that says what to do next; null if it could not be written"""
    steps: tuple[RunbookStepDocument, ...]
    """the same as a list"""
    whole: bool
    """whether nothing is missing; false only with `--keep-going` (exit code 3)"""
    missing: tuple[str, ...]
    """what is missing, and why"""
    missing_list: str | None
    """the file with the SQL that finishes the database by hand; otherwise null"""
    rows_refused: int
    """how many rows PostgreSQL refused; they are in files beside that list"""
    media: RestoredMediaDocument | None = None
    """the media, with `--media-to`; otherwise null"""


@dataclass(frozen=True, slots=True)
class RestoreTableDocument(Document):
    """Which table was restored, and where it is now."""

    snapshot: str
    """the snapshot's id"""
    table: str
    """the table, as it is called in the snapshot"""
    database: str
    """the database that it was added to"""
    rescued_as: str
    """schema and name there"""
    rows: int
    """how many rows it has, as in the snapshot"""
    audited: bool
    """whether digests were compared, and not only counts"""
    defaults_left_out: tuple[str, ...]
    """columns whose defaults could not be recreated, or use a sequence"""
    duration_s: float
    """how long it took"""


@dataclass(frozen=True, slots=True)
class HealthCheckDocument(Document):
    """One thing that was examined."""

    code: str
    """a stable name"""
    outcome: Literal["passed", "finding", "skipped"]
    """`passed`, `finding` or `skipped`"""
    message: str
    """what was found, for people"""
    ids: tuple[str, ...]
    """up to 20 rows (`id=id` for those that are the same), keys or files that it is about"""
    count: int | None
    """how many there are in all; null where nothing was counted"""
    sql: str = ""
    """SQL that lists the rows in psql, empty where there is none"""


@dataclass(frozen=True, slots=True)
class HealthDocument(Document):
    """What a database was found to be."""

    schema_version: str | None
    """the number of its newest migration; null if there is none"""
    release: str
    """the Mastodon release that it belongs to, in words"""
    local_domain: str | None
    """`LOCAL_DOMAIN`; null if it is not known"""
    checks: tuple[HealthCheckDocument, ...]
    """what was examined, in order"""


@dataclass(frozen=True, slots=True)
class CheckDocument(Document):
    """How a Mastodon database, its secrets and its media fit together. Exit code 3 if there is a finding."""

    database: str
    """the database's name"""
    schema_version: str | None
    """the number of its newest migration; null if there is none"""
    release: str
    """the Mastodon release that it belongs to, in words"""
    local_domain: str | None
    """`LOCAL_DOMAIN`; null if it is not known"""
    checks: tuple[HealthCheckDocument, ...]
    """what was examined, in order"""

    @classmethod
    def of(cls, database: str, health: HealthDocument) -> CheckDocument:
        """Return the document for a database of that name."""
        return cls(database, health.schema_version, health.release, health.local_domain, health.checks)


@dataclass(frozen=True, slots=True)
class DrillDocument(Document):
    """A snapshot that was restored and compared. A drill that failed prints an error."""

    snapshot: str
    """the snapshot's id"""
    verdict: Literal["passed", "findings"]
    """`passed`, or `findings` if the health checks have some (exit code 3)"""
    duration_s: float
    """how long it took in all"""
    restore_s: float
    """how long the restore took"""
    tables: int
    """how many tables were compared"""
    rows: int
    """how many rows they have"""
    audited: bool
    """whether every row's digest was compared, and not only counts"""
    missing: tuple[str, ...]
    """what the restored database lacks, and why; the snapshot is then not proven (exit code 3)"""
    health: HealthDocument
    """what `permafrost check` finds in the restored database, without reading every row again"""


@dataclass(frozen=True, slots=True)
class ExportDocument(Document):
    """The dump file that was made."""

    snapshot: str
    """the snapshot's id"""
    file: str
    """the file"""
    format: Literal["custom", "plain"]
    """`custom` or `plain`"""
    sealed: bool
    """whether it is an OpenPGP message"""
    bytes: int
    """its size"""
    duration_s: float
    """how long it took"""
    missing: tuple[str, ...]
    """what PostgreSQL refused of the snapshot, and why; a plain file has all of it but refused rows (exit code 3)"""
