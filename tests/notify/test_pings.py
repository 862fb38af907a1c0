"""What monitors are requested."""

from __future__ import annotations

import pytest

from permafrost.config.alerting import ReceiverKind
from permafrost.notify.alert import Ping
from permafrost.notify.pings import ping_request

RUN = "9d3f0e5c-6b1e-4c7e-9f57-0a8b6d1f2c3d"
START, DONE = Ping("backup", "start", RUN), Ping("backup", "end", RUN, 0, 1.25, "snapshot X")
FAILED, TEST = Ping("audit", "end", RUN, 16, 3.0, "database away"), Ping("backup", "test", RUN)


@pytest.mark.parametrize(
    ("kind", "url", "ping", "expected"),
    [
        ("healthchecks", "https://hc/u", START, f"POST https://hc/u/start?rid={RUN}"),
        ("healthchecks", "https://hc/u/", DONE, f"POST https://hc/u?rid={RUN}"),
        ("healthchecks", "https://hc/key/{job}?create=1", FAILED, f"POST https://hc/key/audit/16?create=1&rid={RUN}"),
        ("healthchecks", "https://hc/u", TEST, f"POST https://hc/u/log?rid={RUN}"),
        ("uptime-kuma", "https://k/api/push/t?status=up&msg=OK&ping=", START, None),
        (
            "uptime-kuma",
            "https://k/api/push/t?status=up&msg=OK&ping=",
            DONE,
            "GET https://k/api/push/t?status=up&msg=snapshot+X&ping=1250",
        ),
        ("uptime-kuma", "https://k/t?a=b", FAILED, "GET https://k/t?a=b&status=down&msg=database+away&ping=3000"),
        ("uptime-kuma", "https://k/t", TEST, "GET https://k/t?status=up&msg=OK&ping="),
        ("url", "https://u/{job}?x=1", DONE, "GET https://u/backup?x=1"),
        ("url", "https://u/x", START, None),
        ("url", "https://u/x", FAILED, None),
    ],
)
def test_what_each_monitor_is_requested(kind: ReceiverKind, url: str, ping: Ping, expected: str | None) -> None:
    """Each kind of monitor gets its own form of begin, success, failure and test, and its query stays."""
    request = ping_request(kind, url, ping)
    assert (f"{request.method} {request.url}" if request else None) == expected
    assert kind != "healthchecks" or (request is not None and request.body == ping.text.encode())


@pytest.mark.parametrize("url", ["", "ftp://x/y", "http://", "https://a b/", "http://[::1", "http://x:99999/"])
def test_what_is_no_url(url: str) -> None:
    """A URL file that holds no URL of HTTP is an error that quotes nothing of it."""
    with pytest.raises(ValueError, match=r"^the URL file holds no http:// or https:// URL$"):
        ping_request("url", url, DONE)
