"""The receipt: a vault's signed statement of what it holds from one server, and how it verified that.

One file, since Syncthing keeps no order among several: JSON with the receipt's own text in `content`, its detached
OpenPGP signature in `signature`, and the public key in `key`. Only the vault can write into the folder that carries it,
as Syncthing knows the vault by its device id; so the server believes the key of the first receipt, and tells when
another one appears. The signature lets anybody check the file later, wherever it was copied to.

What a receipt says is believed to be said, and nothing more: a vault that lies can lie in it. It must not be able to do
anything else: every text is bounded and printable, every number fits in 64 bits, every time tells its zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from permafrost.errors import IntegrityError
from permafrost.printable import printable

MAXIMUM_BYTES = 256 << 10
MOST_SNAPSHOTS = 200
MOST_FINDINGS = 50
_CLOCK_TOLERANCE = timedelta(minutes=5)
_FIRST_YEAR, _LAST_YEAR = 1970, 9000  # far beyond, arithmetic with times overflows
MOST_LETTERS = 300
"""Of each text that a vault writes; with the limits above, a receipt is then smaller than it may be."""


def _within_years(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError("no such time")
    return moment


Text = Annotated[str, Field(max_length=1000), AfterValidator(printable)]
Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Number = Annotated[int, Field(ge=0, lt=1 << 63)]
Time = Annotated[AwareDatetime, AfterValidator(_within_years)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ReceiptPart(BaseModel):
    """Keys may be added in later versions; unknown ones are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ReceivedSnapshot(ReceiptPart):
    """A snapshot in the vault's history. Its objects were compared with their names, its list with its signature."""

    snapshot: Annotated[str, Field(max_length=40)]
    list_hash: Hash
    arrived_at: Time
    """When it was found whole and good, by the vault's clock."""
    objects: Number
    size_bytes: Number


class ReceiptFinding(ReceiptPart):
    """Something on the vault that needs attention."""

    kind: Kind
    subject: Text
    message: Text
    first_at: Time
    last_at: Time


class MediaReceipt(ReceiptPart):
    """The media in the history against what the server's media list names, in files and bytes."""

    snapshot: Annotated[str, Field(max_length=40)]
    """Of which snapshot the list is."""
    needed: Number
    needed_bytes: Number
    """Of originals, whose size the database knows."""
    held: Number
    held_bytes: Number
    missing: Number
    different: Number
    """Held with another size than the database says."""
    overdue: Number
    """Missing for longer than they could be on their way."""
    rotten: Number = 0
    """Damaged, and not mended yet."""
    all_read_since: Time | None = None
    """Every media file was read again since then, by the vault's own time; None if some were never read."""
    sealed: bool = False
    """Whether all this counts sealed objects, by the list that names those."""


class SentBackReceipt(ReceiptPart):
    """What the vault has sent back last: how fast a copy comes from there."""

    ended_at: Time
    size_bytes: Number
    """What went over the line, without what was there already."""
    duration_s: Annotated[float, Field(ge=0, lt=1e9)]


class Receipt(ReceiptPart):
    """What a vault says of one server at `written_at`, by the vault's clock."""

    format: Literal[1] = 1
    vault: Text
    device_id: Text
    repository_id: Text
    written_at: Time
    snapshots: Annotated[tuple[ReceivedSnapshot, ...], Field(max_length=MOST_SNAPSHOTS)]
    """The newest of its history, the one that arrived last at the end."""
    history_snapshots: Number
    history_bytes: Number
    waiting: Number
    bad_objects: Number
    all_verified_since: Time | None = None
    media_files: Number
    media_not_kept: Number = 0
    """Paths that were received and are not in the history, by the last whole scan; the findings say why."""
    media: MediaReceipt | None = None
    """None from a vault that no list has come to, and of an older version."""
    sent_back: SentBackReceipt | None = None
    """None if this vault has never sent anything of this server back."""
    free_bytes: Number
    disk_bytes: Number
    findings: Annotated[tuple[ReceiptFinding, ...], Field(max_length=MOST_FINDINGS)] = ()

    @property
    def newest(self) -> ReceivedSnapshot | None:
        """The newest snapshot by its name that was not yet to come when this was written.

        Of a backlog, it is not the one that arrived last.
        """
        limit = f"{self.written_at.astimezone(UTC) + _CLOCK_TOLERANCE:%Y%m%dT%H%M%SZ}"
        possible = [held for held in self.snapshots if held.snapshot.partition("-")[0] <= limit]
        return max(possible or self.snapshots, key=lambda held: held.snapshot, default=None)


class SignedReceipt(BaseModel):
    """The file: the receipt's text, the signature of exactly that, and the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: str
    signature: str
    key: str

    def receipt(self) -> Receipt:
        """Return what the text says; the signature has to be checked before."""
        try:
            return Receipt.model_validate_json(self.content)
        except ValidationError as error:
            raise IntegrityError(f"the receipt cannot be read: {_first(error)}") from error

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return self.model_dump_json(indent=1).encode("utf-8") + b"\n"


def parse_signed(content: bytes) -> SignedReceipt:
    """Return the parts of a receipt's file; raise `IntegrityError` if it is none, or too large to be one."""
    if len(content) > MAXIMUM_BYTES:
        raise IntegrityError(f"the receipt is larger than {MAXIMUM_BYTES} bytes")
    try:
        return SignedReceipt.model_validate_json(content)
    except ValidationError as error:
        raise IntegrityError(f"the receipt cannot be read: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return printable(f"{'.'.join(str(part) for part in first['loc'])[:100]}: {first['msg'][:200]}")
