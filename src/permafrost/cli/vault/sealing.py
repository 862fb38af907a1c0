"""permafrost vault seal-media."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.errors import EXIT_FINDINGS
from permafrost.operations.vault.seal_media import SealMediaResult, seal_media


@click.command("seal-media")
@config_option
@json_option
@reporting
def seal_media_command(rendering: Rendering, *, config_file: Path | None) -> int:
    """Seal the media that have changed, for vaults invited with --sealed-media.

    On the server. The service does it by itself after each backup, and once an hour. It can be stopped anywhere, and
    resumes. A backup may run beside it. Exit code 3 if files could not be read.

    \b
    Example:
      permafrost vault seal-media
    """
    configuration = load_configuration(config_path(config_file))
    result = seal_media(configuration, report=rendering.report, now=datetime.now(UTC))
    rendering.result(result.document(), _lines(result))
    return EXIT_FINDINGS if result.not_sealed_count else 0


def _lines(result: SealMediaResult) -> list[str]:
    sealed = f"{count_text(result.sealed, 'new file')} ({bytes_text(result.sealed_bytes)})"
    held = f"{count_text(result.files, 'file')} ({bytes_text(result.files_bytes)})"
    lines = [
        f"sealed {sealed} in {seconds_text(result.duration_s)}; {count_text(result.removed, 'file')} gone",
        f"the store has {held} in {count_text(result.objects, 'object')} ({bytes_text(result.objects_bytes)})",
    ]
    if result.not_sealed_count:
        paths = "; ".join(result.not_sealed)
        lines.append(f"{count_text(result.not_sealed_count, 'path')} not sealed: {paths}")
    return lines
