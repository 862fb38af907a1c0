"""The documents of status and vault status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from permafrost.documents.document import Document
from permafrost.documents.finding import SeverityWord
from permafrost.documents.media import MediaStatusDocument


@dataclass(frozen=True, slots=True)
class VaultStatusDocument(Document):
    """What a paired vault says in its receipt."""

    name: str
    """the vault's name"""
    newest: str | None
    """the newest snapshot that it has checked and keeps in its history; null if there is none"""
    newest_age_s: float | None
    """that snapshot's age"""
    receipt_age_s: float | None
    """how long ago the receipt was written, by the vault's clock; null if there is none yet"""
    history_snapshots: int | None
    """how many snapshots its history keeps"""
    all_verified_since: str | None
    """every object was read again since then; null if it keeps none"""
    free_bytes: int | None
    """what is free on its disk"""
    media_files: int | None
    """how many media files it keeps"""
    problem: str | None
    """why its receipt is not believed; null if it is"""


Answer = Literal["yes", "limited", "unproven", "no"]


@dataclass(frozen=True, slots=True)
class VerdictDocument(Document):
    """Could it come back right now, to when, from where, and how long would it take?"""

    answer: Answer
    """`yes`; `limited`: only an old snapshot, or only while this machine exists; `unproven`: probably, but no restore
    has shown it; `no`"""
    text: str
    """the same in one sentence"""
    restorable_to: datetime | None
    """the moment that would come back; null if none would"""
    sources: tuple[str, ...]
    """from which places"""
    proven_at: datetime | None
    """when the last successful drill ended; null if there was none"""
    restore_s: float | None
    """how long the database would take, as measured by drills; null if nothing was measured"""
    commands: tuple[str, ...]
    """the commands that would make a better answer"""


@dataclass(frozen=True, slots=True)
class PlaceMediaDocument(Document):
    """The media files of a place against those that the database needs, by the server's media list."""

    snapshot: str
    """of which snapshot the list is"""
    needed: int
    """how many files the database needs"""
    needed_bytes: int
    """the size of the originals among them; the database knows no other sizes"""
    held: int
    """how many of them the place holds"""
    held_bytes: int
    """their size"""
    missing: int
    """how many it does not hold, those included that are on their way"""
    different: int
    """how many it holds with another size than the database says"""
    rotten: int
    """how many are damaged and not repaired yet"""
    all_read_since: datetime | None
    """every media file was read again since then; null if some were never read"""
    sealed: bool
    """whether what is counted is not files but the sealed objects that hold them, by the server's list of those"""


@dataclass(frozen=True, slots=True)
class PlaceDocument(Document):
    """A place where snapshots are kept."""

    name: str
    """the vault's or the bucket's name, or the server's"""
    kind: Literal["server", "vault", "bucket"]
    """what it is; of a `bucket` it is known what was uploaded and how that was verified from here: nobody there reads
    it again"""
    restorable_to: datetime | None
    """when its newest snapshot was made; null if it keeps none"""
    keeps_back_to: datetime | None
    """when the oldest one that is known was made; null likewise"""
    snapshots: int
    """how many it keeps"""
    proven_to: datetime | None
    """when the newest snapshot there was made that a restore has proven, here or there; null if there is none"""
    all_read_since: datetime | None
    """every object was read again since then; null if it is not known"""
    media_files: int | None
    """how many media files it keeps; null if none are copied, or it is not known"""
    media: PlaceMediaDocument | None
    """how these compare with what the database needs; null if it is not known"""
    size_bytes: int | None
    """the size of its snapshots; null if it is not known"""
    free_bytes: int | None
    """what is free on its disk; null if it is not known"""
    disk_bytes: int | None
    """the size of its disk; null likewise"""
    growth_bytes_per_day: float | None
    """by how much its snapshots grow, as measured; null if that was not measured for a day yet"""
    room_days: float | None
    """for how long the room lasts at that rate; null if it is not known, or nothing grows"""
    heard_at: datetime | None
    """as of when all this is known"""
    drilled_at: datetime | None = None
    """of a bucket: when a drill last restored from the bucket itself; null if none has, and for other places"""


