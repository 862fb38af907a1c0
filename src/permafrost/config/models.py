"""The server's configuration as frozen models; the reference shows each key's description."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from permafrost.config.alerting import Hook, Notify, check_names_differ
from permafrost.config.buckets import (
    DEFAULT_REGION,
    Bucket,
    BucketName,
    Endpoint,
    Prefix,
    Region,
    check_bucket_names_differ,
)
from permafrost.config.conninfo import SECRETS, parameters_of
from permafrost.config.section import Section
from permafrost.config.values import (
    AbsolutePath,
    Count,
    CronExpression,
    DeviceAddress,
    DeviceId,
    Fingerprint,
    Flag,
    GuiAddress,
    Name,
    PublicUrl,
    SecretFile,
    TableInSchema,
)

DEFAULT_PATH = Path("/etc/permafrost/permafrost.toml")


class Database(Section):
    """The database to back up."""

    url: str = Field(
        description="How to reach the database, as a libpq connection string or URI, without a password: "
        "put that into a file named by `passfile=`. PG* environment variables are respected."
    )
    engine: Literal["log", "dump"] = Field(
        default="log",
        description="How rows are read: `log` stores only the rows that changed since the last snapshot (PostgreSQL 14 "
        "or newer), `dump` one pg_dump archive per snapshot.",
    )
    changed_blocks: Literal["auto", "off"] = Field(
        default="auto",
        description="Whether the log scans only blocks that have changed since the last snapshot, where the server can "
        "say which: PostgreSQL 17 or newer with `summarize_wal = on`, and the role `pg_checkpoint`. Once a day, and in "
        "an audit, every row is scanned all the same.",
    )
    jobs: Annotated[int, Field(ge=1, le=64, strict=True)] = Field(
        default=2, description="How many connections and workers a run may use at once."
    )

    exclude_schemas: tuple[str, ...] = Field(
        default=(),
        description="Schemas that are in no snapshot, such as those of a hosting provider, which this role may not "
        "read. `permafrost status` names them.",
    )
    exclude_tables: tuple[TableInSchema, ...] = Field(
        default=(),
        description="Tables that are in no snapshot, as SCHEMA.TABLE. A view or a foreign key that needs one of them "
        "makes a restore fail; partitions are named one by one.",
    )

    @field_validator("url", mode="after")
    @classmethod
    def _no_secret_in_the_url(cls, value: str) -> str:
        try:
            parameters = parameters_of(value)
        except ValueError as error:
            # libpq quotes what it stumbled over, which may be a piece of a password
            raise ValueError(
                "is not a libpq connection string or URI, like postgresql:///mastodon_production"
            ) from error
        for name in SECRETS:
            if name in parameters:
                raise ValueError(
                    f"holds a {name}; secrets belong in files: put it into a pgpass file with mode 0600 "
                    "and name that with passfile="
                )
        return value


def passfile_of(url: str) -> Path | None:
    """Return the pgpass file that a libpq connection string or URI names, None if it names none."""
    name = parameters_of(url).get("passfile")
    return Path(name) if name else None


class RepositorySettings(Section):
    """Where the repository is."""

    path: AbsolutePath = Field(
        default=Path("/var/lib/permafrost/repository"),
        description="The folder of encrypted objects and snapshots that Syncthing shares.",
    )


DEFAULT_SCRATCH = Path("/var/tmp")  # noqa: S108 - folders made in it are closed to all others


class State(Section):
    """Where run records are kept; the folder can be thrown away at any time."""

    path: AbsolutePath = Field(default=Path("/var/lib/permafrost/state"), description="The state folder.")
    scratch: AbsolutePath = Field(
        default=DEFAULT_SCRATCH,
        description="Where drills and exports create their throw-away server: a folder with room for the database "
        "that no other user can rename. A tmpfs is fastest.",
    )
    sandbox: Literal["bubblewrap", "off"] = Field(
        default="bubblewrap",
        description="What encloses that server, in which code of the snapshot runs. Without it, whoever can write to "
        'the database may reach what this user can reach; "off" is for machines where bubblewrap cannot work.',
    )


class Encryption(Section):
    """How objects are sealed: with a passphrase, or to public keys. Exactly one of the two."""

    passphrase_file: SecretFile | None = Field(
        default=None,
        description="A file whose first line is the passphrase; mode 0400 or 0600. `credential:NAME` means the systemd "
        "credential NAME.",
    )
    recipients: tuple[Fingerprint, ...] = Field(
        default=(), description="Fingerprints of the OpenPGP keys that can read the backups."
    )
    recipients_dir: AbsolutePath | None = Field(
        default=None, description="A folder with the recipients' public keys, one FINGERPRINT.asc each."
    )

    prove_sheet_days: Count = Field(
        default=180,
        description="After this many days without `permafrost sheet prove`, `permafrost status` reminds you; 0 for "
        "never.",
    )

    @model_validator(mode="after")
    def _exactly_one_way(self) -> Self:
        if (self.passphrase_file is None) == (not self.recipients):
            raise ValueError("set exactly one of passphrase_file and recipients")
        if self.recipients and self.recipients_dir is None:
            raise ValueError("recipients needs recipients_dir, the folder with their public keys")
        return self


RECOVERY_SHEET = "recovery-sheet.txt"


class Signing(Section):
    """The key that signs every snapshot."""

    gnupg_home: AbsolutePath = Field(
        default=Path("/etc/permafrost/gnupg"),
        description="The GnuPG home that holds the signing key, mode 0700; only for permafrost.",
    )
    fingerprint: Fingerprint | None = Field(
        default=None,
        description="The signing key's fingerprint, as on the recovery sheet. If left out, the repository's own is "
        "trusted.",
    )

    @property
    def sheet_file(self) -> Path:
        """Where the recovery sheet lies until somebody has printed and removed it: beside the signing key's home."""
        return self.gnupg_home.parent / RECOVERY_SHEET


