"""permafrost verify."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.buckets.address import address_of
from permafrost.cli.shared.bucket_choice import choose_bucket, vault_path_option
from permafrost.cli.shared.options import (
    config_option,
    config_path,
    fingerprint_option,
    json_option,
    readers_option,
    reporting,
    repository_option,
)
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.buckets import Bucket
from permafrost.config.loading import load_configuration
from permafrost.documents.bucket import BucketVerificationsDocument
from permafrost.errors import EXIT_FINDINGS, IntegrityError, UsageError
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.bucket.each import each
from permafrost.operations.verify import DEFAULT_PATIENCE
from permafrost.operations.verify import verify as verify_repository
from permafrost.repository.repository import Repository

if TYPE_CHECKING:
    from permafrost.operations.bucket.verify import BucketVerifyResult


@dataclass(frozen=True, slots=True)
class BucketOptions:
    """What is verified of which bucket, with which key; `root` is the folder of the vault whose bucket it is."""

    name: str
    root: Path | None
    credentials_file: Path | None
    asks_sums: bool
    minutes: float


@click.command()
@repository_option
@fingerprint_option
@click.option(
    "--patience",
    type=click.IntRange(0),
    help="Minutes that missing files may still be in transit  [default: 0 on the server itself, 360 elsewhere]",
)
@click.option("--bucket", metavar="NAME", help="Verify the bucket NAME of [[buckets]] instead, without a download.")
@click.option("--bucket-credentials", type=click.Path(path_type=Path), help="A key that may read and list it.")
@click.option("--checksums", is_flag=True, help="With --bucket: ask the store for every file's SHA-256.")
@click.option("--minutes", type=click.FloatRange(0), help="With --bucket: also download and compare for so long.")
@vault_path_option
@readers_option
@config_option
@json_option
@reporting
def verify(
    rendering: Rendering,
    *,
    repository: Path | None,
    fingerprint: str | None,
    patience: int | None,
    bucket: str | None,
    bucket_credentials: Path | None,
    checksums: bool,
    minutes: float | None,
    root: Path | None,
    jobs: int,
    config_file: Path | None,
) -> int:
    """Check every object's hash, and every snapshot's signature and completeness. Needs no passphrase.

    Works on the server's repository and on a vault's copy. A snapshot that is still arriving is not a finding. Exit
    code 3 if something has been missing for too long, 14 if bytes or signatures are wrong. If an object of the
    server's own repository is damaged or missing, the next backup reads everything again; snapshots that need the
    object cannot be restored from here, but perhaps from a vault.

    With --bucket, one listing shows whether every version that was uploaded is still there, hidden or not. What is
    missing or damaged is uploaded again. Exit code 14 then. With --path it is the bucket of that vault.

    \b
    Examples:
      permafrost verify
      permafrost verify --repository /srv/vault/example.social/repository --fingerprint "1A2B ..."
      permafrost verify --bucket cellar --minutes 10
    """
    if bucket is not None:
        given = BucketOptions(bucket, root, bucket_credentials, checksums, minutes or 0.0)
        return _verify_bucket(rendering, given, config_file)
    if bucket_credentials is not None or checksums or minutes is not None or root is not None:
        raise UsageError("--bucket-credentials, --checksums, --minutes and --path need --bucket NAME")
    waits = DEFAULT_PATIENCE
    state: Path | None = None
    buckets: tuple[Bucket, ...] = ()
    if repository is None:
        configuration = load_configuration(config_path(config_file))
        repository, waits = configuration.repository.path, timedelta(0)
        fingerprint = fingerprint or configuration.signing.fingerprint
        state, buckets = configuration.state.path, configuration.buckets
    if patience is not None:
        waits = timedelta(minutes=patience)
    result = verify_repository(
        repository, fingerprint, patience=waits, report=rendering.report, now=datetime.now(UTC), state=state, jobs=jobs
    )
    trusted = "the one given" if fingerprint else "the folder's own: compare it with the recovery sheet"
    lines = [finding.message for finding in result.findings]
    if result.findings:
        lines += _elsewhere(buckets, repository)
    if result.is_mended_next:
        lines.append("the next backup reads everything again, and needs none of it: permafrost backup")
    read = f"{count_text(result.snapshots, 'snapshot')} ({result.in_flight} in flight)"
    objects = f"{count_text(result.objects, 'object')}, {bytes_text(result.size_bytes)} read"
    found = count_text(len(result.findings), "finding") if result.findings else "all good"
    lines.append(f"{read}, {objects} in {seconds_text(result.duration_s)}: {found}")
    lines.append(f"signed by {in_groups(result.fingerprint)} ({trusted})")
    rendering.result(result.document(repository, fingerprint_was_given=fingerprint is not None), lines)
    if result.is_corrupt:
        return IntegrityError.exit_code
    return EXIT_FINDINGS if result.findings else 0


def _elsewhere(buckets: Iterable[Bucket], repository: Path) -> Iterator[str]:
    """Yield where else the snapshots may be whole: what is lost here may be in a bucket."""
    for bucket in buckets:
        address = address_of(bucket, Repository.open(repository).repository_id)
        yield f"{bucket.name} may have it whole: permafrost bucket fetch '{address}' FOLDER --credentials FILE"


def _verify_bucket(rendering: Rendering, options: BucketOptions, config_file: Path | None) -> int:
    chosen = choose_bucket(options.name, options.root, config_file)
    credentials_file = options.credentials_file or chosen.bucket.read_credentials_file
    if credentials_file is None:
        raise UsageError("no key that may read the bucket was given", hint="give --bucket-credentials FILE")
    from permafrost.operations.bucket.verify import BucketVerifyRequest, verify_bucket  # noqa: PLC0415 - an extra

    requests = [
        BucketVerifyRequest(
            chosen.bucket, one.repository, chosen.state, credentials_file, options.asks_sums, options.minutes * 60
        )
        for one in chosen.sources
    ]
    results = each(requests, lambda one: verify_bucket(one, report=rendering.report, clock=lambda: datetime.now(UTC)))
    documents = tuple(result.document() for result in results)
    lines = [line for result in results for line in _bucket_lines(result)]
    if options.root is None:
        rendering.result(documents[0], lines)
    else:
        rendering.result(BucketVerificationsDocument(documents), lines or ["this vault keeps no history yet"])
    return IntegrityError.exit_code if any(result.bad for result in results) else 0


def _bucket_lines(result: BucketVerifyResult) -> list[str]:
    if not result.snapshots and not result.bad:
        return [f"no snapshot is known to be in {result.bucket} yet: permafrost bucket upload {result.bucket}"]
    files = f"{count_text(result.files, 'file')} of {count_text(result.snapshots, 'snapshot')}"
    found = f"{count_text(len(result.bad), 'file')} missing or damaged" if result.bad else "all good"
    how = f"{result.downloaded} downloaded, {count_text(result.requests, 'request')}, {seconds_text(result.duration_s)}"
    lines = [f"{result.bucket}: {path} is missing or damaged" for path in result.bad]
    return [*lines, f"{files} in {result.bucket}, {how}: {found}"]
