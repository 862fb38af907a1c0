"""The options of every command that reads a snapshot, resolved in one place into one `ReadRequest`.

Options win over the configuration. With --repository no configuration is needed: on disaster day there is none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from permafrost.buckets.wanted import WantedSnapshots
from permafrost.cli.shared.asking import typed_passphrase
from permafrost.cli.shared.bucket_place import NamedBucket, Place, PlaceType, folder_of, in_bucket
from permafrost.cli.shared.choosing import at_option, check_choice, chosen
from permafrost.cli.shared.options import config_option, config_path, fingerprint_option, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.config.models import DEFAULT_SCRATCH, Configuration
from permafrost.errors import UsageError
from permafrost.events import Reporter
from permafrost.loading.source import Source, source_of
from permafrost.postgres.connection import conninfo_for, named_database
from permafrost.repository.layout import SnapshotId, parse_snapshot_choice

_DEFAULT_JOBS = 2
_MOST_AUDITED = 30
_PATH = click.Path(path_type=Path)

Command = Callable[..., Any]
server_option = click.option(
    "--server",
    metavar="CONNINFO",
    help="The PostgreSQL server  [default: the configuration's, or psql's]",
)


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Which snapshot is read, from where, with what.

    `choice` is None for the newest snapshot. `scratch` is the folder for a throw-away server, which `is_sandboxed`
    unless the configuration says otherwise, `jobs` the number of connections. `configuration` is None where the options
    alone suffice.
    """

    configuration: Configuration | None
    source: Source
    choice: SnapshotId | None
    scratch: Path
    jobs: int
    is_sandboxed: bool = True
    own_bucket: str | None = None
    """The name of the configured bucket from which the configuration's own repository is read, None otherwise."""

    @property
    def is_own_repository(self) -> bool:
        """Whether the repository is the one that the configuration names."""
        return self.configuration is not None and self.source.repository == self.configuration.repository.path

    @property
    def own_state(self) -> Path | None:
        """The state folder of the repository's own server, None if it is read elsewhere."""
        return self.configuration.state.path if self.configuration and self.is_own_repository else None

    def server(self, given: str | None) -> str:
        """Return the connection string of the PostgreSQL server to restore to: the option's, or the configuration's.

        With neither it is empty but for the database, and libpq connects as psql does. The option may name the database
        from which others are made, as a managed server may let nobody into `postgres`.
        """
        if given is not None and named_database(given):
            return conninfo_for(given)
        configured = self.configuration.database.url if self.configuration else ""
        return conninfo_for(configured if given is None else given, dbname="postgres")


def reading(
    *, default: str | None = None, scratch_use: str | None = None, has_jobs: bool = True
) -> Callable[[Command], Command]:
    """Add SNAPSHOT, --at and the options of reading, --config and --json, and run the command as `reporting` does.

    The command gets its `Rendering` and a `ReadRequest`, then its own options. `default` is the snapshot if neither
    SNAPSHOT nor --at is given; None means that one of them is required. --scratch exists if `scratch_use` says what
    it is for.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_request(
            rendering: Rendering,
            *,
            snapshot: str | None,
            at: datetime | None,
            config_file: Path | None,
            scratch: Path | None = None,
            jobs: int | None = None,
            repository: Place | None,
            bucket_credentials: Path | None,
            passphrase_file: Path | None,
            ask_passphrase: bool,
            secret_key_file: Path | None,
            fingerprint: str | None,
            **own: object,
        ) -> int | None:
            if ask_passphrase and passphrase_file is not None:
                raise UsageError("give --passphrase-file or --ask-passphrase, not both")
            snapshot = snapshot or (default if at is None else None)
            check_choice(snapshot, at)
            is_configured = repository is None or config_file is not None or isinstance(repository, NamedBucket)
            configuration = load_configuration(config_path(config_file)) if is_configured else None
            place = scratch or (configuration.state.scratch if configuration else DEFAULT_SCRATCH)
            wanted = WantedSnapshots(
                parse_snapshot_choice(snapshot) if snapshot else None, at, _MOST_AUDITED if own.get("audited") else 1
            )
            bucket = in_bucket(repository, bucket_credentials, configuration)
            own_bucket = bucket.name if bucket is not None else None
            if own_bucket is not None and configuration is not None:
                fingerprint = fingerprint or configuration.signing.fingerprint
            with (
                typed_passphrase() if ask_passphrase else nullcontext(passphrase_file) as given,
                folder_of(repository, bucket, fingerprint, wanted, place, rendering.report) as (folder, fetch),
            ):
                source = source_of(
                    configuration,
                    repository=folder,
                    passphrase_file=given,
                    secret_key_file=secret_key_file,
                    fingerprint=fingerprint,
                )
                source = replace(source, fetch=fetch)
                request = _request(configuration, source, snapshot, at, scratch, jobs, rendering.report)
                request = replace(request, own_bucket=own_bucket)
                code: int | None = command(rendering, request, **own)
                return code

        decorated: Command = reporting(with_request)
        for option in reversed(_options(scratch_use, has_jobs=has_jobs)):
            decorated = option(decorated)
        return decorated

    return decorate


def _request(
    configuration: Configuration | None,
    source: Source,
    snapshot: str | None,
    at: datetime | None,
    scratch: Path | None,
    jobs: int | None,
    report: Reporter,
) -> ReadRequest:
    return ReadRequest(
        configuration=configuration,
        source=source,
        choice=chosen(source, snapshot, at, report),
        scratch=scratch or (configuration.state.scratch if configuration else DEFAULT_SCRATCH),
        jobs=jobs or (configuration.database.jobs if configuration else _DEFAULT_JOBS),
        is_sandboxed=configuration is None or configuration.state.sandbox != "off",
    )


def _options(scratch_use: str | None, *, has_jobs: bool) -> list[Command]:
    """Return the options in the order in which help shows them."""
    options = [
        click.argument("snapshot", required=False),
        at_option,
        click.option(
            "--repository", type=PlaceType(), help="The repository's folder, its address in a bucket, or bucket:NAME."
        ),
        click.option(
            "--bucket-credentials", type=_PATH, help="For a bucket: a file with a key that may read and list."
        ),
        click.option("--passphrase-file", type=_PATH, help="The file with the passphrase (mode 0600)."),
        click.option("--ask-passphrase", is_flag=True, help="Ask for the passphrase on the recovery sheet instead."),
        click.option("--secret-key-file", type=_PATH, help="The secret key, if sealed to public keys."),
        fingerprint_option,
    ]
    if scratch_use is not None:
        folder = click.Path(path_type=Path, exists=True, file_okay=False)
        words = f"Where {scratch_use}  [default: [state] scratch, or {DEFAULT_SCRATCH}]"
        options.append(click.option("--scratch", type=folder, help=words))
    if has_jobs:
        words = f"Work on several at once  [default: [database] jobs, or {_DEFAULT_JOBS}]"
        options.append(click.option("--jobs", type=click.IntRange(1, 64), help=words))
    return [*options, config_option, json_option]