class Retention(Section):
    """Which snapshots `prune` keeps; a rule that is left out keeps nothing."""

    last: Count = Field(default=0, description="Keep the newest N snapshots.")
    hourly: Count = Field(default=0, description="Keep the newest snapshot of each of the last N hours that have one.")
    daily: Count = Field(default=0, description="Keep the newest snapshot of each of the last N days that have one.")
    weekly: Count = Field(
        default=0, description="Keep the newest snapshot of each of the last N ISO weeks that have one."
    )
    monthly: Count = Field(
        default=0, description="Keep the newest snapshot of each of the last N months that have one."
    )


DEFAULT_RETENTION = Retention(last=6, hourly=24, daily=7, weekly=4, monthly=6)


class Secrets(Section):
    """The files without which a restored database is useless."""

    files: tuple[AbsolutePath, ...] = Field(
        default=(), description="Files that go into every snapshot with their modes and owners."
    )


class Media(Section):
    """Uploaded files: in a folder, which Syncthing carries as it is, or in an object store, from which vaults fetch."""

    path: AbsolutePath | None = Field(
        default=None, description="Mastodon's public/system folder. Left out if the media are in an object store."
    )
    ignore: tuple[str, ...] = Field(
        default=("/cache",), description="What Syncthing does not carry, as Syncthing patterns; /cache is remote media."
    )
    sealed_path: AbsolutePath | None = Field(
        default=None,
        description="The folder of sealed copies for vaults that were invited with `--sealed-media`; it needs as much "
        "room as the media. If left out, `sealed-media` beside the repository.",
    )
    public_url: PublicUrl | None = Field(
        default=None,
        description="Where an object store's media are served to the web, like https://files.example.social: without "
        "the bucket's name if Mastodon has S3_ALIAS_HOST, with S3_KEY_PREFIX if there is one. Vaults fetch from there.",
    )
    compare_days: Annotated[int, Field(ge=0, le=3650, strict=True)] = Field(
        default=30,
        description="After how many days `permafrost run` compares the media with the database again, as `permafrost "
        "media compare` does. 0 for never.",
    )
    bucket: BucketName | None = Field(
        default=None,
        description="The bucket's own name, to list it. If left out, this and the four keys below are what Mastodon's "
        "variables in `[secrets] files` say.",
    )
    endpoint: Endpoint | None = Field(
        default=None, description="The object store's URL, to list it. If left out, beside `bucket`, that of AWS."
    )
    region: Region = Field(default=DEFAULT_REGION, description="The region of `bucket`, as its provider calls it.")
    prefix: Prefix = Field(default="", description="What comes before the media in `bucket`: S3_KEY_PREFIX.")
    credentials_file: SecretFile | None = Field(
        default=None,
        description="A file whose first line is ACCESS_KEY_ID:SECRET_ACCESS_KEY, mode 0400 or 0600, of a key that may "
        "list the bucket. If left out, Mastodon's own key.",
    )

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if (self.path is None) == (self.public_url is None):
            raise ValueError("needs path, if media are in a folder, or public_url, if they are in an object store")
        if self.path is not None and (self.bucket or self.credentials_file):
            raise ValueError("bucket and credentials_file go with public_url, not with path")
        if self.bucket is None and (self.endpoint or self.prefix or self.region != DEFAULT_REGION):
            raise ValueError("endpoint, region and prefix need bucket")
        return self


