"""Metrics of an overview, as OpenMetrics text that Prometheus scrapes and node_exporter's textfile collector reads too.

Rules:
1. Moments are given as Unix times, not as ages: a file that nobody renews must look old, and `time() - x` does that.
2. Everything is a gauge, and is left out where nothing was measured.
3. What is unknown is absent, what is false is 0: every answer of a verdict and every severity has its sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from permafrost import __version__
from permafrost.documents.media import MediaStatusDocument
from permafrost.documents.status import JobDocument, PlaceDocument
from permafrost.printable import printable
from permafrost.status.overview import About, Overview

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_ANSWERS = ("yes", "limited", "unproven", "no")
_SEVERITIES = ("notice", "warning", "alarm")
_DAY_S = 86_400
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a family with its labels; None is left out."""

    family: str
    value: float | None
    labels: Labels = ()


_HELP = {
    "build_info": "The version of permafrost that wrote this.",
    "written_timestamp_seconds": "When this was written.",
    "verdict": "Whether the server could come back right now: 1 for the answer that holds.",
    "restorable_to_timestamp_seconds": "The moment as of which the server would come back.",
    "proven_timestamp_seconds": "When the last successful drill ended.",
    "restore_seconds": "How long a restore of the database takes, as measured by drills.",
    "restore_step_seconds": "How long a step of the last successful drill took.",
    "backup_lag_seconds": "Since when a backup has been due that was not made; 0 if none is. Known an interval late.",
    "backups_missing": "Backups of the last 31 days that were due and not made.",
    "findings": "What needs attention, by severity.",
    "findings_by_kind": "What needs attention, by kind.",
    "place_snapshots": "Snapshots that a place keeps.",
    "place_newest_timestamp_seconds": "When the newest snapshot of a place was made.",
    "place_oldest_timestamp_seconds": "When the oldest snapshot of a place was made.",
    "place_proven_timestamp_seconds": "When the newest snapshot of a place was made that a restore has proven.",
    "place_all_read_timestamp_seconds": "Every object of a place was read again since then.",
    "place_heard_timestamp_seconds": "As of when this is known of a place: for a vault, its newest receipt.",
    "place_media_files": "Media files that a place keeps.",
    "place_media_needed": "Media files that the database needs, by the list that a place compares with.",
    "place_media_missing": "How many of them a place does not hold.",
    "place_media_held": "How many of them a place holds.",
    "place_media_different": "How many of them a place holds with another size than the database says.",
    "place_media_damaged": "How many media files of a place are damaged, and not replaced yet.",
    "place_media_all_read_timestamp_seconds": "Every media file of a place was read again since then.",
    "place_size_bytes": "The size of what a place keeps.",
    "place_free_bytes": "What is free on the disk of a place.",
    "place_disk_bytes": "The size of the disk of a place.",
    "place_growth_bytes": "By how much a place has grown each day in the last days.",
    "place_room_seconds": "For how long the room of a place lasts at that growth.",
    "media_compared_timestamp_seconds": "When the server's own media were last compared with its database.",
    "media_needed": "Media files that the database needed then.",
    "media_missing": "How many of them the server's own media lacked.",
    "media_orphans": "Media files of the server that belonged to no row then.",
    "media_orphan_bytes": "Their size.",
    "media_strays": "Files among the media that Mastodon does not write there.",
    "media_stray_bytes": "Their size.",
    "task_last_timestamp_seconds": "When a job last ended.",
    "task_last_success": "Whether a job's last run was done (1) or failed (0).",
    "task_last_duration_seconds": "How long a job's last run took.",
    "task_next_timestamp_seconds": "When a job comes next.",
    "task_running": "Whether a job is under way.",
    "stored_bytes": "What backups have stored today.",
    "promised_restore_seconds": "How long a restore may take, by [promise].",
    "promised_lost_seconds": "How much may be lost, by [promise].",
    "reader_good": "Whether what can open the snapshots is as it should be: for the recovery sheet, proven.",
}


def metrics_text(overview: Overview) -> str:
    """Return the metrics of a server or a vault as text."""
    samples = [sample for sample in _samples(overview) if sample.value is not None]
    lines = []
    for family, meaning in _HELP.items():
        found = [sample for sample in samples if sample.family == family]
        if found:
            lines += [f"# HELP permafrost_{family} {meaning}", f"# TYPE permafrost_{family} gauge"]
            lines += [_line(sample) for sample in found]
    return "\n".join((*lines, "# EOF", ""))


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
    return (
        f"permafrost_{sample.family}{{{labels}}} {sample.value:.15g}"
        if labels
        else (f"permafrost_{sample.family} {sample.value:.15g}")
    )


def _escaped(value: str) -> str:
    return printable(value).replace("\\", r"\\").replace('"', r"\"")


