"""Sends messages and pings. Each attempt ends, whatever a receiver or the network does.

Rules:

1. The time-outs of the libraries are for each read or write. A receiver that answers one letter a second never meets
   them, so an attempt runs in a thread of its own and is given up after `ATTEMPT_S`. Until that thread has ended, no
   other attempt is made: at most one is left behind for each receiver.
2. What an error says never has the receiver's URL in it, nor anything of it: that is where its password or token is.
   So no library's own words are passed on.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import StringIO

from permafrost.config.alerting import Notify
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import ConfigurationError, KeyFileError
from permafrost.findings import Severity
from permafrost.notify.alert import Ping
from permafrost.notify.pings import PingRequest, ping_request
from permafrost.notify.wording import Message

ATTEMPT_S = 45.0
_TIMEOUT_S = 15.0
_HTTP_STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")
_MISSING = "messages need the Python package apprise, which is not installed: install permafrost-backup[notify]"


class NotSentError(Exception):
    """Something could not be sent; its text says why, without the receiver's URL."""


@dataclass(slots=True)
class Sender:
    """Sends to one receiver. `attempt_s` is how long an attempt may take."""

    receiver: Notify
    attempt_s: float = ATTEMPT_S
    _left_behind: threading.Thread | None = field(default=None, init=False)

    def send_message(self, message: Message) -> None:
        """Send a message to people; raise `NotSentError` if it was not taken."""
        url = self._url()
        self._within(lambda: _send_by_apprise(url, message))

    def send_ping(self, ping: Ping) -> None:
        """Send a ping to a monitor; raise `NotSentError` if it was not answered as it should."""
        try:
            request = ping_request(self.receiver.kind, self._url(), ping)
        except ValueError as error:
            raise NotSentError(str(error)) from None
        if request is not None:
            self._within(lambda: _request(request))

    def _url(self) -> str:
        try:
            return read_secret_file(self.receiver.url_file).strip()
        except (KeyFileError, ConfigurationError) as error:
            raise NotSentError(error.message) from error

    def _within(self, attempt: Callable[[], None]) -> None:
        if self._left_behind is not None and self._left_behind.is_alive():
            raise NotSentError("the attempt before has still not ended: the receiver answers too slowly")
        failures: list[BaseException] = []

        def run() -> None:
            try:
                attempt()
            except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
                failures.append(error)

        thread = threading.Thread(target=run, name=f"notify {self.receiver.name}", daemon=True)
        thread.start()
        thread.join(self.attempt_s)
        if thread.is_alive():
            self._left_behind = thread
            raise NotSentError(f"the receiver did not answer within {self.attempt_s:.0f} s")
        for failure in failures:
            if isinstance(failure, NotSentError):
                raise failure
            # its text may hold the URL, and so may the errors that it comes from
            raise NotSentError(f"sending failed: {type(failure).__name__}") from None


def _request(request: PingRequest) -> None:
    import httpx  # noqa: PLC0415 - it takes a tenth of a second, in a thread that may take it

    try:
        answer = httpx.request(request.method, request.url, content=request.body or None, timeout=_TIMEOUT_S)
    except httpx.TimeoutException:
        raise NotSentError("the monitor did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NotSentError(f"the monitor cannot be reached: {type(error).__name__}") from None
    if not answer.is_success:
        raise NotSentError(f"the monitor answered with HTTP status {answer.status_code}")


def _send_by_apprise(url: str, message: Message) -> None:
    try:
        import apprise  # noqa: PLC0415 - an extra, which takes a second
    except ImportError:
        raise NotSentError(_MISSING) from None
    kinds = {None: "success", Severity.NOTICE: "info", Severity.WARNING: "warning", Severity.ALARM: "failure"}
    asset = apprise.AppriseAsset(app_id="permafrost", app_desc="permafrost", async_mode=False)
    receivers = apprise.Apprise(asset=asset)
    with _Overheard() as overheard:
        if not receivers.add(url):
            raise NotSentError("the URL file holds no URL that apprise knows, or one that lacks something")
        is_sent = receivers.notify(
            body=message.body,
            title=message.title,
            notify_type=apprise.NotifyType(kinds[message.severity]),
            body_format=apprise.NotifyFormat.TEXT,
        )
    if not is_sent:
        raise NotSentError(_reason(overheard.text))


def _reason(said: str) -> str:
    """Return why apprise failed, as far as its log says it in words that are always the same."""
    status = _HTTP_STATUS.search(said)
    if status is not None:
        return f"the receiver answered with HTTP status {status.group(1)}"
    if "onnection error" in said:
        return "the receiver cannot be reached, or broke off"
    return "the receiver did not take the message"


class _Overheard(logging.Handler):
    """Hears what apprise logs, which then goes nowhere else: it may hold hosts and tokens.

    Only what its own attempt logs, since another receiver's may fail at the same time. apprise sends in threads of its
    own, but in the context of the one that asks it.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._heard = StringIO()
        self._logger = logging.getLogger("apprise")
        if not any(isinstance(handler, logging.NullHandler) for handler in self._logger.handlers):
            self._logger.addHandler(logging.NullHandler())  # for an attempt that was left behind

    @property
    def text(self) -> str:
        """What was logged."""
        return self._heard.getvalue()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was logged in the context of this attempt."""
        if _LISTENER.get() is self:
            self._heard.write(record.getMessage() + "\n")

    def __enter__(self) -> _Overheard:
        self._logger.addHandler(self)
        self._logger.propagate = False
        _LISTENER.set(self)  # for the rest of the attempt, which has its thread and so its context to itself
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


_LISTENER: ContextVar[_Overheard | None] = ContextVar("_LISTENER", default=None)
