"""Fetches what the key list names and the vault lacks, from the server's object store into the vault's media folder.

From there on they are media like those that Syncthing brings: history, audit and balance know no difference. All that
counts is on the disk: a file is in its place or it is not, and what the table says follows. So after a kill nothing is
lost, and what is in its place already is not fetched again.

Files are fetched beside the vault's other work. A turn hands them over and records what has come of those before.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from permafrost.buckets.address import BucketAddress
from permafrost.buckets.extra import require_boto3
from permafrost.errors import SpaceError
from permafrost.findings import FindingKind
from permafrost.media_store.answers import Answer, Outcome, Wanted
from permafrost.media_store.connecting import CheckedBackend, CheckedTransport
from permafrost.media_store.fetching import Fetching
from permafrost.media_store.parts import Parts
from permafrost.media_store.rates import Rate
from permafrost.media_store.workers import FetchWorkers
from permafrost.repository.durable import make_folder_durably
from permafrost.small_files import NotAFileError, opened_folder
from permafrost.vault.cost import media_cost
from permafrost.vault.fetching_settings import MediaSource
from permafrost.vault.media.history import MediaHistory
from permafrost.vault.media.keys import MediaKey, MediaKeys, patience
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault_keeping.media.budget import DayBudget
from permafrost.vault_keeping.media.source import source_url
from permafrost.vault_keeping.media.store_findings import StoreFindings
from permafrost.vault_keeping.noting import Noting

if TYPE_CHECKING:
    from permafrost.buckets.presigning import Presigner

_BATCH = 200
_WAIT_S = 0.2
_IDLE_S = 2.0
_RESTS_AFTER_DISK_S = 300.0
_UNKNOWN_BYTES = 1 << 20
"""What a file is taken to cost whose size the database does not know."""
_CLOSED = Outcome.CLOSED.name.lower()
_MARKER = ".stfolder"
"""What a folder of media has while it is the one, and its disk is mounted; Syncthing makes it where it receives."""
SOONEST_RECHECK = timedelta(days=1)


class MediaPull:
    """Fetches the media of one server. To be closed, which cuts off what is under way."""

    def __init__(
        self,
        vault: Vault,
        server: VaultServer,
        media: Path,
        history: MediaHistory,
        keys: MediaKeys,
        noting: Noting,
    ) -> None:
        self._vault, self._server, self._media = vault, server, media
        self._history, self._keys, self._noting = history, keys, noting
        self._budget = DayBudget(noting.records, vault.settings.fetching.gigabytes_a_day * 10**9)
        self._findings = StoreFindings(keys, history.versions, noting)
        self._url: str | None = None
        self._signer: Presigner | None = None
        self._signs_all = vault.media_source(server).signs_all
        self._workers: FetchWorkers | None = None
        self._rechecked: frozenset[str] = frozenset()
        self._rests_until_s = 0.0
        self.has_news = False
        """Whether something came since this was last set to False."""

    def close(self) -> None:
        """End what is under way; what has come of it stays, as far as it can be continued."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    # --- MediaAudit's Refetches ---

    def is_due(self, path: str) -> bool:
        """Return whether a damaged file may be requested: it is not already."""
        return self._keys.is_held(path)

    def request(self, path: str, _name: str) -> None:
        """Have a file fetched again."""
        self._keys.want_again(path)

    # --- the turn's work ---

    def work(self, now: datetime, until: float, allowed_bytes: Callable[[], int]) -> float:
        """Fetch until `until` (monotonic), and return after how many seconds to continue; 0 for at once.

        `allowed_bytes` is what all media may cost the disk.
        """
        url = source_url(self._vault.media_source(self._server), self._noting)
        if url is None:
            self.close()
            return _IDLE_S
        self._prepare(url)
        if self._drop_unlisted():
            return 0.0
        if not self._history.has_scanned or time.monotonic() < self._rests_until_s:
            return _IDLE_S
        try:
            return self._fetch(now, until, allowed_bytes)
        except (OSError, SpaceError):
            self._rests_until_s = time.monotonic() + _RESTS_AFTER_DISK_S
            raise

    def _prepare(self, url: str) -> None:
        """Make the folders and what fetches, anew for another address."""
        if self._url != url:
            self.close()
            if self._url is not None:
                self._keys.ask_for_all()
            self._url = url
        if self._workers is not None:
            return
        parts = self._vault.unfinished_media(self._server)
        make_folder_durably(parts, 0o700)
        if not (self._media / _MARKER).is_dir():
            make_folder_durably(self._media / _MARKER)
        continued = self._keys.with_parts()
        for part in parts.iterdir():
            if part.name not in continued:
                part.unlink()
        self._signer = _signer(self._vault.media_source(self._server))
        self._workers = _workers(self._vault, self._server, url, Parts(parts, self._media))

    def _drop_unlisted(self) -> bool:
        """Take files away that the list no longer names; return whether there may be more of them."""
        paths = self._keys.dropped(_BATCH)
        for path in paths:
            *folders, name = path.split("/")
            with (
                suppress(FileNotFoundError, NotADirectoryError, NotAFileError),
                opened_folder(self._media, *folders) as at,
            ):
                os.unlink(name, dir_fd=at)
        self._keys.forget(paths)
        return len(paths) == _BATCH

    def _fetch(self, now: datetime, until: float, allowed_bytes: Callable[[], int]) -> float:
        assert self._workers is not None  # noqa: S101 - prepared
        while True:
            left_s = until - time.monotonic()
            has_more = self._hand_over(self._workers, now, allowed_bytes)
            is_idle = not self._workers.paths
            if is_idle and not has_more:
                self._findings.report(now, has_news=self.has_news)
                return _IDLE_S
            self._settle(list(self._workers.collect(min(_WAIT_S, left_s))), now, allowed_bytes)
            if time.monotonic() >= until:
                return 0.0

    def _hand_over(self, workers: FetchWorkers, now: datetime, allowed_bytes: Callable[[], int]) -> bool:
        """Hand over as much as may be under way; return whether files were found to be there already."""
        if workers.free <= 0 or self._findings.rests(now):
            return False
        under_way = workers.paths
        found_here = False
        allowed = allowed_bytes()
        room = allowed - self._history.cost_bytes()
        for key, is_kept in self._due(now, len(under_way) + workers.free):
            if workers.free <= 0:
                break
            if key.path in under_way:
                continue
            if is_kept and not key.is_anew and self._is_here(key):
                self._is_held(key.path, now, allowed)
                found_here = True
                continue
            size_bytes = _UNKNOWN_BYTES if key.size_bytes is None else key.size_bytes
            if not self._may_have(key, size_bytes, room if is_kept else None, now):
                break
            room -= media_cost(size_bytes, len(key.path)) if is_kept else 0
            if not is_kept:
                self._rechecked |= {key.path}
            workers.hand_over(self._wanted(key, is_kept=is_kept), is_kept=is_kept)
        return found_here

    def _due(self, now: datetime, count: int) -> Iterator[tuple[MediaKey, bool]]:
        """Yield what to ask for, and whether it is to be kept; what is only compared comes when nothing else is due."""
        due = self._keys.due(now, count)
        yield from ((key, True) for key in due)
        if not due and self._vault.settings.fetching.recheck_days:
            yield from ((key, False) for key in self._keys.due_again(now, count))

    def _wanted(self, key: MediaKey, *, is_kept: bool) -> Wanted:
        """Return what to ask for; with a signature if without one it was refused, or always is."""
        signer, part = self._signer, key.part if is_kept else f"again-{key.part}"
        is_signed = signer is not None and (self._signs_all or key.answer == _CLOSED)
        url = signer.url(key.path) if signer is not None and is_signed else None
        return Wanted(key.path, key.size_bytes, part, key.etag, url)

    def _may_have(self, key: MediaKey, size_bytes: int, room: int | None, now: datetime) -> bool:
        if not self._budget.has_room(size_bytes, now):
            self._findings.budget_is_used(self._keys.waiting())
            return False
        if room is not None and media_cost(size_bytes, len(key.path)) > room:
            message = (
                f"{self._keys.waiting()} media files are not fetched: the history has reached its share of the disk"
            )
            self._noting.found(FindingKind.MEDIA_FULL, "media", message)
            return False
        return True

    def _is_here(self, key: MediaKey) -> bool:
        """Return whether a file of its size is in its place: fetched before a kill, or received in earlier times."""
        *folders, name = key.path.split("/")
        try:
            with opened_folder(self._media, *folders) as folder:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError, NotAFileError):
            return False
        return status.st_size > 0 and key.size_bytes in (None, status.st_size)

    # --- what has come ---

    def _settle(self, answers: list[Answer], now: datetime, allowed_bytes: Callable[[], int]) -> None:
        if not answers:
            return
        allowed = allowed_bytes()
        try:
            with self._noting.records.together():
                self._budget.used(sum(answer.received_bytes for answer in answers), now)
                for answer in answers:
                    self._settle_one(answer, now, allowed)
        except BaseException:
            self._history.versions.count_again()  # what was recorded is undone
            raise

    def _settle_one(self, answer: Answer, now: datetime, allowed_bytes: int) -> None:
        wanted, is_recheck = answer.wanted, answer.wanted.path in self._rechecked
        self._rechecked -= {wanted.path}
        self._findings.heard(answer, now)
        if answer.outcome is Outcome.STOPPED:
            return
        if answer.outcome is not Outcome.FETCHED:
            self._put_off(answer, now)
        elif is_recheck:
            self._findings.compare(answer, now)
            self._keys.is_here(wanted.path, self._recheck_at(now))
        else:
            self._is_held(wanted.path, now, allowed_bytes)

    def _put_off(self, answer: Answer, now: datetime) -> None:
        key = self._keys.key(answer.wanted.path)
        if key is None:
            return
        if answer.outcome is Outcome.CLOSED and self._signer is not None and answer.wanted.url is None:
            self._keys.put_off(key, _CLOSED, answer.reason, now)  # at once again, with a signature
            return
        first, longest = _PATIENCE.get(answer.outcome, (timedelta(seconds=30), timedelta(hours=6)))
        until = now + patience(key.failures, first, longest)
        self._keys.put_off(key, answer.outcome.name.lower(), answer.reason, until, answer.etag)
        self.has_news = True

    def _is_held(self, path: str, now: datetime, allowed_bytes: int) -> None:
        self._keys.is_here(path, self._recheck_at(now))
        with suppress(FileNotFoundError):
            self._history.take_one(path.encode(), now, allowed_bytes=allowed_bytes)
        self.has_news = True

    def _recheck_at(self, now: datetime) -> datetime | None:
        """Return when to fetch it again: at random, so that what was fetched on one day is not compared on one day."""
        days = self._vault.settings.fetching.recheck_days
        return now + SOONEST_RECHECK + random.random() * timedelta(days=days) if days else None  # noqa: S311


