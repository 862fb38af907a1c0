"""The runbook of a restore: its facts from the manifest, and its text to a file, if there is a place for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from permafrost.events import Note, Reporter, Warned
from permafrost.mastodon.runbook import Runbook, RunbookFacts, runbook
from permafrost.postgres.connection import without_passwords
from permafrost.repository.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Lacks:
    """What a restored database lacks, and the file with the SQL that finishes it."""

    reasons: tuple[str, ...]
    listed_in: Path | None


@dataclass(frozen=True, slots=True)
class RestoredAs:
    """Where the restored database lies: its name, its server's connection string, and what lies beside it.

    `kept_as` is the new name of the database that it replaced, None if it replaced none. `is_rehearsal`: the
    snapshot's own database exists on the same server, and is another one.
    """

    database: str
    server: str
    kept_as: str | None
    is_rehearsal: bool


def runbook_for(
    manifest: Manifest,
    restored: RestoredAs,
    *,
    secrets: Sequence[Path],
    secrets_to: Path | None,
    lacks: Lacks,
    media_to: Path | None,
) -> Runbook:
    """Return the runbook for what has just been restored, with `secrets` written below `secrets_to`."""
    mastodon = manifest.mastodon
    return runbook(
        RunbookFacts(
            snapshot=manifest.snapshot,
            made_at=manifest.made_at,
            source_database=manifest.database.name,
            database=restored.database,
            server=without_passwords(restored.server),
            owner=manifest.database.owner,
            postgresql_major=manifest.database.server_major,
            mastodon_version=mastodon.version if mastodon else None,
            schema_version=mastodon.schema_version if mastodon else None,
            local_domain=mastodon.local_domain if mastodon else None,
            web_domain=mastodon.web_domain if mastodon else None,
            secret_names=mastodon.secrets_present if mastodon else (),
            secret_files=tuple(
                (str(path.absolute()), f"/{path.relative_to(secrets_to)}") for path in secrets if secrets_to
            ),
            has_secrets=bool(manifest.indices("secrets")),
            kept_as=restored.kept_as,
            is_rehearsal=restored.is_rehearsal,
            layout=mastodon.layout if mastodon else None,
            folder=mastodon.folder if mastodon else None,
            missing=lacks.reasons,
            missing_list=str(lacks.listed_in) if lacks.listed_in else None,
            media=str(media_to.absolute()) if media_to else None,
        )
    )


def write_runbook(text: str, place: Path | None, database: str, report: Reporter) -> Path | None:
    """Write `text` to `place`, else to a free name in the current folder, and return where it lies.

    Never overwrites anything. A restore must not fail for its runbook: if it cannot be written, that is
    told, and None is returned.
    """
    stem = f"permafrost-runbook-{database.replace('/', '_')}"
    folder = Path() if os.access(".", os.W_OK | os.X_OK) else Path.home()  # the page for disaster day begins in /
    numbered = (folder / f"{stem}.{number}.txt" for number in range(2, 100))
    for candidate in (place,) if place is not None else (folder / f"{stem}.txt", *numbered):
        try:
            descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            report(Warned(f"the runbook cannot be written to {candidate.absolute()}: {error.strerror}; it is printed"))
            return None
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            report(Warned(f"the runbook cannot be written to {candidate.absolute()}: {error.strerror}; it is printed"))
            return None
        report(Note(f"runbook: {candidate.absolute()}"))
        return candidate.absolute()
    report(Warned(f"the runbook was not written: {place or stem} already exists; it is printed"))
    return None
