"""Findings: what needs attention. Every kind that server and vault can report is here, and nowhere else.

A kind's name is stable: scripts, receipts and ledgers hold it. Its severity, its meaning and its remedy are said once,
and docs/reference/findings.md is generated from them.

A finding with a `vault` is one that a vault has reported about itself, as its server sees it. Its `code` then begins
with `vault-`, so that rot on a vault is never taken for rot on the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum, unique

from permafrost.documents.finding import FindingDocument, SeverityWord


class Severity(IntEnum):
    """How urgent a finding is; a higher one is more urgent."""

    NOTICE = 1
    """Worth knowing; nothing is lost by waiting."""
    WARNING = 2
    """Look at it within days: less is protected than was asked for."""
    ALARM = 3
    """Look at it now: a backup cannot be relied on, or somebody interferes."""

    @property
    def word(self) -> SeverityWord:
        """The severity as it is written."""
        return _WORDS[self]


_N, _W, _A = Severity.NOTICE, Severity.WARNING, Severity.ALARM
_WORDS: dict[Severity, SeverityWord] = {_N: "notice", _W: "warning", _A: "alarm"}


@unique
class FindingKind(Enum):
    """Every kind of finding: its stable name, how severe it is, what it means, and what to do."""

    # --- the server's own snapshots and runs ---
    NO_SNAPSHOT = "no-snapshot", _W, "There is no snapshot yet.", "Create the first one: `permafrost backup --audit`."
    CLOCK = (
        "clock",
        _A,
        "A snapshot claims a time in the future: the clock was wrong when it was made, or is wrong now.",
        "Set the clock (`timedatectl`), run `permafrost backup`, then `permafrost snapshots remove ID`.",
    )
    CLOCK_BEHIND = (
        "clock-behind",
        _W,
        "The snapshot made last has an older time than another: the clock was behind.",
        "Set the clock (`timedatectl`), then run `permafrost backup`.",
    )
    OLD_SNAPSHOT = (
        "old-snapshot",
        _A,
        "The newest snapshot is older than the schedule allows.",
        "Check that the service runs, and its log: `systemctl status permafrost`; or run `permafrost backup`.",
    )
    BACKUP_FAILED = (
        "backup-failed",
        _A,
        "The last backup failed; earlier snapshots are untouched.",
        "Fix what the message names, then run `permafrost backup`.",
    )
    AUDIT_FAILED = (
        "audit-failed",
        _W,
        "The last audited backup failed.",
        "Fix what the message names, then run `permafrost backup --audit`.",
    )
    AUDIT_OVERDUE = (
        "audit-overdue",
        _W,
        "The schedule asks for an audited backup, and none has succeeded since.",
        "Run `permafrost backup --audit`.",
    )
    DRILL_FAILED = (
        "drill-failed",
        _A,
        "The last drill failed: a snapshot did not restore, or restored with differences.",
        "Read the message, then run `permafrost drill`; if it fails again, `permafrost backup --full` on the server.",
    )
    DRILL_FINDINGS = (
        "drill-findings",
        _W,
        "The last drill's snapshot came back as it was made, and something in it is not as Mastodon needs it.",
        "Run `permafrost drill` and read what it names; `permafrost check` examines the live database in the same way.",
    )
    DRILL_OVERDUE = (
        "drill-overdue",
        _W,
        "The schedule asks for a drill, and none has succeeded since.",
        "Run `permafrost drill`.",
    )
    DRILL_UNIT = (
        "drill-unit",
        _W,
        "Drills should run in `permafrost-drill.service`, which cannot be started; in the service they may fail.",
        "Run `systemctl start permafrost-drill.socket`; if it does not exist, install both units of drills.",
    )
    SHEET_UNPROVEN = (
        "sheet-unproven",
        _N,
        "Nobody has shown for `[encryption] prove_sheet_days` days that the recovery sheet opens the backups.",
        "Fetch the sheet and run `permafrost sheet prove`.",
    )
    RESTORE_SLOW = (
        "restore-slow",
        _W,
        "A restore takes longer than `[promise] restore_minutes`, as the last drill measured it.",
        "Restore with more `--jobs` or on a faster disk, or correct `[promise] restore_minutes`.",
    )
    LOSES_MORE = (
        "loses-more",
        _W,
        "If this server were lost now, more would be lost than `[promise] lost_minutes` allows.",
        "Back up more often (`[schedule] backup`), and see why the vaults are behind: `permafrost vault list`.",
    )
    MISSED_RUNS = (
        "missed-runs",
        _N,
        "Scheduled runs were skipped: the machine or the service was off, or a run took longer than its interval.",
        "Nothing, if you know why. Otherwise check the service's log: `journalctl -u permafrost`.",
    )
    ROWS_OVERLOOKED = (
        "rows-overlooked",
        _A,
        "A scan of every row found changes that PostgreSQL had not listed: snapshots of the day before may be wrong.",
        "Run `permafrost backup --full --audit`, and report it: it is the most serious problem permafrost can detect.",
    )
    OLD_TRANSACTION = (
        "old-transaction",
        _N,
        "A transaction has been open for longer than the WAL summaries go back: every backup scans every row.",
        "Find it and end it: `SELECT * FROM pg_prepared_xacts`, or in `pg_stat_activity` by `xact_start`.",
    )
    EXCLUDED = (
        "excluded",
        _N,
        "Parts of the database are in no snapshot: `[database] exclude_schemas` and `exclude_tables` name them.",
        "Nothing, if they belong to somebody else. Otherwise remove them from these keys.",
    )
    MEDIA_MISSING = (
        "media-missing",
        _A,
        "The media folder of the configuration does not exist or cannot be read: no copy gets new media.",
        "Correct `[media] path` (a disk that is not mounted?), then run `permafrost config check`.",
    )
    MEDIA_NOT_SEALED = (
        "media-not-sealed",
        _W,
        "Media are not sealed for the vaults that get nothing else, or not all of them.",
        "Fix what the message names, then run `permafrost vault seal-media`, as `permafrost run` does by itself.",
    )
    MEDIA_LACKING = (
        "media-lacking",
        _W,
        "The server's own media lack files that its database needs, by the last comparison.",
        "Put them back from a vault's copy (`permafrost vault media`), then run `permafrost media compare`.",
    )
    MEDIA_LINKS = (
        "media-links",
        _A,
        "The media folder contains symbolic links. Syncthing carries a link, not the files behind it.",
        "Mount the other disk there (`mount --bind`), or move the files back.",
    )
    SECRETS_MISSING = (
        "secrets-missing",
        _A,
        "A secrets file of the configuration is missing, unreadable or too large: snapshots are made without it.",
        "Correct `[secrets] files`. Without the secrets, a restored server has lost two-factor logins and more.",
    )
    IDENTITY_KEYS_MISSING = (
        "identity-keys-missing",
        _A,
        "The newest snapshot lacks the keys that all accounts' keys are encrypted with since Mastodon 4.7.",
        "Name the file that sets them in `[secrets] files`. A server restored without them has lost its identity.",
    )
    RECOVERY_SHEET = (
        "recovery-sheet",
        _W,
        "The recovery sheet is still on the server. If it is nowhere else, a lost server means lost backups.",
        "Print it, keep it away from this machine, and remove the file: `shred --remove FILE`.",
    )
    STATE_DAMAGED = (
        "state-damaged",
        _W,
        "A file in the state folder was damaged and starts again. No backup is lost.",
        "Check the disk that holds `[state] path` (`smartctl -a DEVICE`).",
    )
    STATUS_STALE = (
        "status-stale",
        _W,
        "Vaults are paired, but nothing on this server has checked their receipts for hours.",
        "Start the service, `permafrost run`; each `permafrost backup` checks them as well.",
    )
    STATUS_UNKNOWN = (
        "status-unknown",
        _A,
        "The repository or the state folder cannot be read: nothing is known of the backups.",
        "Read the message, and check that the disks are mounted: `permafrost status`.",
    )
    # --- alerts, on a server or on a vault ---
    NOTIFY_FAILED = (
        "notify-failed",
        _W,
        "A receiver of alerts cannot be reached; what it missed is sent once it can be.",
        "Run `permafrost notify test`, and correct the receiver's `[[notify]]` or its URL file.",
    )
    # --- buckets, on a server or on a vault ---
    BUCKET_UNREACHABLE = (
        "bucket-unreachable",
        _W,
        "A bucket's object store cannot be reached, breaks off, or fails.",
        "Check the network and the provider's status page. Uploads resume by themselves.",
    )
    BUCKET_REFUSED = (
        "bucket-refused",
        _W,
        "An object store refuses the credentials of a bucket: they are wrong, were revoked, or allow too little.",
        "Make a new key, write it into `credentials_file`, and run `permafrost bucket check NAME`.",
    )
    BUCKET_FULL = (
        "bucket-full",
        _W,
        "A bucket takes no more. What is in it stays.",
        "Raise its quota, or shorten `[retention]`: what is no longer needed goes once its lock has run out.",
    )
    BUCKET_CLOCK = (
        "bucket-clock",
        _W,
        "The clocks of this machine and of an object store differ: nothing is uploaded, as no lock can be undone.",
        "Set the clock (`timedatectl`).",
    )
    BUCKET_FAILED = (
        "bucket-failed",
        _W,
        "Uploads to a bucket fail.",
        "Read the message, fix what it names, and run `permafrost bucket upload NAME`.",
    )
    BUCKET_LATE = (
        "bucket-late",
        _W,
        "A bucket lacks snapshots that are older than its `late_hours`.",
        "Check that the service runs; `permafrost bucket upload NAME` shows what holds it up.",
    )
    BUCKET_UNLOCKED = (
        "bucket-unlocked",
        _N,
        "A bucket takes no locks: anyone who has a key that may delete can empty it.",
        "Make a bucket with Object Lock and name that instead, or set `lock_days = 0`.",
    )
    BUCKET_LOCKS = (
        "bucket-locks",
        _W,
        "Locks in a bucket end sooner than `lock_days` promises.",
        "Run `permafrost bucket upload NAME`, and see whether its key may renew locks: `permafrost bucket check NAME`.",
    )
    BUCKET_CORRUPT = (
        "bucket-corrupt",
        _A,
        "Files in a bucket are missing, or are not what their names say.",
        "Find out who may write or delete there. The next `permafrost bucket upload NAME` puts them there again.",
    )
    BUCKET_KEEPS_LOST = (
        "bucket-keeps-lost",
        _A,
        "A bucket has snapshots that are gone here, although no prune removed them. There they stay, and stay locked.",
        "Find out what removed them. `permafrost bucket fetch`, with the address on the sheet, brings them back.",
    )
    BUCKET_DRILL_FAILED = (
        "bucket-drill-failed",
        _W,
        "The last drill from a bucket failed: a snapshot there could not be fetched, or did not restore.",
        "Run `permafrost verify --bucket NAME`, then `permafrost drill --repository bucket:NAME` again.",
    )
    # --- verify ---
    CORRUPT_OBJECT = (
        "corrupt-object",
        _A,
        "An object does not match its name: a disk has failed, or somebody changed it.",
        "On a server, run `permafrost backup`: it reads everything again. Check the disk: `smartctl -a DEVICE`.",
    )
    CORRUPT_SNAPSHOT = (
        "corrupt-snapshot",
        _A,
        "Files of a snapshot are damaged; it cannot be restored from here.",
        "Restore another snapshot, or from another vault or a bucket. On a server, run `permafrost backup`.",
    )
    CORRUPT_MANIFEST = (
        "corrupt-manifest",
        _A,
        "A snapshot's manifest is not the one that was signed.",
        "Find out what happened on the server; earlier snapshots in the history are untouched.",
    )
    BAD_SIGNATURE = (
        "bad-signature",
        _A,
        "A snapshot's list is damaged, or was not signed by this server's key.",
        "Do not restore it. Find out who can write there: a forged snapshot looks like this.",
    )
    OVERDUE = (
        "overdue",
        _W,
        "A snapshot is still incomplete long after it appeared.",
        "Check that Syncthing is connected and the disk has room.",
    )
    # --- vaults, as the server sees them ---
    VAULT_RECEIPT = (
        "vault-receipt",
        _W,
        "A vault's receipt is not believed.",
        "Compare the fingerprint with the vault's; if it was set up again: `permafrost vault remove`, and pair again.",
    )
    VAULT_SILENT = (
        "vault-silent",
        _W,
        "A vault has sent no receipt for hours.",
        "Check on the vault that `permafrost vault run` is running and Syncthing is connected.",
    )
    VAULT_REPLAYED = (
        "vault-replayed",
        _A,
        "A vault's receipt is older than one received before.",
        (
            "Check the vault's clock, and whether it was restored from an image; otherwise somebody is replaying old "
            "receipts."
        ),
    )
    VAULT_CLOCK = (
        "vault-clock",
        _W,
        "The clock of a vault is ahead of this server's.",
        "Set both clocks (`timedatectl`).",
    )
    VAULT_BEHIND = (
        "vault-behind",
        _W,
        "A vault lacks snapshots that are hours old.",
        "Check that Syncthing is connected on both sides and the vault's disk has room.",
    )
    VAULT_FULL = "vault-full", _W, "A vault's disk is nearly full.", "Make room on the vault."
    VAULT_CORRUPT = (
        "vault-corrupt",
        _A,
        "Objects on a vault have rotted and could not be replaced yet.",
        "Check the vault's disk (`smartctl -a DEVICE`), and keep this server running until they are replaced.",
    )
    VAULT_UNVERIFIED = (
        "vault-unverified",
        _W,
        "A vault has not re-read everything it keeps for too long.",
        "Keep `permafrost vault run` running, or run `permafrost vault verify` on the vault.",
    )
    VAULT_DISAGREES = (
        "vault-disagrees",
        _A,
        "A vault holds a different snapshot than this server under the same name.",
        "Run `permafrost verify` on both sides: one of them was changed.",
    )
    VAULT_UNEXPLAINED = (
        "vault-unexplained",
        _A,
        "A vault keeps snapshots that are gone here, although no prune removed them.",
        "If nobody deleted them by hand, somebody has broken in: do not trust this server. What vaults keep is safe.",
    )
    VAULT_SAYS = (
        "says",
        _W,
        "A vault reports something unknown to this version.",
        "Read the message; update permafrost here.",
    )
    # --- on a vault ---
    REMOVED = (
        "removed",
        _A,
        "The server has removed snapshots, or files that its snapshots need, which no prune of its own explains.",
        "If nobody did it by hand, somebody has broken in. What the history keeps stays.",
    )
    DECLARES_LESS = (
        "declares-less",
        _W,
        "The server now declares that it keeps fewer snapshots, or backs up less often, than it declared before.",
        "Nothing, if its `[retention]` or `[schedule]` was changed. Otherwise somebody prepares to remove snapshots.",
    )
    NOTHING_NEW = (
        "nothing-new",
        _A,
        "No new snapshot has come whole from the server for longer than its schedule allows.",
        "Check on the server that `permafrost run` is running and Syncthing connected; other findings may say why.",
    )
    REWRITTEN = (
        "rewritten",
        _A,
        "The server has sent other bytes under a name that was taken before.",
        "Find out what happened on the server. The history keeps the first ones.",
    )
    SERVER_CLOCK = (
        "server-clock",
        _W,
        "A snapshot claims a time in the future: the clock of the server, or of this vault, is wrong.",
        "Set both clocks (`timedatectl`).",
    )
    CLOCK_JUMPED = (
        "clock-jumped",
        _W,
        "This vault's clock has jumped. Its history does not age by it.",
        "Nothing, if the clock was corrected; otherwise set it (`timedatectl`).",
    )
    TOO_MANY_SNAPSHOTS = (
        "too-many-snapshots",
        _W,
        "More snapshots arrived than an honest server makes; the rest wait or are ignored.",
        "Check the server's schedule; `admitted_per_hour` in vault.toml sets the limit.",
    )
    HISTORY_FULL = (
        "history-full",
        _A,
        "The history has reached its share of the disk; new snapshots are not taken. Nothing already kept is removed.",
        "Make the disk larger, or lower the retention in vault.toml.",
    )
    RECEIVING_STOPPED = (
        "receiving-stopped",
        _A,
        "A server has sent or announced more than its share of the vault's disk; nothing more is received from it.",
        "Find out what it sends. If it needs more, make the disk larger, or raise `share_percent` in vault.toml.",
    )
    DISK_FULL = "disk-full", _A, "The vault's disk is full. Nothing already kept is removed.", "Make room on the disk."
    CANNOT_DROP = (
        "cannot-drop",
        _W,
        "Retention could remove nothing from the history because a snapshot's list cannot be read.",
        "Run `permafrost vault verify`, and move the damaged snapshot away.",
    )
    LOST = (
        "lost",
        _A,
        "A snapshot has disappeared from the history.",
        "If nobody removed it by hand, check the disk, and who can write there.",
    )
    ROT = (
        "rot",
        _A,
        "An object in the history is damaged or missing; a new copy is requested from the server.",
        "Check the disk: `smartctl -a DEVICE`.",
    )
    MENDED = (
        "mended",
        _N,
        "An object or a media file was damaged and has been replaced by a good copy.",
        "Check the disk: this may happen again.",
    )
    ODD_FILE = (
        "odd-file",
        _W,
        "The received folder contains something that is not a regular file, or cannot be read.",
        "Remove it on the server; everything else is kept as usual.",
    )
    LOCAL_CHANGES = (
        "local-changes",
        _W,
        "Files in a received folder were changed on this vault; they are restored.",
        "Do not write to received folders; the history is untouched.",
    )
    MEDIA_REPLACED = (
        "media-replaced",
        _A,
        "The server has replaced many media files at once. Mastodon never changes one.",
        "Find out what happened on the server; the earlier files are kept for a time: `permafrost vault media`.",
    )
    MEDIA_REMOVED = (
        "media-removed",
        _W,
        "The server has deleted many media files at once.",
        "If that was not a cleanup, restore them: `permafrost vault media`; they are kept for a time.",
    )
    MEDIA_INCOMPLETE = (
        "media-incomplete",
        _A,
        "Media files that the server's database needs have not come to the vault within two hours.",
        "See whether the server has them: `permafrost check --media DIR`. If so, check that Syncthing is connected.",
    )
    MEDIA_DIFFERENT = (
        "media-different",
        _W,
        "Media files on the vault have another size than the server's database says.",
        "Compare them with the server's. Earlier versions are kept for a time: `permafrost vault media`.",
    )
    MEDIA_ROT = (
        "media-rot",
        _A,
        "A media file in the history is damaged; a new copy is requested from the server.",
        "Check the disk: `smartctl -a DEVICE`.",
    )
    MEDIA_ADDRESS = (
        "media-address",
        _A,
        "The server names another address for the media in its object store; none are fetched until you confirm it.",
        "If the media have moved, set `url` in `[[media_sources]]` of vault.toml; if not, suspect the server.",
    )
    MEDIA_REFUSED = (
        "media-refused",
        _W,
        "The address of media leads where a vault does not ask: into a private network, to http, or in circles.",
        "Open it in a browser. For a store in your own network: `allow_private_addresses` in `[fetching]`.",
    )
    MEDIA_UNREACHABLE = (
        "media-unreachable",
        _W,
        "The server's object store has not answered for an hour.",
        "Open the address of a picture in a browser; the vault tries again by itself.",
    )
    MEDIA_ABSENT = (
        "media-absent",
        _W,
        "The server's database needs media files that its object store does not have.",
        "If another copy has them, put them into the bucket; the vault asks again, at growing intervals.",
    )
    MEDIA_CLOSED = (
        "media-closed",
        _N,
        "Media files in the object store may not be read by everyone, such as those of suspended accounts.",
        "To fetch them too, give the vault a key that may only read: `credentials_file` in `[[media_sources]]`.",
    )
    MEDIA_UNFIT = (
        "media-unfit",
        _W,
        "The object store serves another size or type than the media file that is needed has; it is not taken.",
        "Does a web cache shrink pictures? Set the bucket's own address as `url` in `[[media_sources]]` of vault.toml.",
    )
    MEDIA_ALTERED = (
        "media-altered",
        _A,
        "The object store serves other bytes for a media file than the vault fetched. Mastodon never changes one.",
        "Find out who changed it: compare it with the vault's copy, which stays, and look at the bucket's log.",
    )
    MEDIA_VANISHED = (
        "media-vanished",
        _A,
        "The object store no longer serves media files that the database needs and the vault holds.",
        "Put them back from the vault's copy: `permafrost vault media`, then `permafrost media push`.",
    )
    MEDIA_BUDGET = (
        "media-budget",
        _N,
        "As many bytes were fetched from the object store today as vault.toml allows; the rest waits.",
        "If that is too slow, set a larger `gigabytes_a_day` in `[fetching]` of vault.toml.",
    )
    MEDIA_FULL = (
        "media-full",
        _W,
        "The history has reached its share of the disk; new media files are not kept.",
        "Make the disk larger, or lower the retention in vault.toml.",
    )
    RECORDS = (
        "records",
        _W,
        "The vault's records cannot be written.",
        "Check the disk. Moving the file away loses no snapshot.",
    )
    CANNOT_READ = "cannot-read", _W, "A file or folder of the vault cannot be read.", "Check its owner and mode."
    CANNOT_LOCK = (
        "cannot-lock",
        _W,
        "Another program is using the same history.",
        "Make sure that only one `permafrost vault run` runs for this vault.",
    )
    CANNOT_WORK = (
        "cannot-work",
        _W,
        "A part of the vault's work fails; it will be retried.",
        "Read the message, and fix what it names.",
    )

    code: str
    severity: Severity
    meaning: str
    remedy: str

    def __init__(self, code: str, severity: Severity, meaning: str, remedy: str) -> None:
        self.code = code
        self.severity = severity
        self.meaning = meaning
        self.remedy = remedy


_QUOTED = re.compile(r"`([^`]+)`")
_PROGRAMS = ("permafrost ", "systemctl ", "journalctl ", "timedatectl", "smartctl ", "mount ")
_BY_CODE = {kind.code: kind for kind in FindingKind}
_OLDER_NAMES = {"vault-clock": FindingKind.CLOCK_JUMPED}
"""Names that vaults wrote before 0.2 for findings of their own."""


def kind_of(code: str) -> FindingKind | None:
    """Return the kind of that stable name, None if this version does not know it."""
    return _BY_CODE.get(code)


def vault_kind(code: str) -> FindingKind:
    """Return the kind that a vault's own name stands for; `VAULT_SAYS` for one that is not known here."""
    if code in _OLDER_NAMES:
        return _OLDER_NAMES[code]
    known = kind_of(code)
    if known is None:
        return FindingKind.CANNOT_WORK if code.startswith("cannot-") else FindingKind.VAULT_SAYS
    return known


def commands_in(remedy: str) -> tuple[str, ...]:
    """Return the commands that a remedy names between backticks; other names between them are none."""
    return tuple(text for text in _QUOTED.findall(remedy) if text.startswith(_PROGRAMS))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: what, where, and in words. `vault` is named if it is a vault's own."""

    kind: FindingKind
    subject: str
    message: str
    vault: str | None = None

    @property
    def code(self) -> str:
        """The stable name: the kind's, behind `vault-` if a vault has reported it about itself."""
        return self.kind.code if self.vault is None else f"vault-{self.kind.code}"

    @property
    def severity(self) -> Severity:
        """How urgent it is."""
        return self.kind.severity

    @property
    def remedy(self) -> str:
        """What to do."""
        return self.kind.remedy

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands in the remedy."""
        return commands_in(self.remedy)

    def document(self) -> FindingDocument:
        """Return it for JSON."""
        return FindingDocument(self.code, self.subject, self.message, self.severity.word, self.remedy)


FindingSink = Callable[[FindingKind, str, str], None]
"""Takes what is found, as it is found: kind, subject, message."""