_PATIENCE = {
    Outcome.ABSENT: (timedelta(hours=1), timedelta(days=7)),
    Outcome.CLOSED: (timedelta(hours=1), timedelta(days=7)),
    Outcome.UNFIT: (timedelta(hours=6), timedelta(days=7)),
    Outcome.REFUSED: (timedelta(hours=1), timedelta(days=1)),
}


def _signer(source: MediaSource) -> Presigner | None:
    """Return what signs requests to the server's bucket, None without a key for it."""
    if source.credentials_file is None or source.bucket is None:
        return None
    require_boto3()
    from permafrost.buckets.presigning import Presigner  # noqa: PLC0415 - boto3, only where there is a key

    address = BucketAddress(source.bucket, source.prefix, source.endpoint, source.region)
    return Presigner(address, source.credentials_file)


def _workers(vault: Vault, server: VaultServer, url: str, parts: Parts) -> FetchWorkers:
    settings, stopped = vault.settings.fetching, threading.Event()
    backend = CheckedBackend(allows_private=settings.allow_private_addresses)
    fetching = Fetching(
        url,
        parts,
        CheckedTransport(backend, settings.concurrent),
        Rate(settings.requests_per_s),
        Rate(settings.megabytes_per_s * 1e6),
        allows_http=settings.allow_private_addresses or vault.media_source(server).url is not None,
        stopped=stopped,
    )
    return FetchWorkers(fetching, settings.concurrent, stopped)
