"""permafrost bucket: copies in buckets of object stores."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.buckets.address import BucketAddress
from permafrost.buckets.extra import require_boto3
from permafrost.buckets.wanted import WantedSnapshots
from permafrost.cli.shared.bucket_choice import choose_bucket, vault_path_option
from permafrost.cli.shared.bucket_place import Place, PlaceType
from permafrost.cli.shared.options import config_option, fingerprint_option, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.documents.bucket import BucketUploadsDocument
from permafrost.errors import EXIT_FINDINGS, UsageError
from permafrost.operations.bucket.each import each
from permafrost.repository.layout import parse_snapshot_choice

if TYPE_CHECKING:
    from permafrost.operations.bucket.upload import UploadResult

_VERDICTS = {True: "yes", False: "NO", None: "?"}


@click.group("bucket")
def bucket() -> None:
    """Copy snapshots into buckets of object stores, and check what these promise."""


@bucket.command("upload")
@click.argument("name")
@vault_path_option
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
    chosen = choose_bucket(name, root, config_file)
    from permafrost.operations.bucket.upload import UploadRequest, upload  # noqa: PLC0415 - boto3 is an extra

    requests = [UploadRequest(chosen.bucket, one.repository, chosen.state, one.removed) for one in chosen.sources]
    results = each(requests, lambda one: upload(one, report=rendering.report, clock=lambda: datetime.now(UTC)))
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


@bucket.command("check")
@click.argument("name")
@vault_path_option
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
    chosen = choose_bucket(name, root, config_file)
    from permafrost.operations.bucket.check import check_bucket  # noqa: PLC0415 - boto3 is an extra

    result = check_bucket(chosen.bucket, next(iter(chosen.repository_ids), None), lambda: datetime.now(UTC))
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
    address: Place,
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
        raise UsageError("ADDRESS is not a bucket's address", hint="it begins with s3://; the recovery sheet has it")
    require_boto3()
    from permafrost.operations.bucket.fetch import FetchRequest, fetch  # noqa: PLC0415 - boto3 is an extra

    wanted = WantedSnapshots(parse_snapshot_choice(snapshot), most=newest)
    request = FetchRequest(address, credentials_file, fingerprint, wanted, folder)
    result = fetch(request, report=rendering.report, clock=lambda: datetime.now(UTC))
    size = f"{count_text(len(result.snapshots), 'snapshot')}, {bytes_text(result.size_bytes)} of objects"
    rendering.result(result.document(), [f"fetched {size}; read it with: --repository {shlex.quote(str(folder))}"])
