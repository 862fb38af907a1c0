"""Fetches one file: asks, follows redirects, judges the answer, writes what comes, and puts the whole into its place.

1. Ask for the file, or for the rest of it if a part of the same bytes is there; follow at most five redirects, each to
   an address that may be asked. Nothing is sent along: no cookie, no credentials, no name of the vault.
2. Judge the answer by its status, its type, and its length, before a byte of it is written.
3. Write what comes, at most as much as the file may have, at the rate that is allowed.
4. A file that has its length is synced and renamed. What was cut off stays if the store calls its bytes by a strong
   ETag, so that the next attempt can ask for the rest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from permafrost.errors import SpaceError
from permafrost.media_store.address import MOST_REDIRECTS, RefusedAddressError, check_url, redirected, url_of
from permafrost.media_store.answers import (
    Answer,
    Outcome,
    Wanted,
    continues_at,
    retry_after_s,
    strong_etag,
    type_fault,
)
from permafrost.media_store.parts import Parts
from permafrost.media_store.rates import Rate

_READ_BYTES = 1 << 16
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "permafrost"}
_SLOWEST_BYTES_PER_S, _PATIENCE_S = 1000, 120.0
"""A file that comes more slowly than that, after that time, keeps others waiting, and is tried again later."""
_BY_STATUS = {
    401: Outcome.CLOSED,
    403: Outcome.CLOSED,
    404: Outcome.ABSENT,
    410: Outcome.ABSENT,
    429: Outcome.BUSY,
    503: Outcome.BUSY,
}


_NO_PLACE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.EILSEQ)
"""A file whose place cannot be had keeps no other from coming; whatever else the disk refuses is everybody's matter."""


