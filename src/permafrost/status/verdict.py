"""The verdict: could the server come back right now, to when, from where, proven how, and in what time? Rules:

1. Without a snapshot anywhere: no.
2. What counts is what survives the loss of this server: vaults and buckets. One that holds damaged or other bytes does
   not count. Where none holds a snapshot, the server's own disk is named, as the only place.
3. A snapshot that is older than the schedule allows is named with its age: limited.
4. Nothing is promised that no restore has shown: without a successful drill, or after one that failed, it is unproven.
5. Secrets that are missing from the snapshots make it unproven too: the rows alone bring no Mastodon back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from permafrost.amounts import list_text, moment_text, span_text
from permafrost.documents.status import Answer, PlaceDocument, VerdictDocument
from permafrost.findings import Finding, FindingKind
from permafrost.runs import Run

_NOT_TRUSTED = frozenset(
    {
        FindingKind.VAULT_CORRUPT,
        FindingKind.VAULT_DISAGREES,
        FindingKind.ROT,
        FindingKind.VAULT_REPLAYED,
        FindingKind.BUCKET_CORRUPT,
    }
)
_INVITE, _DRILL = "permafrost vault invite NAME", "permafrost drill"
IsLate = Callable[[datetime], bool]


@dataclass(frozen=True, slots=True)
class Proof:
    """What drills have shown: the last one that was done, the last one at all, and what a restore takes now."""

    done: Run | None
    last: Run | None
    restore_s: float | None = None


def server_verdict(
    places: Sequence[PlaceDocument],
    findings: Iterable[Finding],
    proof: Proof,
    is_late: IsLate,
    now: datetime,
    zone: tzinfo,
) -> VerdictDocument:
    """Return the verdict about a server, seen from the server; `is_late` tells whether a newer snapshot is due."""
    findings = tuple(findings)
    distrusted = {finding.vault or finding.subject for finding in findings if finding.kind in _NOT_TRUSTED}
    elsewhere = [place for place in places if place.kind != "server"]
    trusted = [place for place in elsewhere if place.name not in distrusted]
    sources, moment = _best(trusted)
    limit, is_own_disk = "", False
    if moment is None:
        sources, moment = _best([place for place in places if place.kind == "server"])
        if moment is None:
            text = "No: there is no snapshot yet."
            return VerdictDocument("no", text, None, (), None, None, ("permafrost backup --audit",))
        is_own_disk = True
        what = "vault" if all(place.kind == "vault" for place in elsewhere) else "other place"
        limit = f"from its own disk: no {what} {'has it' if trusted else 'holds a copy yet'}"
    elif is_late(moment):
        limit = f"{span_text((now - moment).total_seconds())} ago"
    doubts = [_doubt_of(proof, now), _secrets(findings)]
    stated = [doubt for doubt in doubts if doubt]
    verdict = _verdict(sources, moment, limit, stated, proof, now, zone, is_own_disk=is_own_disk)
    commands = [] if elsewhere else [_INVITE]
    return replace(verdict, commands=(*commands, *([_DRILL] if proof.done is None else [])))


def vault_verdict(
    place: PlaceDocument, bad_objects: int, proof: Proof, is_late: IsLate, now: datetime, zone: tzinfo
) -> VerdictDocument:
    """Return the verdict about one server, seen from a vault that keeps it."""
    moment = place.restorable_to
    if moment is None:
        return VerdictDocument("no", "No: nothing has arrived yet.", None, (), None, None, ())
    limit = f"{span_text((now - moment).total_seconds())} ago" if is_late(moment) else ""
    doubts = [f"{bad_objects} objects here are damaged"] if bad_objects else []
    if proof.last is not None and proof.last.outcome == "failed":
        doubts += [f"the last drill here failed {_ago(proof.last, now)}"]
    return _verdict(("this vault",), moment, limit, doubts, proof, now, zone)


def _verdict(
    sources: tuple[str, ...],
    moment: datetime,
    limit: str,
    doubts: Sequence[str],
    proof: Proof,
    now: datetime,
    zone: tzinfo,
    *,
    is_own_disk: bool = False,
) -> VerdictDocument:
    answer: Answer = "unproven" if doubts else "limited" if limit else "yes"
    at = _as_of(moment, now, zone)
    if is_own_disk:
        what = f"only while this server exists, as it was {at}, {limit}"
    elif limit:
        what = f"only as it was {at}, {limit}, from {list_text(sources)}"
    else:
        what = f"could come back as it was {at}, from {list_text(sources)}"
    start = {"yes": "Yes", "limited": "Yes, but", "unproven": "Probably", "no": "No"}[answer]
    parts = [f"{start}{'' if answer == 'limited' else ':'} {what}", *doubts]
    if not doubts and proof.done is not None:
        parts.append(f"proven {_ago(proof.done, now)}")
    if proof.restore_s is not None:
        parts.append(f"about {span_text(proof.restore_s)} for the database")
    proven_at = (proof.done.ended_at or proof.done.started_at) if proof.done else None
    return VerdictDocument(answer, "; ".join(parts) + ".", moment, sources, proven_at, proof.restore_s, ())


def _as_of(moment: datetime, now: datetime, zone: tzinfo) -> str:
    text = moment_text(moment, now, zone)
    if text[0].isdigit():
        return f"at {text}" if len(text) == 5 else f"on {text}"
    return text if text.startswith("yesterday") else f"on {text}"


def _best(places: Sequence[PlaceDocument]) -> tuple[tuple[str, ...], datetime | None]:
    """Return the newest moment to restore to, and the places that hold it: no other could bring it back."""
    dated = [(place.restorable_to, place.name) for place in places if place.restorable_to is not None]
    if not dated:
        return (), None
    newest = max(moment for moment, _ in dated)
    return tuple(name for moment, name in dated if moment == newest), newest


def _doubt_of(proof: Proof, now: datetime) -> str:
    if proof.last is not None and proof.last.outcome == "failed":
        return f"the last drill failed {_ago(proof.last, now)}"
    return "" if proof.done is not None else "no restore has proven it yet"


def _secrets(findings: Sequence[Finding]) -> str:
    if any(finding.kind is FindingKind.IDENTITY_KEYS_MISSING for finding in findings):
        return "without its identity: the keys of the accounts' keys are missing"
    missing = sum(finding.kind is FindingKind.SECRETS_MISSING for finding in findings)
    return f"without {missing} of its secrets files" if missing else ""


def _ago(run: Run, now: datetime) -> str:
    return f"{span_text((now - (run.ended_at or run.started_at)).total_seconds())} ago"
