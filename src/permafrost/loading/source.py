"""Opens a repository for reading: from a configuration, or on disaster day from a folder and a key alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import KeyFileError, UsageError
from permafrost.events import Note, Reporter, Warned
from permafrost.loading.opened_snapshot import OpenedSnapshot
from permafrost.openpgp.fingerprints import in_groups
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.passphrase import as_printed, what_is_mistyped
from permafrost.openpgp.sealing import OpeningKey, import_secret_key
from permafrost.openpgp.signing import Verifier
from permafrost.repository.durable import write_new_file
from permafrost.repository.layout import SnapshotId, in_zone
from permafrost.repository.newest import clock_warning, is_ahead, key_clock_warning
from permafrost.repository.objects import StoredObject
from permafrost.repository.reading import choose_snapshot, make_verifier, newest_not_after, read_snapshot
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import complete_snapshots

_MOST_LOOKED_AT = 200
"""So many manifests are opened in search of an audited one; a backup a day is audited by default."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where to read from and how: the repository's folder, the key, and the fingerprint to trust, if known."""

    repository: Path
    key: OpeningKey
    fingerprint: str | None = None
    fetch: Callable[[Sequence[StoredObject], Reporter], None] | None = None
    """Brings objects of a snapshot into the folder before they are read, where they are elsewhere."""


def source_of(
    configuration: Configuration | None,
    *,
    repository: Path | None,
    passphrase_file: Path | None,
    secret_key_file: Path | None,
    fingerprint: str | None,
) -> Source:
    """Return the source that the command's words and the configuration, if there is one, give together.

    Words win over the configuration. Its fingerprint is used only for its own repository. Raise `UsageError` if
    they do not suffice.
    """
    if repository is None and configuration is None:
        raise UsageError("no repository given, and no configuration found", hint="give --repository DIR")
    folder = repository if repository is not None else configuration.repository.path if configuration else Path()
    is_own = configuration is not None and folder == configuration.repository.path
    if is_own and configuration is not None:
        fingerprint = fingerprint or configuration.signing.fingerprint
    if passphrase_file is None and configuration is not None and secret_key_file is None:
        passphrase_file = configuration.encryption.passphrase_file
    return Source(folder, OpeningKey(passphrase_file, secret_key_file), fingerprint)


def choose_by_time(source: Source, moment: datetime, report: Reporter) -> SnapshotId:
    """Return the newest snapshot not after `moment` (with a time zone), and tell which it is."""
    chosen = newest_not_after(Repository.open(source.repository), moment)
    made_at = in_zone(chosen.made_at, moment.tzinfo)
    report(Note(f"the newest snapshot up to {moment:%Y-%m-%d %H:%M:%S %z} is {chosen}"))
    report(Note(f"it was made {made_at:%Y-%m-%d %H:%M:%S %z}"))
    return chosen


@dataclass(frozen=True, slots=True)
class OpenedRepository:
    """A repository with the means to read it, for as long as `opened` lasts."""

    repository: Repository
    source: Source
    home: Path
    verifier: Verifier

    def read(self, choice: SnapshotId | None, now: datetime, report: Reporter) -> OpenedSnapshot:
        """Return the chosen snapshot (None: the newest that the clock allows), signature, list and manifest checked.

        Snapshots in the future are reported if the newest is requested. Its objects are fetched if they are elsewhere.
        """
        read = self._read(choice, now, report)
        if self.source.fetch is not None:
            self.source.fetch(read.checked.object_list.objects, report)
        return read

    def _read(self, choice: SnapshotId | None, now: datetime, report: Reporter) -> OpenedSnapshot:
        if choice is None and (warning := clock_warning(complete_snapshots(self.repository.layout), now)):
            report(Warned(warning))
        if self.verifier.is_clock_behind:
            report(Warned(key_clock_warning(now)))
        snapshot = choose_snapshot(self.repository, choice, now)
        key = self.source.key
        try:
            checked = read_snapshot(self.repository, snapshot, self.verifier, key, self.home)
        except KeyFileError:
            # what is in the file comes first: it may be somebody's own passphrase, whatever it looks like
            printed = _as_printed(key, self.home)
            if printed is None:
                raise
            key = printed
            checked = read_snapshot(self.repository, snapshot, self.verifier, key, self.home)
        return OpenedSnapshot(self.repository, key, self.home, checked)

    def read_newest_audited(self, now: datetime, report: Reporter) -> OpenedSnapshot:
        """Return the newest audited snapshot of the last `_MOST_LOOKED_AT`, the newest of all if none of them is."""
        dated = [snapshot for snapshot in complete_snapshots(self.repository.layout) if not is_ahead(snapshot, now)]
        for snapshot in sorted(dated, reverse=True)[:_MOST_LOOKED_AT]:
            if self._read(snapshot, now, report).manifest.is_audited:
                return self.read(snapshot, now, report)
        report(
            Note("no recent snapshot is audited: row counts are compared, not every row (permafrost backup --audit)")
        )
        return self.read(None, now, report)


def _as_printed(key: OpeningKey, home: Path) -> OpeningKey | None:
    """Return the key with the passphrase as the recovery sheet has it; None if it is that already, or no such one.

    It is written into the GnuPG home, which is in memory. Raise `KeyFileError` that says where it is mistyped.
    """
    if key.passphrase_file is None or key.secret_key_file is not None:
        return None
    typed = read_secret_file(key.passphrase_file)
    printed = as_printed(typed)
    if printed is None and (mistyped := what_is_mistyped(typed)):
        raise KeyFileError(
            f"the passphrase in {key.passphrase_file} is mistyped: {mistyped}",
            unchanged="everything",
            hint="compare it with the recovery sheet; groups are counted from the left, case and spaces do not matter",
        )
    if printed is None or printed == typed:
        return None
    file = home / "passphrase-as-printed"
    write_new_file(file, f"{printed}\n".encode(), 0o600)
    return OpeningKey(file)


@contextmanager
def opened(source: Source, report: Reporter) -> Iterator[OpenedRepository]:
    """Yield the repository, opened with the source's key; tell if its signing key was not known from elsewhere."""
    repository = Repository.open(source.repository)
    key = source.key
    if key.passphrase_file is not None:
        read_secret_file(key.passphrase_file)
    elif key.secret_key_file is None:
        wanted = "--passphrase-file" if repository.facts.sealing == "passphrase" else "--secret-key-file"
        raise KeyFileError("no key for this repository was given", hint=f"give {wanted} FILE")
    with temporary_home() as home, temporary_home() as verifier_home:
        if key.secret_key_file is not None:
            import_secret_key(home, key.secret_key_file, key.passphrase_file)
        verifier = make_verifier(repository, source.fingerprint, verifier_home)
        if source.fingerprint is None:
            report(Note(f"signatures are checked against the folder's own key {in_groups(verifier.fingerprint)}:"))
            report(Note("compare it with the recovery sheet, or give it with --fingerprint"))
        yield OpenedRepository(repository, source, home, verifier)