@dataclass(frozen=True, slots=True)
class RunningDocument(Document):
    """A job under way."""

    job: str
    """its command"""
    started_at: datetime
    """when it began"""
    step: str
    """the step it is at, with its number; empty if it is not known"""
    done: int | None
    """how many units of the step are done; null if it is not known"""
    total: int | None
    """how many there are; null likewise"""
    unit: str
    """what is counted; empty likewise"""


@dataclass(frozen=True, slots=True)
class JobDocument(Document):
    """A scheduled job."""

    name: str
    """`backup`, `audit`, `drill` or `prune`"""
    last_at: datetime | None
    """when it last ended; null if it never did"""
    outcome: str | None
    """`done` or `failed`; null likewise"""
    error: str | None
    """why it failed; null if it did not"""
    duration_s: float | None
    """how long it took; null if it is not known"""
    next_at: datetime | None
    """when it comes next; null if it is off, or not scheduled by itself"""


@dataclass(frozen=True, slots=True)
class ForecastDocument(Document):
    """A part of coming back, and how long it takes."""

    part: str
    """what has to be done"""
    duration_s: float | None
    """how long it takes; null if nothing was measured"""
    basis: str
    """what that was measured from, or why nothing was"""


@dataclass(frozen=True, slots=True)
class ReaderDocument(Document):
    """Someone, or something, that can open the snapshots."""

    who: str
    """a key, a sheet or a machine"""
    note: str
    """what is known of it"""
    is_good: bool
    """whether that is as it should be"""


@dataclass(frozen=True, slots=True)
class StatusFindingDocument(Document):
    """Something that needs attention, and since when."""

    kind: str
    """a stable name, see [findings.md](findings.md); with `vault-` in front if a vault has reported it of itself"""
    subject: str
    """what it is about: for instance an object, a snapshot, a vault"""
    message: str
    """what was found, for people"""
    severity: SeverityWord
    """`notice`, `warning` or `alarm`"""
    remedy: str
    """what to do"""
    commands: tuple[str, ...]
    """the commands in it"""
    first_seen: datetime | None
    """when the service, or a backup, saw it first; null if neither has"""
    last_seen: datetime | None
    """when one of them saw it last; null likewise"""


@dataclass(frozen=True, slots=True)
class StatusDocument(Document):
    """What there is, how old it is, and what needs attention. Exit code 3 if there are findings."""

    snapshots: int
    """how many there are"""
    newest: str | None
    """the newest one's id; null if there is none"""
    newest_age_s: float | None
    """its age; null if there is none"""
    newest_proven: str | None
    """the newest one that a drill has proven and that still exists; null if there is none"""
    vaults: tuple[VaultStatusDocument, ...]
    """the paired vaults, by what they say in their receipts"""
    findings: tuple[StatusFindingDocument, ...]
    """what needs attention, the most severe first"""
    name: str
    """the server's name"""
    as_of: datetime
    """the moment of this document"""
    verdict: VerdictDocument
    """could it come back right now?"""
    places: tuple[PlaceDocument, ...]
    """where snapshots are kept: this server, then the vaults"""
    jobs: tuple[JobDocument, ...]
    """the jobs of [schedule], and prune"""
    running: RunningDocument | None
    """the job under way; null if there is none"""
    forecast: tuple[ForecastDocument, ...]
    """how long coming back would take, by part"""
    restore_minutes: int | None
    """[promise] restore_minutes; null if it is not set"""
    lost_minutes: int | None
    """[promise] lost_minutes; null if it is not set"""
    readers: tuple[ReaderDocument, ...]
    """who can open the snapshots"""
    media: MediaStatusDocument | None = None
    """how the server's own media compare with its database; null if nothing has compared them"""


@dataclass(frozen=True, slots=True)
class KeptServerStatusDocument(Document):
    """What a vault keeps of one server."""

    verdict: VerdictDocument
    """could that server come back from this vault?"""
    place: PlaceDocument
    """what is kept; its name is the server's"""


@dataclass(frozen=True, slots=True)
class VaultOwnStatusDocument(Document):
    """What a vault keeps, and what needs attention there. Exit code 3 if there are findings."""

    name: str
    """the vault's name"""
    as_of: datetime
    """the moment of this document"""
    servers: tuple[KeptServerStatusDocument, ...]
    """by server"""
    findings: tuple[StatusFindingDocument, ...]
    """what needs attention, the most severe first; `subject` begins with the server's name"""
