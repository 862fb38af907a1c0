"""What is published of an overview: the page, JSON and metrics. A further view is one more line in `VIEWS`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from permafrost.status.overview import Overview
from permafrost.web.metrics import CONTENT_TYPE, metrics_text
from permafrost.web.page import render_page


@dataclass(frozen=True, slots=True)
class View:
    """A way to show an overview: the path at which it is served, the file that it is written to, and its maker."""

    path: str
    file: str
    content_type: str
    make: Callable[[Overview], str]


def status_json(overview: Overview) -> str:
    """Return the document that `status --json`, or `vault status --json` on a vault, prints."""
    return json.dumps(asdict(overview.document), indent=2, default=_plain) + "\n"


VIEWS = (
    View("/", "index.html", "text/html; charset=utf-8", render_page),
    View("/status.json", "status.json", "application/json", status_json),
    View("/metrics", "permafrost.prom", CONTENT_TYPE, metrics_text),
)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be in a JSON document")
