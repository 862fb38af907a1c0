"""The status of a server or a vault as lines for a person: the verdict, what needs attention, places, jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

from permafrost.amounts import bytes_text, count_text, day_text, list_text, moment_text, span_text
from permafrost.cli.shared.layout import coloured, paragraph, table
from permafrost.documents.finding import SeverityWord
from permafrost.documents.media import MediaCompareDocument, MediaStatusDocument
from permafrost.documents.status import (
    Answer,
    ForecastDocument,
    JobDocument,
    PlaceDocument,
    PlaceMediaDocument,
    ReaderDocument,
    RunningDocument,
    StatusFindingDocument,
    VerdictDocument,
)

_ANSWERS: dict[Answer, str] = {"yes": "green", "limited": "yellow", "unproven": "yellow", "no": "red"}
_SEVERITIES: dict[SeverityWord, str] = {"notice": "dim", "warning": "yellow", "alarm": "red"}
_PLACES = ("place", "newest", "oldest", "proven", "all read", "media", "room left")


def verdict_lines(verdict: VerdictDocument, columns: int, *, about: str = "") -> list[str]:
    """Return the verdict, its answer coloured; `about` names the server, where there may be several."""
    text = f"{about}: {verdict.text[0].lower()}{verdict.text[1:]}" if about else verdict.text
    lines = paragraph(text, columns)
    return [coloured(line, _ANSWERS[verdict.answer]) for line in lines] + [
        f"    {command}" for command in verdict.commands
    ]


def attention_lines(
    findings: Sequence[StatusFindingDocument], verdicts: Iterable[VerdictDocument], columns: int
) -> list[str]:
    """Return each finding with what to do about it; without any, that nothing else than the verdicts is to be done."""
    if not findings:
        more = "" if all(verdict.answer == "yes" for verdict in verdicts) else " besides what is said above"
        return paragraph(f"nothing needs attention{more}", columns)
    lines = []
    for finding in findings:
        first, *rest = paragraph(f"{finding.severity}: {finding.message}", columns)
        word = finding.severity
        lines += [coloured(word, _SEVERITIES[word]) + first.removeprefix(word), *rest]
        lines += paragraph(finding.remedy, columns, indent="    ")
    return lines


def place_lines(places: Sequence[PlaceDocument], now: datetime, zone: tzinfo, columns: int, *, here: str) -> list[str]:
    """Return the table of places; `here` stands for the name of the machine that this runs on."""

    def at(moment: datetime | None) -> str:
        return moment_text(moment, now, zone).replace("yesterday", "yest.") if moment else ""

    def day(moment: datetime | None) -> str:
        return day_text(moment, now, zone) if moment else ""

    rows = [
        (
            here if place.kind == "server" and here else _named(place),
            at(place.restorable_to),
            day(place.keeps_back_to),
            at(place.proven_to),
            day(place.all_read_since),
            f"{place.media_files:,}" if place.media_files else "",
            _room(place),
        )
        for place in places
    ]
    lines = table(_PLACES, rows, columns)
    for place in places:
        if place.kind == "bucket":
            lines += paragraph(_drilled(place, now), columns)
        if place.media is not None:
            lines += paragraph(f"media on {place.name}: {media_text(place.media)}", columns)
    return lines


def media_text(media: PlaceMediaDocument) -> str:
    """Return how the media of a place compare with what the database needs."""
    what = "sealed objects" if media.sealed else "files that the database needs"
    text = f"{media.held:,} of {media.needed:,} {what} ({bytes_text(media.held_bytes)})"
    lacks = [
        f"{count:,} {what}"
        for count, what in (
            (media.missing, "missing"),
            (media.different, "of another size than " + ("listed" if media.sealed else "the database says")),
            (media.rotten, "damaged"),
        )
        if count
    ]
    return f"{text}; {list_text(lacks)}" if lacks else text


def own_media_lines(media: MediaStatusDocument | None, now: datetime, zone: tzinfo, columns: int) -> list[str]:
    """Return how the server's own media compare with its database."""
    if media is None:
        return []
    lines = []
    if media.comparison is not None and media.compared_at is not None:
        said = comparison_text(media.comparison)
        lines += paragraph(f"media, compared {day_text(media.compared_at, now, zone)}: {said}", columns)
    if media.error is not None:
        lines += paragraph(f"media could not be compared with the database: {media.error}", columns)
    return lines


def comparison_text(found: MediaCompareDocument) -> str:
    """Return what a comparison of media with the database has found."""
    held = found.needed - found.missing
    where = "object store" if found.is_store else "folder"
    text = f"the {where} has {held:,} of {found.needed:,} files that the database needs"
    others = [
        f"{count_text(count, 'file')} ({bytes_text(size_bytes)}) {what}"
        for count, size_bytes, what in (
            (found.orphans, found.orphan_bytes, "of no row"),
            (found.strays, found.stray_bytes, "that Mastodon does not write there"),
        )
        if count
    ]
    return f"{text}, and {list_text(others)}" if others else text


def _named(place: PlaceDocument) -> str:
    """Return the name; of a bucket it is told apart from a vault, as nobody there reads anything again."""
    return f"{place.name} (bucket)" if place.kind == "bucket" else place.name


def _drilled(place: PlaceDocument, now: datetime) -> str:
    if place.drilled_at is None:
        return f"nothing was restored from {place.name} itself yet: permafrost drill --repository bucket:{place.name}"
    return f"a drill restored from {place.name} itself {span_text((now - place.drilled_at).total_seconds())} ago"


def _room(place: PlaceDocument) -> str:
    if place.free_bytes is None:
        return ""
    days = f", {span_text(place.room_days * 86_400)}" if place.room_days is not None and place.room_days < 3650 else ""
    return f"{bytes_text(place.free_bytes)}{days}"


def job_lines(
    jobs: Sequence[JobDocument], running: RunningDocument | None, now: datetime, zone: tzinfo, columns: int
) -> list[str]:
    """Return the table of jobs, and the one under way."""
    rows = []
    for job in jobs:
        last = f"{moment_text(job.last_at, now, zone)}" if job.last_at else "never"
        how = "FAILED" if job.outcome == "failed" else span_text(job.duration_s) if job.duration_s is not None else ""
        rows.append((job.name, last, how, moment_text(job.next_at, now, zone) if job.next_at else ""))
    lines = table(("job", "last", "took", "next"), rows, columns)
    return [*lines, *paragraph(f"now: {running_text(running)}", columns)] if running else lines


def running_text(running: RunningDocument) -> str:
    """Return the job under way in words."""
    step = f", {running.step}" if running.step else ""
    if running.done is None or not running.total:
        return f"{running.job}{step}"
    return f"{running.job}{step}, {min(100, 100 * running.done // running.total)} %"


def forecast_lines(forecast: Sequence[ForecastDocument], columns: int) -> list[str]:
    """Return how long each part of coming back would take, and which parts nobody has measured."""
    lines = []
    for part in forecast:
        if part.duration_s is not None:
            lines += paragraph(f"{part.part}: about {span_text(part.duration_s)}, by {part.basis}", columns)
    unknown = [part.part for part in forecast if part.duration_s is None]
    return lines + paragraph(f"not measured: how long it takes to {list_text(unknown)}", columns) if unknown else lines


def reader_lines(readers: Sequence[ReaderDocument], columns: int) -> list[str]:
    """Return which of the things that open the snapshots is not known to do so."""
    return [
        line for reader in readers if not reader.is_good for line in paragraph(f"{reader.who}: {reader.note}", columns)
    ]
