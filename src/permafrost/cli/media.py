"""permafrost media: the server's own media, in a folder or in an object store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.buckets.address import BucketAddress
from permafrost.buckets.extra import require_boto3
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.shared.status_lines import comparison_text
from permafrost.config.buckets import DEFAULT_REGION, BucketName, Endpoint, Prefix
from permafrost.config.loading import load_configuration
from permafrost.errors import EXIT_FINDINGS, UsageError
from permafrost.operations.media.compare import compare_media


@click.group("media")
def media() -> None:
    """Compare the media with the database, or bring them back into an object store."""


@media.command("compare")
@config_option
@json_option
@reporting
def compare_command(rendering: Rendering, *, config_file: Path | None) -> int:
    """Compare what the media folder or the object store holds with what the database needs.

    Files that rows name and that are missing, and files that no row names. Only names, sizes and times are read. An
    object store is listed, a thousand files with each request, with the key in Mastodon's .env.production or the one in
    `[media] credentials_file`. The service does so every 30 days (`[media] compare_days`). Exit code 3 if files are
    missing.

    \b
    Example:
      permafrost media compare
    """
    configuration = load_configuration(config_path(config_file))
    result = compare_media(configuration, report=rendering.report, now=datetime.now(UTC))
    document = result.document()
    lines = [
        comparison_text(document),
        *(f"missing: {path}" for path in document.first_missing),
        f"listed in {seconds_text(document.duration_s)}"
        + (f", with {count_text(document.requests, 'request')}" if document.is_store else ""),
    ]
    rendering.result(document, lines)
    return EXIT_FINDINGS if document.missing else 0


@media.command("push")
@click.option(
    "--from", "folder", type=click.Path(path_type=Path), required=True, help="The folder with the media, laid out."
)
@click.option("--bucket", required=True, help="Mastodon's S3_BUCKET.")
@click.option(
    "--credentials",
    type=click.Path(path_type=Path),
    required=True,
    help="A file with ACCESS_KEY_ID:SECRET_ACCESS_KEY of a key that may put and list, mode 0600.",
)
@click.option("--endpoint", help="Mastodon's S3_ENDPOINT. [default: that of AWS]")
@click.option("--region", default=DEFAULT_REGION, show_default=True, help="Mastodon's S3_REGION.")
@click.option("--prefix", default="", help="Mastodon's S3_KEY_PREFIX.")
@click.option("--acl", default="public-read", show_default=True, help="Mastodon's S3_PERMISSION; none to send none.")
@json_option
@reporting
def push_command(
    rendering: Rendering,
    folder: Path,
    bucket: str,
    credentials: Path,
    endpoint: str | None,
    region: str,
    prefix: str,
    acl: str,
) -> None:
    """Put every file below a folder into the bucket of a Mastodon.

    The folder is what `restore --media-to` or `vault media` has laid out. Each file gets the access that Mastodon gives
    it: files that others may not read, those of suspended accounts, become private. Where the bucket refuses access for
    single files, they are sent without. What the bucket has is left as it is, so a push that broke off resumes. Nothing
    is removed.

    \b
    Examples:
      permafrost media push --from media --bucket files --credentials key --endpoint https://s3.example.com
    """
    require_boto3()
    from permafrost.operations.media.push import MediaPushRequest, push_media  # noqa: PLC0415 - boto3 is an extra

    address = _address(bucket, endpoint, region, prefix)
    request = MediaPushRequest(folder, address, credentials, "" if acl == "none" else acl)
    result = push_media(request, rendering.report)
    pushed = result.pushed
    sent = f"{count_text(pushed.files, 'file')}, {bytes_text(pushed.size_bytes)} in {seconds_text(result.duration_s)}"
    lines = [f"{sent}; {count_text(pushed.present, 'file')} were in the bucket"]
    if pushed.closed and pushed.has_acl:
        lines.append(f"{count_text(pushed.closed, 'file')} of suspended accounts made private")
    rendering.result(result.document(), lines)


def _address(bucket: str, endpoint: str | None, region: str, prefix: str) -> BucketAddress:
    try:
        return BucketAddress(
            TypeAdapter(BucketName).validate_python(bucket),
            TypeAdapter(Prefix).validate_python(prefix.strip("/")),
            TypeAdapter(Endpoint).validate_python(endpoint) if endpoint else None,
            region,
        )
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UsageError(f"the bucket cannot be used: {reason}", unchanged="the bucket") from error