class _EndedError(Exception):
    """The attempt ends, with that outcome."""

    def __init__(self, outcome: Outcome, reason: str = "", wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.outcome, self.wait_s = outcome, wait_s


class Fetching:
    """Fetches files below one address. For several threads; `stopped` ends what is under way."""

    def __init__(
        self,
        base_url: str,
        parts: Parts,
        transport: httpx.BaseTransport,
        requests: Rate,
        transfer: Rate,
        *,
        allows_http: bool,
        stopped: threading.Event,
    ) -> None:
        self._base_url = base_url
        self._parts = parts
        self._client = httpx.Client(transport=transport, follow_redirects=False)
        self._requests = requests
        self._transfer = transfer
        self._allows_http = allows_http
        self._stopped = stopped

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def fetch(self, wanted: Wanted, *, is_kept: bool = True) -> Answer:
        """Ask for the file and return what came of it; with `is_kept` False it is read, and not put into its place.

        Raise `OSError` and `SpaceError` if the disk does not take it.
        """
        transfer = _Transfer(wanted)
        try:
            with self._parts.opened(wanted.part) as part:
                self._receive(transfer, part)
                if is_kept:
                    self._parts.put(wanted.part, part, wanted.path)
            if not is_kept:
                self._parts.drop(wanted.part)
        except _EndedError as ended:
            return self._ended(transfer, ended.outcome, str(ended), ended.wait_s)
        except RefusedAddressError as error:
            return self._ended(transfer, Outcome.REFUSED, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            outcome = Outcome.STOPPED if self._stopped.is_set() else Outcome.FAILED
            return self._ended(transfer, outcome, _text(error))
        except OSError as error:
            if error.errno not in _NO_PLACE:
                raise
            return self._ended(transfer, Outcome.UNFIT, f"it cannot be put into its place: {error.strerror}")
        except SpaceError:
            self._parts.drop(wanted.part)
            raise
        return transfer.answer(Outcome.FETCHED)

    def _ended(self, transfer: _Transfer, outcome: Outcome, reason: str, wait_s: float | None = None) -> Answer:
        """Keep the part only if it can be added to."""
        if not (transfer.etag and outcome in (Outcome.FAILED, Outcome.STOPPED, Outcome.BUSY)):
            transfer.etag = ""
            self._parts.drop(transfer.wanted.part)
        return transfer.answer(outcome, reason, wait_s)

    def _receive(self, transfer: _Transfer, part: int) -> None:
        """Write the whole file into the part."""
        wanted = transfer.wanted
        there_bytes = os.fstat(part).st_size if wanted.etag else 0
        headers = dict(_HEADERS)
        if there_bytes:
            transfer.etag = wanted.etag
            headers |= {"Range": f"bytes={there_bytes}-", "If-Range": wanted.etag}
        with self._asked(wanted.url or url_of(self._base_url, wanted.path), headers) as response:
            _check_status(response, is_partial=bool(there_bytes))
            there_bytes, whole_bytes = _place_of(response, there_bytes, wanted.etag)
            transfer.etag = strong_etag(response.headers.get("ETag"))
            _check_fits(response, wanted, whole_bytes)
            transfer.begin(part, there_bytes)
            self._write(transfer, part, response)
        if whole_bytes is not None and transfer.size_bytes != whole_bytes:
            raise _EndedError(Outcome.FAILED, f"{transfer.size_bytes} of {whole_bytes} bytes came")
        if wanted.size_bytes not in (None, transfer.size_bytes):
            raise _EndedError(Outcome.UNFIT, _size_fault(transfer.size_bytes, wanted))
        if not transfer.size_bytes:
            raise _EndedError(Outcome.UNFIT, "it is empty")

    @contextmanager
    def _asked(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """Yield the answer at the end of all redirects, its body still to be read."""
        check_url(url, allows_http=self._allows_http)
        for _ in range(MOST_REDIRECTS + 1):
            self._requests.take(1, self._stopped)
            if self._stopped.is_set():
                raise _EndedError(Outcome.STOPPED)
            response = self._client.send(
                httpx.Request("GET", url, headers=headers, extensions=_EXTENSIONS), stream=True
            )
            try:
                if response.status_code not in (301, 302, 303, 307, 308):
                    yield response
                    return
                location = response.headers.get("Location")
            finally:
                response.close()
            if location is None:
                raise _EndedError(Outcome.FAILED, "a redirect leads nowhere")
            url = redirected(url, location, allows_http=self._allows_http)
        raise RefusedAddressError(f"more than {MOST_REDIRECTS} redirects")

    def _write(self, transfer: _Transfer, part: int, response: httpx.Response) -> None:
        began, before_bytes = time.monotonic(), transfer.size_bytes
        for chunk in response.iter_raw(_READ_BYTES):
            if self._stopped.is_set():
                raise _EndedError(Outcome.STOPPED)
            late_s = time.monotonic() - began - _PATIENCE_S
            if late_s > 0 and transfer.size_bytes - before_bytes < late_s * _SLOWEST_BYTES_PER_S:
                raise _EndedError(Outcome.FAILED, "it comes too slowly")
            self._transfer.take(len(chunk), self._stopped)
            transfer.add(part, chunk)


_EXTENSIONS = {"timeout": _TIMEOUT.as_dict()}


class _Transfer:
    """What has come of a file."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.etag = ""
        self.size_bytes = self._received_bytes = 0
        self._digest = hashlib.sha256()

    def begin(self, part: int, there_bytes: int) -> None:
        """Continue after the first bytes of the part."""
        os.ftruncate(part, there_bytes)
        while self.size_bytes < there_bytes:
            chunk = os.pread(part, min(1 << 20, there_bytes - self.size_bytes), self.size_bytes)
            self._digest.update(chunk)
            self.size_bytes += len(chunk)

    def add(self, part: int, chunk: bytes) -> None:
        """Write what came."""
        self._received_bytes += len(chunk)
        if self.size_bytes + len(chunk) > self.wanted.most_bytes:
            raise _EndedError(Outcome.UNFIT, f"it has more than {self.wanted.most_bytes} bytes")
        rest = memoryview(chunk)
        while rest:
            written = os.pwrite(part, rest, self.size_bytes)
            self._digest.update(rest[:written])
            self.size_bytes += written
            rest = rest[written:]

    def answer(self, outcome: Outcome, reason: str = "", wait_s: float | None = None) -> Answer:
        """Return what came of it."""
        return Answer(
            self.wanted,
            outcome,
            reason,
            size_bytes=self.size_bytes if outcome is Outcome.FETCHED else 0,
            sha256=self._digest.hexdigest() if outcome is Outcome.FETCHED else "",
            received_bytes=self._received_bytes,
            etag=self.etag,
            wait_s=wait_s,
        )


def _check_status(response: httpx.Response, *, is_partial: bool) -> None:
    status = response.status_code
    if status == 200 or (status == 206 and is_partial):
        return
    wait_s = retry_after_s(response.headers.get("Retry-After")) if status in (429, 503) else None
    raise _EndedError(_BY_STATUS.get(status, Outcome.FAILED), f"the answer is {status}", wait_s)


def _place_of(response: httpx.Response, asked_from: int, etag: str) -> tuple[int, int | None]:
    """Return from where on the answer has the file, and the size of the whole, None if it does not say.

    Raise `_EndedError` if it has another part than was asked for, or of other bytes.
    """
    length = response.headers.get("Content-Length")
    if response.status_code == 200:
        return 0, int(length) if length is not None else None
    place = continues_at(response.headers.get("Content-Range"))
    if place is None or place[0] != asked_from or response.headers.get("ETag") != etag:
        raise _EndedError(Outcome.FAILED, "another part of the file came than was asked for")
    return place


def _check_fits(response: httpx.Response, wanted: Wanted, whole_bytes: int | None) -> None:
    """Raise `_EndedError` if the answer cannot be the file."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _EndedError(Outcome.UNFIT, "it is served compressed")
    if fault := type_fault(wanted.path, response.headers.get("Content-Type")):
        raise _EndedError(Outcome.UNFIT, fault)
    if whole_bytes is None and response.headers.get("Transfer-Encoding", "").lower() != "chunked":
        if response.http_version != "HTTP/2" and wanted.size_bytes is None:
            raise _EndedError(Outcome.FAILED, "the answer does not say where it ends")
        return
    if whole_bytes is not None and wanted.size_bytes not in (None, whole_bytes):
        raise _EndedError(Outcome.UNFIT, _size_fault(whole_bytes, wanted))
    if whole_bytes is not None and whole_bytes > wanted.most_bytes:
        raise _EndedError(Outcome.UNFIT, f"it has {whole_bytes} bytes, more than {wanted.most_bytes}")


def _size_fault(size_bytes: int, wanted: Wanted) -> str:
    return f"it has {size_bytes} bytes, and the database says {wanted.size_bytes}"


def _text(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0][:200]