class Schedule(Section):
    """When `permafrost run` does what: cron expressions in local time, or "off". After a backup it prunes, too."""

    backup: CronExpression = Field(
        default="40 * * * *", description='When to back up; every minute is "* * * * *". One job runs at a time.'
    )
    audit: CronExpression = Field(
        default="30 3 * * *", description="When to make a backup that is also an audit; it counts as a backup."
    )
    drill: CronExpression = Field(default="0 4 * * 0", description="When to rehearse a restore.")
    hung_after_s: Annotated[int, Field(ge=1, le=604_800, strict=True)] = Field(
        default=7200,
        description="Stop a job as hung after this many seconds without output. "
        "This must be longer than PostgreSQL needs to build its largest index or to read its largest table.",
    )


class Syncthing(Section):
    """The Syncthing that carries repository and media to the vaults."""

    managed: Flag = Field(
        default=True, description="Whether permafrost runs a Syncthing of its own or uses an existing one."
    )
    home: AbsolutePath = Field(
        default=Path("/var/lib/permafrost/syncthing"), description="The managed instance's home."
    )
    gui: GuiAddress = Field(
        default="127.0.0.1:8385",
        description="Where the managed instance's REST API listens: host:port, or the absolute path of a Unix socket.",
    )
    listen: tuple[str, ...] = Field(
        default=("default",), description="Where it listens for vaults, as Syncthing listen addresses."
    )
    discovery: Flag = Field(
        default=True,
        description="Whether it announces itself and searches for vaults (local and global discovery, relays, NAT).",
    )
    announce: tuple[str, ...] = Field(default=(), description="Fixed addresses for invitations, as tcp://host:port.")
    url: str | None = Field(default=None, description="The REST address of an existing Syncthing (managed = false).")
    api_key_file: SecretFile | None = Field(
        default=None,
        description="A file with its API key, mode 0400 or 0600, or `credential:NAME` (managed = false).",
    )

    @model_validator(mode="after")
    def _a_running_one_needs_its_address(self) -> Self:
        if not self.managed and (self.url is None or self.api_key_file is None):
            raise ValueError("managed = false needs url and api_key_file")
        return self


class Promise(Section):
    """What is promised to the people on the server, and what a rehearsal of it took."""

    restore_minutes: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = Field(
        default=None, description="A restore of the database takes at most this many minutes, as drills measure it."
    )
    lost_minutes: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = Field(
        default=None, description="A disaster costs at most the last N minutes: a vault holds a snapshot that new."
    )
    by_hand_minutes: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = Field(
        default=None,
        description="How many minutes the steps of the runbook that are done by hand took when you rehearsed them. "
        "Nothing else can measure that; the forecast of `permafrost status` names it as yours.",
    )


def _loopback_or_socket(text: str) -> str:
    """Return the address if only this machine reaches it: the page has no password."""
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    name = host.removeprefix("[").removesuffix("]")
    if name != "localhost" and not (name and _is_loopback(name)):
        raise ValueError("must be an address of this machine alone, like 127.0.0.1:8390, or the path of a Unix socket")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("needs a port, like 127.0.0.1:8390")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Web(Section):
    """The page that shows what `status` shows. Off unless one of these is set; needs the extra `web`."""

    folder: AbsolutePath | None = Field(
        default=None,
        description="Write the page there as index.html, with status.json and permafrost.prom beside it, after each "
        "change. The folder must exist.",
    )
    listen: Annotated[str, AfterValidator(_loopback_or_socket)] | None = Field(
        default=None,
        description="Serve the page at this address: a port of this machine alone, like 127.0.0.1:8390, or the "
        "absolute path of a Unix socket. It has no password: put a web server with one in front.",
    )


