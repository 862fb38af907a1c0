"""Tries on a real bucket whatever permafrost relies on, and says what holds.

Object stores that speak S3 differ where it matters: some know no versions, some hide instead of deleting, some accept a
lock and forget it. What a provider's page says is not proof, so each promise is tried, with the configured key, on
small objects that are locked for minutes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from permafrost.buckets.failures import ExistsError, MissingError, UnsupportedError
from permafrost.buckets.store import BucketStore, Stored
from permafrost.errors import BucketError, BucketRefusedError, BucketUnreachableError, IntegrityError, PermafrostError

_LOCKED_FOR = timedelta(minutes=10)
_FIRST, _SECOND = b"permafrost check 1\n", b"permafrost check 2\n"


@dataclass(frozen=True, slots=True)
class Probe:
    """A promise, and whether it holds; None if that could not be tried. `text` says what that means."""

    promise: str
    holds: bool | None
    text: str
    is_needed: bool = True
    """Whether something is wrong if it does not hold."""


def probe_bucket(
    writer: BucketStore, reader: BucketStore | None, now: datetime, *, wants_lock: bool, most_skew_s: float
) -> Iterator[Probe]:
    """Yield what holds in the bucket, with the key that uploads use, and with one that may read if there is one.

    Raise `BucketError` if nothing can be put there at all.
    """
    trial = _Trial(writer, now)
    yield _clock(writer.clock_ahead_s(), most_skew_s)
    first = trial.put(_FIRST)
    yield Probe("write", holds=True, text="the key may put objects")
    yield trial.refuses_wrong_sum()
    yield trial.creates_only()
    second = trial.put(_SECOND)
    has_versions = bool(first.version) and first.version != second.version
    yield Probe("versions", has_versions, "an overwritten object stays" if has_versions else _NO_VERSIONS)
    yield from trial.lock_probes(wants_lock=wants_lock)
    yield trial.reads_nothing()
    if reader is not None:
        yield from _reading(reader, trial.key, second)
    trial.clean_up()


_NO_VERSIONS = "an overwritten object is lost: the bucket keeps no versions; whoever has the key can destroy everything"
_NO_LOCK = "the bucket takes no locks: whoever may delete can empty it; make one with Object Lock"


class _Trial:
    """What is tried on one key of the bucket, and what has to be cleaned up."""

    def __init__(self, store: BucketStore, now: datetime) -> None:
        prefix = store.address.root.rpartition("/")[0]
        self.key = f"{prefix}/permafrost-check/{secrets.token_hex(8)}".lstrip("/")
        self._store = store
        self._now = now
        self._made: list[Stored] = []

    def put(self, content: bytes, *, locked_until: datetime | None = None) -> Stored:
        stored = self._store.put(self.key, content, _sum(content), locked_until=locked_until, creates_only=False)
        self._made.append(stored)
        return stored

    def refuses_wrong_sum(self) -> Probe:
        refused = _is_refused(
            lambda: self._store.put(self.key, _SECOND, _sum(_FIRST), creates_only=False), IntegrityError
        )
        text = (
            "bytes that do not have their SHA-256 are refused" if refused else "bytes that rotted here arrive as good"
        )
        return Probe("checksum", refused, text)

    def creates_only(self) -> Probe:
        try:
            refused = _is_refused(lambda: self._store.put(self.key, _FIRST, _sum(_FIRST)), ExistsError)
        except UnsupportedError:
            refused = False
        text = "an object is put once" if refused else "an object that exists is put again; costs only"
        return Probe("create-only", refused, text, is_needed=False)

    def lock_probes(self, *, wants_lock: bool) -> Iterator[Probe]:
        until = self._now + _LOCKED_FOR
        try:
            locked = self.put(_FIRST, locked_until=until)
        except (UnsupportedError, BucketRefusedError) as error:
            why = _NO_LOCK if isinstance(error, UnsupportedError) else "the key may not lock what it puts"
            yield Probe("lock", holds=False, text=why, is_needed=wants_lock)
            return
        yield Probe("lock", holds=True, text="an object can be locked when it is put")
        refusals = (BucketRefusedError, UnsupportedError)
        holds = _is_refused(lambda: self._store.remove(self.key, locked.version), refusals)
        text = (
            "a locked version cannot be deleted" if holds else "A LOCKED VERSION WAS DELETED: locks mean nothing here"
        )
        yield Probe("lock-holds", holds, text)
        if not holds:
            return
        holds = _is_refused(lambda: self._store.lock(self.key, locked.version, until - _LOCKED_FOR / 2), refusals)
        yield Probe("lock-stays", holds, "a lock cannot be shortened" if holds else "A LOCK WAS SHORTENED")
        renewed = not _is_refused(
            lambda: self._store.lock(self.key, locked.version, until + _LOCKED_FOR), (BucketError, PermafrostError)
        )
        text = "a lock can be renewed" if renewed else "the key may not renew locks: they run out"
        yield Probe("renewal", renewed, text)

    def reads_nothing(self) -> Probe:
        def read() -> None:
            with self._store.read(self.key, most_bytes=len(_SECOND)) as chunks:
                b"".join(chunks)

        refused = _is_refused(read, (BucketRefusedError, MissingError))
        text = "the key may not read" if refused else "the key may read, too; what it reads is encrypted"
        return Probe("write-only", refused, text, is_needed=False)

    def clean_up(self) -> None:
        """Remove what can be; what is locked stays, a few bytes."""
        for stored in self._made:
            try:
                self._store.remove(self.key, stored.version)
            except BucketError:
                continue


def _clock(ahead_s: float, most_s: float) -> Probe:
    holds = abs(ahead_s) <= most_s
    text = f"the clocks differ by {abs(ahead_s):.0f} s"
    return Probe("clock", holds, text if holds else f"{text}: nothing is uploaded; set the clock (timedatectl)")


def _reading(reader: BucketStore, key: str, stored: Stored) -> Iterator[Probe]:
    try:
        listed = [version.version for version in reader.versions(key)]
        seen = reader.look(key, stored.version)
    except BucketRefusedError:
        yield Probe("read", holds=False, text="the reading key may not list versions or read")
        return
    except MissingError:
        yield Probe("read", holds=False, text="what was put there is not found again")
        return
    found = stored.version in listed or not stored.version
    yield Probe("read", found, "the reading key sees every version" if found else "overwritten versions are not listed")
    kept = seen.sha256 == _sum(_SECOND)
    text = (
        "the store tells each object's SHA-256" if kept else "the store does not tell SHA-256: verify has to download"
    )
    yield Probe("sha256", kept, text, is_needed=False)


def _is_refused(request: Callable[[], object], refusals: type[Exception] | tuple[type[Exception], ...]) -> bool:
    try:
        request()
    except BucketUnreachableError:
        raise
    except refusals:
        return True
    return False


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
