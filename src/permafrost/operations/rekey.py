"""permafrost rekey: from here on, backups are sealed with another key. Existing snapshots stay sealed with the old one.

In an order in which a kill at any moment leaves one key that works, and a second run that goes on:

1. The new passphrase is written beside the old one, and the new recovery sheet.
2. A full, audited snapshot is sealed with the new key. Until now, everything is as it was.
3. The new passphrase takes the old one's place by one rename; the old one stays under the new snapshot's name.
4. The key check (repository/key_check.py) and repository.json name the new key. Had the run ended before that, the next
   backup would do it: the newest snapshot is proof enough.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from permafrost.config.models import Configuration, Encryption
from permafrost.config.secret_files import read_secret_file
from permafrost.documents.setup import RekeyDocument
from permafrost.errors import ReportedError, UsageError
from permafrost.events import Note, Reporter
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.passphrase import new_passphrase
from permafrost.openpgp.recipients import check_recipients
from permafrost.openpgp.sealing_choice import sealing_of
from permafrost.operations.backup import back_up
from permafrost.operations.own.key import (
    adopt_key,
    check_sealing_key,
    check_signing_key,
    is_own_key,
    next_passphrase_file,
    warn_of_weak_passphrase,
)
from permafrost.operations.own.sheet import own_sheet
from permafrost.repository.durable import fsync_folder, write_durably
from permafrost.repository.layout import SnapshotId
from permafrost.repository.lock import file_lock
from permafrost.repository.newest import newest
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import complete_snapshots

_LOCK = "rekey.lock"
_SECRET_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What there is now: the first snapshot of the new key, the new sheet, and the old passphrase's file, if any."""

    snapshot: SnapshotId
    sheet_file: Path
    former_passphrase: Path | None

    def document(self) -> RekeyDocument:
        """Return it for JSON, without the sheet's text."""
        former = str(self.former_passphrase) if self.former_passphrase else None
        return RekeyDocument(str(self.snapshot), str(self.sheet_file), former)


def rekey(
    configuration: Configuration,
    *,
    as_configured: bool,
    report: Reporter,
    now: datetime,
    make_passphrase: Callable[[], str] = new_passphrase,
) -> Rekeyed:
    """Make the repository's key a new passphrase, or `as_configured` the one that the configuration names by now.

    The new recovery sheet is written where the first one was. Raise `UsageError` if there is nothing to change, and
    what a backup raises; the old key works then, and another run goes on.
    """
    repository = Repository.open(configuration.repository.path)
    check_signing_key(configuration, repository)
    configuration.state.path.mkdir(mode=0o750, parents=True, exist_ok=True)
    with (
        file_lock(configuration.state.path / _LOCK, "rekey", now, what="the key is being changed"),
        _explained() as done,
    ):
        encryption = (
            _configured_key(configuration, repository, report)
            if as_configured
            else _new_passphrase(configuration, repository, report, make_passphrase)
        )
        sheet_file = _sheet_file(configuration, encryption, now)
        _write_sheet(sheet_file, configuration, encryption, repository, now)
        report(Note(f"the new recovery sheet is {sheet_file}"))

        def switch(snapshot: SnapshotId) -> None:
            done.kept = _put_in_place(configuration.encryption, encryption, snapshot)
            done.is_switched = True
            with temporary_home() as home:
                adopt_key(configuration, repository, sealing_of(configuration.encryption), home)

        result = back_up(
            configuration.model_copy(update={"encryption": encryption}),
            is_audited=True,
            is_full=True,
            on_new_key=switch,
            report=report,
            now=now,
        )
    return Rekeyed(result.snapshot, sheet_file, done.kept)


@dataclass(slots=True)
class _Done:
    """Whether the new key is in its place, and where the old passphrase is kept, if there was one."""

    is_switched: bool = False
    kept: Path | None = None


@contextmanager
def _explained() -> Iterator[_Done]:
    """Let an error say which key is the repository's after it."""
    done = _Done()
    try:
        yield done
    except ReportedError as error:
        error.unchanged = "all existing snapshots; the key is " + ("the new one" if done.is_switched else "the old one")
        raise


def _configured_key(configuration: Configuration, repository: Repository, report: Reporter) -> Encryption:
    """Return the configuration's own way of sealing; raise `UsageError` if it is the repository's already."""
    check_recipients(configuration.encryption)
    warn_of_weak_passphrase(configuration.encryption, report)
    with temporary_home() as home:
        if is_own_key(configuration, repository, sealing_of(configuration.encryption), home):
            raise UsageError(
                "the repository is sealed with the configured key already",
                hint="change [encryption] or the passphrase file first; or permafrost rekey for a new passphrase",
            )
    return configuration.encryption


def _new_passphrase(
    configuration: Configuration, repository: Repository, report: Reporter, make_passphrase: Callable[[], str]
) -> Encryption:
    """Return the way of sealing with a new passphrase, which is in a file of its own by now."""
    encryption = configuration.encryption
    waiting = next_passphrase_file(encryption)
    if encryption.passphrase_file is None or waiting is None:
        raise UsageError(
            "the backups are sealed to public keys",
            hint="change [encryption] recipients, and then: permafrost rekey --as-configured",
        )
    if waiting.exists():
        read_secret_file(waiting)
        report(Note(f"resuming with the new passphrase in {waiting}"))
    else:
        with temporary_home() as home:
            check_sealing_key(configuration, repository, sealing_of(encryption), home, report)
        write_durably(waiting, f"{make_passphrase()}\n".encode(), _SECRET_MODE)
        _give_to_owner_of(encryption.passphrase_file, waiting)
    return encryption.model_copy(update={"passphrase_file": waiting})


def _sheet_file(configuration: Configuration, encryption: Encryption, now: datetime) -> Path:
    """Return the new sheet's place, named by when the new key was made: a resumed run writes over no other key's."""
    made_at, first = now.astimezone(UTC), configuration.signing.sheet_file
    if encryption != configuration.encryption and encryption.passphrase_file is not None:
        made_at = datetime.fromtimestamp(encryption.passphrase_file.stat().st_mtime, UTC)
    return first.with_name(f"{first.stem}-{made_at:%Y%m%dT%H%M%SZ}{first.suffix}")


def _give_to_owner_of(file: Path, given: Path) -> None:
    """Let root make a file that the service, which runs as another user, can read."""
    if os.geteuid() == 0:
        status = file.stat()
        os.chown(given, status.st_uid, status.st_gid)


def _write_sheet(
    file: Path, configuration: Configuration, encryption: Encryption, repository: Repository, now: datetime
) -> None:
    earlier = newest(complete_snapshots(repository.layout), now)
    passphrase = read_secret_file(encryption.passphrase_file) if encryption.passphrase_file is not None else None
    sheet = own_sheet(
        configuration,
        repository_id=repository.repository_id,
        fingerprint=repository.fingerprint,
        passphrase=passphrase,
        now=now,
        earlier=str(earlier) if earlier else None,
    )
    write_durably(file, sheet.encode(), _SECRET_MODE)


def _put_in_place(old: Encryption, new: Encryption, snapshot: SnapshotId) -> Path | None:
    """Rename the new passphrase to its final name, and return where the old one is kept; None for other keys."""
    if old == new or old.passphrase_file is None or new.passphrase_file is None:
        return None
    kept = old.passphrase_file.with_name(f"{old.passphrase_file.name}.until-{snapshot}")
    with suppress(FileExistsError):
        kept.hardlink_to(old.passphrase_file)
    new.passphrase_file.replace(old.passphrase_file)
    fsync_folder(old.passphrase_file.parent)
    return kept