class Server(Section):
    """The server's name on recovery sheets and on vaults."""

    name: Name = Field(
        default="mastodon", description="The server's name, usually its domain; also the folder's name on a vault."
    )


class DeclaredVault(Section):
    """A vault that is let in by its device id, without an invitation; pairing with `vault invite` needs no entry."""

    name: Name = Field(description="The vault's name; no other vault may have it.")
    device_id: DeviceId = Field(description="The device id that `permafrost vault id` prints on the vault.")
    addresses: tuple[DeviceAddress, ...] = Field(
        default=(), description="Where it listens, as tcp://HOST:PORT; empty to wait for it, and to use discovery."
    )
    sealed_media: Flag = Field(
        default=False,
        description="Whether it gets media sealed to the repository's key, instead of the media themselves.",
    )


class Mastodon(Section):
    """How Mastodon is installed, and what no file that permafrost can read says of it."""

    layout: Literal["official", "nixos", "docker", "yunohost"] = Field(
        default="official",
        description="Who installed it, which decides the commands of the runbook after a restore: Mastodon's guide, "
        "NixOS, docker compose or YunoHost.",
    )
    folder: AbsolutePath | None = Field(
        default=None,
        description="The folder of its code, or of its compose file. If left out, the usual one of that layout.",
    )
    local_domain: str | None = Field(default=None, description="LOCAL_DOMAIN, where no file in `[secrets]` sets it.")
    web_domain: str | None = Field(default=None, description="WEB_DOMAIN, where no file in `[secrets]` sets it.")
    version: str | None = Field(
        default=None, description="Mastodon's version, like 4.5.2, where it cannot be read from its folder."
    )


class Configuration(Section):
    """The whole file."""

    server: Server = Server()
    database: Database
    repository: RepositorySettings = RepositorySettings()
    state: State = State()
    encryption: Encryption
    signing: Signing = Signing()
    retention: Retention = DEFAULT_RETENTION
    secrets: Secrets = Secrets()
    media: Media | None = Field(
        default=None,
        description="Leave it out if media should not be copied, for instance because they are in an object store.",
    )
    schedule: Schedule = Schedule()
    syncthing: Syncthing = Syncthing()
    vaults: tuple[DeclaredVault, ...] = Field(
        default=(), description="One for each declared vault; those paired with `permafrost vault invite` need none."
    )
    buckets: tuple[Bucket, ...] = Field(
        default=(), description="One for each bucket; `permafrost bucket check` tries what it promises."
    )
    mastodon: Mastodon = Mastodon()
    promise: Promise = Promise()
    web: Web = Web()
    notify: tuple[Notify, ...] = Field(
        default=(), description="One for each receiver of alerts; `permafrost notify test` tries them."
    )

    hooks: tuple[Hook, ...] = Field(default=(), description="One for each command; they run in this order.")

    @property
    def sealed_media_path(self) -> Path | None:
        """Where the sealed copies of the media are, if there are any; None without media."""
        if self.media is None:
            return None
        return self.media.sealed_path or self.repository.path.parent / "sealed-media"

    @model_validator(mode="after")
    def _sealed_media_are_apart(self) -> Self:
        place = self.sealed_media_path
        if place is None:
            if any(vault.sealed_media for vault in self.vaults):
                raise ValueError("a vault has sealed_media = true, and there is no [media]")
            return self
        media = self.media.path if self.media is not None else None
        if media is None and any(vault.sealed_media for vault in self.vaults):
            raise ValueError("a vault has sealed_media = true, and [media] has no path: only a folder can be sealed")
        for other in (self.repository.path, *((media,) if media is not None else ())):
            if place == other or place in other.parents or other in place.parents:
                raise ValueError(
                    f"[media] sealed_path {place} is inside {other}, or contains it: give it a folder of its own"
                )
        return self

    @model_validator(mode="after")
    def _receivers_are_apart(self) -> Self:
        check_names_differ(self.notify)
        return self

    @model_validator(mode="after")
    def _buckets_are_apart(self) -> Self:
        check_bucket_names_differ(self.buckets)
        return self

    @model_validator(mode="after")
    def _vaults_are_apart(self) -> Self:
        for what, values in (
            ("name", [vault.name for vault in self.vaults]),
            ("device id", [vault.device_id for vault in self.vaults]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two vaults have the same {what}")
        return self