def _samples(overview: Overview) -> Iterator[Sample]:
    yield Sample("build_info", 1, (("version", __version__), ("kind", overview.kind), ("name", overview.name)))
    yield Sample("written_timestamp_seconds", overview.as_of.timestamp())
    for about in overview.about:
        yield from _of_verdict(about)
    if overview.kind == "server":
        yield from _of_schedule(overview)
    yield from _of_findings(overview)
    for place in overview.places:
        yield from _of_place(place)
    yield from _of_media(overview.media)
    for job in overview.jobs:
        yield from _of_job(job, overview)
    if overview.bytes_by_day:
        yield Sample("stored_bytes", overview.bytes_by_day[-1][1])
    yield Sample("promised_restore_seconds", _minutes(overview.restore_minutes))
    yield Sample("promised_lost_seconds", _minutes(overview.lost_minutes))
    for reader in overview.readers:
        yield Sample("reader_good", reader.is_good, (("reader", reader.who),))


def _of_verdict(about: About) -> Iterator[Sample]:
    server: Labels = (("server", about.name),)
    for answer in _ANSWERS:
        yield Sample("verdict", answer == about.verdict.answer, (*server, ("answer", answer)))
    yield Sample("restorable_to_timestamp_seconds", _unix(about.verdict.restorable_to), server)
    yield Sample("proven_timestamp_seconds", _unix(about.verdict.proven_at), server)
    yield Sample("restore_seconds", about.verdict.restore_s, server)


def _of_media(media: MediaStatusDocument | None) -> Iterator[Sample]:
    found = media.comparison if media is not None else None
    if media is None or found is None:
        return
    yield Sample("media_compared_timestamp_seconds", _unix(media.compared_at))
    yield Sample("media_needed", found.needed)
    yield Sample("media_missing", found.missing)
    yield Sample("media_orphans", found.orphans)
    yield Sample("media_orphan_bytes", found.orphan_bytes)
    yield Sample("media_strays", found.strays)
    yield Sample("media_stray_bytes", found.stray_bytes)


def _of_schedule(overview: Overview) -> Iterator[Sample]:
    gaps = [gap for about in overview.about for gap in about.hours.gaps]
    newest = max((place.restorable_to for place in overview.places if place.restorable_to), default=None)
    lasting = [gap for gap in gaps[:1] if newest is None or newest < gap.first]
    yield Sample("backup_lag_seconds", (overview.as_of - lasting[0].first).total_seconds() if lasting else 0)
    yield Sample("backups_missing", sum(gap.missing for gap in gaps))
    measured = [drill.measured for drill in overview.drills if drill.measured is not None]
    for step, took_s in measured[-1].steps_s.items() if measured else ():
        yield Sample("restore_step_seconds", took_s, (("step", step),))


def _of_findings(overview: Overview) -> Iterator[Sample]:
    severities: Iterable[str] = (finding.severity for finding in overview.findings)
    counted = Counter(severities)
    for severity in _SEVERITIES:
        yield Sample("findings", counted[severity], (("severity", severity),))
    kinds = Counter((finding.kind, finding.severity) for finding in overview.findings)
    for (kind, word), number in sorted(kinds.items()):
        yield Sample("findings_by_kind", number, (("kind", kind), ("severity", word)))


def _of_place(place: PlaceDocument) -> Iterator[Sample]:
    labels: Labels = (("place", place.name), ("kind", place.kind))
    values: dict[str, float | None] = {
        "place_snapshots": place.snapshots,
        "place_newest_timestamp_seconds": _unix(place.restorable_to),
        "place_oldest_timestamp_seconds": _unix(place.keeps_back_to),
        "place_proven_timestamp_seconds": _unix(place.proven_to),
        "place_all_read_timestamp_seconds": _unix(place.all_read_since),
        "place_heard_timestamp_seconds": _unix(place.heard_at),
        "place_media_files": place.media_files,
        "place_media_needed": place.media.needed if place.media else None,
        "place_media_missing": place.media.missing if place.media else None,
        "place_media_held": place.media.held if place.media else None,
        "place_media_different": place.media.different if place.media else None,
        "place_media_damaged": place.media.rotten if place.media else None,
        "place_media_all_read_timestamp_seconds": _unix(place.media.all_read_since) if place.media else None,
        "place_size_bytes": place.size_bytes,
        "place_free_bytes": place.free_bytes,
        "place_disk_bytes": place.disk_bytes,
        "place_growth_bytes": place.growth_bytes_per_day,
        "place_room_seconds": place.room_days * _DAY_S if place.room_days is not None else None,
    }
    for family, value in values.items():
        yield Sample(family, value, labels)


def _of_job(job: JobDocument, overview: Overview) -> Iterator[Sample]:
    labels: Labels = (("task", job.name),)  # Prometheus has a label `job` of its own
    running = overview.running
    yield Sample("task_last_timestamp_seconds", _unix(job.last_at), labels)
    yield Sample("task_last_success", job.outcome == "done" if job.outcome else None, labels)
    yield Sample("task_last_duration_seconds", job.duration_s, labels)
    yield Sample("task_next_timestamp_seconds", _unix(job.next_at), labels)
    yield Sample("task_running", running is not None and running.job.split()[:1] == [job.name], labels)


def _unix(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _minutes(minutes: int | None) -> float | None:
    return minutes * 60 if minutes is not None else None
