"""permafrost bucket: copies in buckets of object stores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.buckets.extra import require_boto3
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.buckets import Bucket
from permafrost.config.loading import load_configuration
from permafrost.config.models import Configuration
from permafrost.errors import UsageError

_NICE = 10
"""How much an upload steps back behind a backup that runs beside it."""


@click.group("bucket")
def bucket() -> None:
    """Copy snapshots into buckets of object stores, and check what these promise."""


@bucket.command("upload")
@click.argument("name")
@config_option
@json_option
@reporting
def upload_command(rendering: Rendering, name: str, config_file: Path | None) -> None:
    """Put every snapshot into the bucket NAME of [[buckets]], the newest first.

    The service does it by itself. It resumes wherever it ended; a backup may run beside it. Everything that a snapshot
    needs is locked for `lock_days` at any time, if the bucket has Object Lock. What no snapshot needs any more is
    removed once its lock has run out.

    \b
    Example:
      permafrost bucket upload cellar
    """
    configuration = load_configuration(config_path(config_file))
    wanted = chosen_bucket(configuration, name)
    from permafrost.operations.bucket.upload import UploadRequest, upload  # noqa: PLC0415 - boto3 is an extra

    os.nice(_NICE)
    request = UploadRequest(wanted, configuration.repository.path, configuration.state.path)
    result = upload(request, report=rendering.report, clock=lambda: datetime.now(UTC))
    sent = f"{count_text(result.files, 'file')}, {bytes_text(result.size_bytes)} in {seconds_text(result.duration_s)}"
    made, asked = count_text(len(result.snapshots), "new snapshot"), count_text(result.requests, "request")
    lines = [
        f"{made} in {name}: {sent}, {asked}",
        f"restore from it with: --repository '{result.address}'",
    ]
    if result.renewed or result.removed:
        lines.insert(1, f"renewed {count_text(result.renewed, 'lock')}, removed {count_text(result.removed, 'file')}")
    rendering.result(result.document(), lines)


def chosen_bucket(configuration: Configuration, name: str) -> Bucket:
    """Return the configured bucket of that name; raise `UsageError` if there is none."""
    require_boto3()
    return named_bucket(configuration.buckets, name)


def named_bucket(buckets: Sequence[Bucket], name: str) -> Bucket:
    """Return the bucket of that name; raise `UsageError` if there is none."""
    for found in buckets:
        if found.name == name:
            return found
    names = ", ".join(found.name for found in buckets)
    raise UsageError(f"there is no bucket {name}", hint=f"[[buckets]] has {names or 'none'}; see how-to/bucket.md")
