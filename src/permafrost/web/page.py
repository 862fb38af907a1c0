"""Renders the page: one HTML file with its style and its script inside, for a server or a vault.

Whatever comes from elsewhere is escaped by Jinja, and has lost its control characters before. The content security
policy allows the style and the script of this file, by their hashes, and requests to where the page came from, for
live progress; nothing else, so that no text in the page could load or send anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from permafrost import __version__
from permafrost.amounts import bytes_text, count_text, day_text, list_text, moment_text, span_text
from permafrost.printable import printable
from permafrost.status.overview import Overview
from permafrost.web.drawing import bytes_chart, calendar_drawing, drills_chart

_FOLDER = "templates"
_ANSWERS = {"yes": "Yes", "limited": "Yes, but", "unproven": "Probably", "no": "No"}
_GAPS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its name, and what to hold it against. `is_good` is None where nothing was promised."""

    name: str
    value: str
    note: str
    is_good: bool | None = None


def render_page(overview: Overview) -> str:
    """Return the whole page as HTML."""
    return _template().render(
        overview=overview,
        answers=_ANSWERS,
        policy=content_security_policy(),
        style=Markup(_asset("page.css")),  # noqa: S704 - our own file
        script=Markup(_asset("page.js")),  # noqa: S704 - our own file
        version=__version__,
        figures=tuple(_figures(overview)),
        calendars=[(about, calendar_drawing(about.hours)) for about in overview.about if about.hours.days],
        drills=drills_chart(overview.drills, overview.restore_minutes, overview.zone),
        stored=bytes_chart(overview.bytes_by_day),
        last_steps=_last_steps(overview),
        at=lambda moment: moment_text(moment, overview.as_of, overview.zone) if moment else "never",
        day=lambda moment: day_text(moment, overview.as_of, overview.zone) if moment else "",
        ago=lambda moment: _ago(moment, overview.as_of),
        bytes_text=bytes_text,
        count_text=count_text,
        span_text=span_text,
        list_text=list_text,
        gaps_shown=_GAPS_SHOWN,
        zone_text=_zone_text(overview),
    )


def content_security_policy() -> str:
    """Return the policy under which the page works, and nothing else does."""
    return (
        f"default-src 'none'; style-src '{_hash('page.css')}'; script-src '{_hash('page.js')}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _asset(name: str) -> str:
    return resources.files("permafrost.web").joinpath(_FOLDER, name).read_text(encoding="utf-8")


@cache
def _hash(name: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("permafrost.web", _FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _shown(value: object) -> object:
    """Return what the page shows of a value: text without control characters, nothing for None."""
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return ""
    age_s = (now - moment).total_seconds()
    return f"{span_text(age_s)} ago" if age_s >= 0 else f"in {span_text(-age_s)}"


def _zone_text(overview: Overview) -> str:
    local = overview.as_of.astimezone(overview.zone)
    offset = local.utcoffset() or timedelta(0)
    minutes = round(offset.total_seconds() / 60)
    sign = "+" if minutes >= 0 else "-"
    return "UTC" if not minutes else f"UTC{sign}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


def _figures(overview: Overview) -> Iterator[Figure]:
    """Yield the four numbers that matter most, of one server."""
    if len(overview.about) != 1:
        return
    verdict = overview.about[0].verdict
    moment, now = verdict.restorable_to, overview.as_of
    if moment is not None:
        lost_s = max(0.0, (now - moment).total_seconds())
        limit = overview.lost_minutes
        note = f"at most {limit} min are promised" if limit else "what came after the snapshot"
        yield Figure(
            "would be lost", f"the last {span_text(lost_s)}", note, lost_s <= limit * 60 + 900 if limit else None
        )
    if overview.kind == "server" or verdict.proven_at:
        if verdict.proven_at is None:
            yield Figure("proven by a restore", "never", "no drill has succeeded yet", is_good=False)
        else:
            yield Figure("proven by a restore", _ago(verdict.proven_at, now), "the last drill that succeeded")
    if overview.kind == "server":
        limit = overview.restore_minutes
        if verdict.restore_s is None:
            yield Figure("a restore takes", "unknown", "no drill has measured it")
        else:
            note = f"the database; {limit} min are promised" if limit else "the database, by the last drill"
            is_good = verdict.restore_s <= limit * 60 if limit else None
            yield Figure("a restore takes", f"about {span_text(verdict.restore_s)}", note, is_good)
    known = [place for place in overview.places if place.room_days is not None]
    if known:
        tightest = min(known, key=lambda one: one.room_days or 0.0)
        days = tightest.room_days or 0.0
        lasts = "more than 10 years" if days > 3650 else span_text(days * 86_400)
        yield Figure("room lasts", lasts, f"on {tightest.name}, where it is tightest")


def _last_steps(overview: Overview) -> tuple[tuple[str, float], ...]:
    measured = [drill.measured for drill in overview.drills if drill.measured is not None]
    return tuple(measured[-1].steps_s.items()) if measured else ()
