"""Pings for monitors, which raise the alarm if they hear nothing: what to request for what happened to a job.

- healthchecks.io, and what speaks its protocol: `URL/start`, `URL` for success and `URL/CODE` for failure, with the
  run's id in `rid`, and what was said in the body.
- Uptime Kuma's push monitors: `status`, `msg` and `ping` (milliseconds) in the query; they know no start.
- A plain URL is requested after each success, and only then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from permafrost.config.alerting import ReceiverKind
from permafrost.notify.alert import Ping
from permafrost.printable import printable

JOB = "{job}"
"""In a monitor's URL: the job's name, for a check of its own for each."""
_MOST_BODY = 10_000
_MOST_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class PingRequest:
    """An HTTP request to make."""

    method: Literal["GET", "POST"]
    url: str
    body: bytes = b""


def ping_request(kind: ReceiverKind, url: str, ping: Ping) -> PingRequest | None:
    """Return the request that tells a monitor of `kind` of the ping, None if it need not know.

    Raise `ValueError` if the URL is none of HTTP; its text says nothing of the URL.
    """
    split = _split(url.strip().replace(JOB, quote(ping.job)))
    match kind:
        case "healthchecks":
            return PingRequest("POST", _healthchecks_url(split, ping), ping.text.encode()[:_MOST_BODY])
        case "uptime-kuma" if ping.event != "start":
            return PingRequest("GET", _kuma_url(split, ping))
        case "url" if ping.event != "start" and ping.exit_code == 0:
            return PingRequest("GET", split.geturl())
        case _:
            return None


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        is_usable = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not url.isprintable() or " " in url:
        raise ValueError("the URL file holds no http:// or https:// URL")
    return split


def _healthchecks_url(split: SplitResult, ping: Ping) -> str:
    """Return the URL with its end; that of a test is `/log`, which leaves the check as it is."""
    if ping.event == "end":
        end = f"/{min(ping.exit_code, 255)}" if ping.exit_code else ""
    else:
        end = "/start" if ping.event == "start" else "/log"
    query = [*parse_qsl(split.query, keep_blank_values=True), ("rid", ping.run_id)]
    return split._replace(path=split.path.rstrip("/") + end, query=urlencode(query)).geturl()


def _kuma_url(split: SplitResult, ping: Ping) -> str:
    """Return the URL with what is reported in place of what the monitor's page puts there as an example."""
    reported = {
        "status": "up" if ping.exit_code == 0 else "down",
        "msg": printable(ping.text)[:_MOST_MESSAGE] or ("OK" if ping.exit_code == 0 else "failed"),
        "ping": "" if ping.duration_s is None else f"{ping.duration_s * 1000:.0f}",
    }
    kept = [(key, value) for key, value in parse_qsl(split.query, keep_blank_values=True) if key not in reported]
    return split._replace(query=urlencode([*kept, *reported.items()])).geturl()
