"""permafrost bucket: copies in buckets of object stores."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.buckets.address import BucketAddress
from permafrost.buckets.extra import require_boto3
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.cli.shared.bucket_place import PlaceType
from permafrost.cli.shared.options import config_option, config_path, fingerprint_option, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault.options import maybe_path_option
from permafrost.config.buckets import Bucket
from permafrost.config.loading import load_configuration
from permafrost.documents.bucket import BucketUploadsDocument
from permafrost.errors import EXIT_FINDINGS, UsageError
from permafrost.repository.layout import Layout, parse_snapshot_choice
from permafrost.runs import RunRecords

if TYPE_CHECKING:
    from permafrost.operations.bucket.upload import UploadResult

_VERDICTS = {True: "yes", False: "NO", None: "?"}


@click.group("bucket")
def bucket() -> None:
    """Copy snapshots into buckets of object stores, and check what these promise."""


@bucket.command("upload")
@click.argument("name")
@maybe_path_option
@config_option
@json_option
@reporting
def upload_command(rendering: Rendering, name: str, root: Path | None, config_file: Path | None) -> None:
    """Put every snapshot into the bucket NAME of [[buckets]], the newest first.

    The service does it by itself. It resumes wherever it ended; a backup may run beside it. Everything that a snapshot
    needs is locked for `lock_days` at any time, if the bucket has Object Lock. What no snapshot needs any more is
    removed once its lock has run out. On a vault, it is the history of each server that the vault keeps.

    \b
    Examples:
      permafrost bucket upload cellar
      permafrost bucket upload cellar --path /srv/permafrost
    """
    wanted, sources, state = _sources(name, root, config_file)
    from permafrost.operations.bucket.upload import UploadRequest, upload_all  # noqa: PLC0415 - boto3 is an extra

    requests = [UploadRequest(wanted, repository, state, removed) for repository, removed in sources]
    results = upload_all(requests, report=rendering.report, clock=lambda: datetime.now(UTC))
    document = BucketUploadsDocument(tuple(result.document() for result in results))
    rendering.result(document, [line for result in results for line in _upload_lines(result)])


def _upload_lines(result: UploadResult) -> list[str]:
    sent = f"{count_text(result.files, 'file')}, {bytes_text(result.size_bytes)} in {seconds_text(result.duration_s)}"
    made, asked = count_text(len(result.snapshots), "new snapshot"), count_text(result.requests, "request")
    lines = [
        f"{made} in {result.bucket}: {sent}, {asked}",
        f"restore from it with: --repository '{result.address}'",
    ]
    if result.renewed or result.removed:
        lines.insert(1, f"renewed {count_text(result.renewed, 'lock')}, removed {count_text(result.removed, 'file')}")
    return lines


def _sources(
    name: str, root: Path | None, config_file: Path | None
) -> tuple[Bucket, list[tuple[Path, frozenset[str]]], Path]:
    """Return the bucket of that name, what goes into it, and the folder of its records.

    What goes into it are repositories, each with the snapshots that were removed from it on purpose.
    """
    if root is None:
        configuration = load_configuration(config_path(config_file))
        state = configuration.state.path
        removed = RunRecords(state, is_read_only=True).removed_by_prune()
        return chosen_bucket(configuration.buckets, name), [(configuration.repository.path, removed)], state
    from permafrost.status.vault_document import STATE, dropped_snapshots  # noqa: PLC0415 - for a vault alone
    from permafrost.vault.settings import open_vault  # noqa: PLC0415 - the same

    vault = open_vault(root)
    wanted = chosen_bucket(vault.settings.buckets, name)
    sources = [
        (vault.history(server), dropped_snapshots(vault, server))
        for server in vault.settings.servers
        if Layout(vault.history(server)).facts.exists()
    ]
    return wanted, sources, root / STATE


@bucket.command("check")
@click.argument("name")
@maybe_path_option
@config_option
@json_option
@reporting
def check_command(rendering: Rendering, name: str, root: Path | None, config_file: Path | None) -> int:
    """Try each promise on the bucket NAME of [[buckets]], and say what holds.

    Small objects are put into the bucket: with a wrong checksum, twice, locked, deleted and shortened again. Those that
    are locked stay for a few minutes. Exit code 3 if something does not hold that is needed.

    \b
    Examples:
      permafrost bucket check cellar
      permafrost bucket check cellar --path /srv/permafrost
    """
    wanted, sources, _ = _sources(name, root, config_file)
    if not sources:
        raise UsageError("this vault keeps no history yet", hint="check the bucket when the first snapshot has arrived")
    from permafrost.operations.bucket.check import check_bucket  # noqa: PLC0415 - boto3 is an extra

    repository, _ = sources[0]  # what is tried there is the same for each server
    result = check_bucket(wanted, repository, lambda: datetime.now(UTC))
    rows = [(_VERDICTS[probe.holds], probe.promise, probe.text) for probe in result.probes]
    rendering.result(result.document(), [f"{verdict:4} {promise:12} {text}" for verdict, promise, text in rows])
    return 0 if result.is_good else EXIT_FINDINGS


@bucket.command("fetch")
@click.argument("address", type=PlaceType())
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--credentials",
    "credentials_file",
    type=click.Path(path_type=Path),
    required=True,
    help="A file with a key that may read and list: ACCESS_KEY_ID:SECRET_ACCESS_KEY.",
)
@click.option("--snapshot", default="latest", show_default=True, help="An id, or latest.")
@click.option("--newest", type=click.IntRange(1), default=1, show_default=True, help="Fetch the newest N snapshots.")
@fingerprint_option
@json_option
@reporting
def fetch_command(
    rendering: Rendering,
    address: Path | BucketAddress,
    folder: Path,
    *,
    credentials_file: Path,
    snapshot: str,
    newest: int,
    fingerprint: str | None,
) -> None:
    """Fetch a repository at ADDRESS, s3://..., into FOLDER, and check signatures and names.

    Needs no configuration: the address, a key that may read, and the fingerprint are on the recovery sheet. It resumes
    a fetch that broke off. Then any command reads the folder: --repository FOLDER.

    \b
    Example:
      permafrost bucket fetch "s3://cellar/0123...?endpoint=https://s3.example.com" copy --credentials bucket-key
    """
    if not isinstance(address, BucketAddress):
        raise UsageError(f"{address} is not a bucket's address", hint="it begins with s3://; the recovery sheet has it")
    require_boto3()
    from permafrost.operations.bucket.fetch import FetchRequest, fetch  # noqa: PLC0415 - boto3 is an extra

    wanted = WantedSnapshots(parse_snapshot_choice(snapshot), most=newest)
    request = FetchRequest(address, credentials_file, fingerprint, wanted, folder)
    result = fetch(request, report=rendering.report, clock=lambda: datetime.now(UTC))
    size = f"{count_text(len(result.snapshots), 'snapshot')}, {bytes_text(result.size_bytes)} of objects"
    rendering.result(result.document(), [f"fetched {size}; read it with: --repository {shlex.quote(str(folder))}"])


def chosen_bucket(buckets: Sequence[Bucket], name: str) -> Bucket:
    """Return the bucket of that name; raise `UsageError` if there is none."""
    require_boto3()
    for found in buckets:
        if found.name == name:
            return found
    names = ", ".join(found.name for found in buckets)
    raise UsageError(f"there is no bucket {name}", hint=f"[[buckets]] has {names or 'none'}; see how-to/bucket.md")
