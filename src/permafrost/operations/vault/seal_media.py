"""permafrost vault seal-media: media are sealed for the vaults that get nothing else, as far as they have changed.

It holds no lock of the repository, so that it never delays a backup.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.documents.vault_sealing import SealMediaDocument
from permafrost.errors import ConfigurationError, IntegrityError, KeyFileError, RepositoryError, UsageError
from permafrost.events import Note, Reporter, Steps, Warned
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import OpeningKey, PassphraseSealing
from permafrost.openpgp.sealing_choice import sealing_of
from permafrost.openpgp.signing import sign_detached
from permafrost.operations.own.key import check_sealing_key, check_signing_key
from permafrost.repository.lock import file_lock
from permafrost.repository.repository import SMALL_BYTES, Repository
from permafrost.repository.snapshots import complete_snapshots
from permafrost.runs import SEAL_MEDIA, RunRecords
from permafrost.sealed_media.ignores import Ignores
from permafrost.sealed_media.layout import SealedStore
from permafrost.sealed_media.packs import Sealer
from permafrost.sealed_media.publishing import Moment, Publisher
from permafrost.sealed_media.reading import StoreReader
from permafrost.sealed_media.recovery import adopt_files, adopt_objects
from permafrost.sealed_media.run import SealingRun
from permafrost.sealed_media.state import STATE_FILE, SealedState, state_errors
from permafrost.sealed_media.store import prepare_store, seals_media
from permafrost.sharing.replication import tell_of_sealed_media
from permafrost.small_files import read_small

REWRITES_EVERY = timedelta(days=1)
_KEY, _REWRITTEN = "key", "rewritten"


@dataclass(frozen=True, slots=True)
class SealMediaResult:
    """What the store has now, and what the run sealed and removed. Sizes are in bytes."""

    files: int
    files_bytes: int
    objects: int
    objects_bytes: int
    sealed: int
    sealed_bytes: int
    new_bytes: int
    removed: int
    not_sealed: tuple[str, ...]
    not_sealed_count: int
    objects_removed: int
    duration_s: float

    def document(self) -> SealMediaDocument:
        """Return it for JSON."""
        return SealMediaDocument(
            files=self.files,
            files_bytes=self.files_bytes,
            objects=self.objects,
            objects_bytes=self.objects_bytes,
            sealed=self.sealed,
            sealed_bytes=self.sealed_bytes,
            new_bytes=self.new_bytes,
            removed=self.removed,
            not_sealed=self.not_sealed_count,
            first_not_sealed=self.not_sealed,
            objects_removed=self.objects_removed,
            duration_s=self.duration_s,
        )


def seal_media(configuration: Configuration, *, report: Reporter, now: datetime) -> SealMediaResult:
    """Make the sealed media store hold the media as they are now, and return what that took.

    Raise `UsageError` if no vault was to get sealed media, `LockedError` if another run is at it, `KeyFileError` if the
    configured key is not the repository's, `RepositoryError` if there is no snapshot yet.
    """
    repository = Repository.open(configuration.repository.path)
    check_signing_key(configuration, repository)
    root, media = configuration.sealed_media_path, configuration.media
    if root is None or media is None or media.path is None or not seals_media(root, configuration.state.path):
        raise UsageError(
            "no vault gets sealed media", unchanged="everything", hint="permafrost vault invite NAME --sealed-media"
        )
    records = RunRecords(configuration.state.path)
    if (problem := _missing(root, media.path, configuration.state.path)) is not None:
        with records.recorded(SEAL_MEDIA, now):
            raise problem
    store = prepare_store(root, repository)
    with (
        file_lock(store.layout.lock, "vault seal-media", now, what="another run seals media"),
        records.recorded(SEAL_MEDIA, now) as record,
    ):
        result = _Sealing(configuration, repository, store, report, now).run(media.path, media.ignore)
        record.update(sealed=result.sealed, new_bytes=result.new_bytes, not_sealed=result.not_sealed_count)
    return result


def _missing(store: Path, media: Path, state: Path) -> ConfigurationError | None:
    """Return the error that the store or the media are away, None if both are there."""
    if not media.is_dir():
        return ConfigurationError(
            f"the media folder {media} does not exist",
            unchanged="everything that was sealed",
            hint="correct [media] path, or mount its disk",
        )
    if not SealedStore(store).exists:
        return ConfigurationError(
            f"the sealed media store {store} does not exist any more",
            unchanged="everything",
            hint="mount its disk; to begin again: permafrost vault invite NAME --sealed-media. To seal no media any "
            f"more, remove {state / STATE_FILE}",
        )
    return None


@dataclass(slots=True)
class _Sealing:
    """One run, in steps."""

    configuration: Configuration
    repository: Repository
    store: SealedStore
    report: Reporter
    now: datetime

    def run(self, media: Path, ignore: tuple[str, ...]) -> SealMediaResult:
        """Do the steps, and return what they come to."""
        started, steps = time.monotonic(), Steps(self.report, 2)
        sealing, folder = sealing_of(self.configuration.encryption), self.configuration.state.path
        with temporary_home() as home, state_errors(folder), SealedState(folder) as state:
            check_sealing_key(self.configuration, self.repository, sealing, home, self.report)
            sealer = Sealer(self.store.layout, sealing, home)
            publisher = Publisher(self.store, state, sealer, self._sign)
            key = sealing.passphrase_file if isinstance(sealing, PassphraseSealing) else None
            with steps.step("check what is sealed already"):
                removed = self._take_up(publisher, key, home)
            with steps.step("seal what has changed"):
                done = SealingRun(
                    *(media, Ignores(ignore), state, sealer, publisher, self._moment(), self.report),
                    published=lambda: tell_of_sealed_media(self.configuration, self.report),
                )
                is_due = self._rewrites(state)
                done.do(rewrites=is_due)
                if is_due:
                    with state.together():
                        state.set_note(_REWRITTEN, self.now.isoformat())
            return self._result(state, done, removed, round(time.monotonic() - started, 3))

    def _take_up(self, publisher: Publisher, passphrase_file: Path | None, home: Path) -> int:
        """Make the state fit the store and the key; return how many objects were removed that nothing needs."""
        state, key = publisher.state, self._key()
        is_own = publisher.take_up(self.repository.repository_id, self.now)
        if state.note(_KEY) not in (None, key):
            self.report(Warned("the repository's key has changed: all media are sealed again, with the new one"))
            publisher.begin_anew()
        elif not is_own:
            self._recover(publisher, passphrase_file, home)
        with state.together():
            state.set_note(_KEY, key)
        return publisher.clear(self.now)

    def _recover(self, publisher: Publisher, passphrase_file: Path | None, home: Path) -> None:
        """Find out from the store what the state does not know; without a key, all is sealed again."""
        before, state = publisher.before, publisher.state
        publisher.begin_anew()
        if before is None:
            return
        adopt_objects(self.store, before.index, state)
        if passphrase_file is not None:
            try:
                reader = StoreReader(self.store.layout, OpeningKey(passphrase_file), home)
                adopt_files(reader, before.index, state)
            except (IntegrityError, KeyFileError) as error:
                self.report(Warned(f"the sealed catalog cannot be read ({error.message}): all media are sealed again"))
                return
            publisher.continue_published()
            self.report(Note("what is sealed already was found out again from the sealed catalog"))
            return
        self.report(
            Warned("what was sealed is not known any more, and this server cannot read it: all is sealed again")
        )

    def _rewrites(self, state: SealedState) -> bool:
        last = state.note(_REWRITTEN)
        return last is None or self.now - datetime.fromisoformat(last) >= REWRITES_EVERY

    def _key(self) -> str:
        """Return what changes when the repository is sealed with another key."""
        try:
            return hashlib.sha256(read_small(self.repository.layout.key_check, SMALL_BYTES)).hexdigest()
        except OSError:
            return ""

    def _moment(self) -> Moment:
        snapshots = complete_snapshots(self.repository.layout)
        if not snapshots:
            raise RepositoryError(
                "there is no snapshot yet that the media would belong to",
                unchanged="everything",
                hint="create one with permafrost backup",
            )
        return Moment(self.repository.repository_id, str(snapshots[-1]), self.now)

    def _sign(self, content: bytes) -> bytes:
        return sign_detached(self.configuration.signing.gnupg_home, self.repository.fingerprint, content)

    def _result(self, state: SealedState, done: SealingRun, removed: int, duration_s: float) -> SealMediaResult:
        files, files_bytes = state.totals()
        objects, objects_bytes = state.totals_of_objects()
        return SealMediaResult(
            files=files,
            files_bytes=files_bytes,
            objects=objects,
            objects_bytes=objects_bytes,
            sealed=done.packer.done.contents,
            sealed_bytes=done.packer.done.content_bytes,
            new_bytes=done.packer.done.object_bytes,
            removed=done.looked.removed,
            not_sealed=tuple(done.looked.first_not_sealed),
            not_sealed_count=done.looked.not_sealed,
            objects_removed=removed,
            duration_s=duration_s,
        )
