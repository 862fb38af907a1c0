"""permafrost prune."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, list_text
from permafrost.cli.shared.hooks import hooked
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.operations.prune import prune as prune_repository


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print what would be kept and removed.")
@config_option
@json_option
@reporting
def prune(rendering: Rendering, *, dry_run: bool, config_file: Path | None) -> None:
    """Remove snapshots that no rule in [retention] keeps, and unused objects.

    An object is unused if no remaining snapshot needs it. The newest snapshot always stays. Vaults follow, and keep
    what is removed here for 3 days in removed/, beside their copy of the repository.

    \b
    Example:
      permafrost prune --dry-run
    """
    configuration = load_configuration(config_path(config_file))
    with hooked(None if dry_run else configuration, "prune", rendering.report) as run:
        result = prune_repository(configuration, is_dry_run=dry_run, report=rendering.report, now=datetime.now(UTC))
        run.done(result.document())
    verb = "would remove" if dry_run else "removed"
    objects = count_text(result.objects_removed, "object")
    freed = "" if dry_run else f", {objects}, {bytes_text(result.bytes_freed)} freed"
    lines = [f"{verb} {snapshot}: no rule keeps it" for snapshot in result.removed]
    if dry_run:
        lines += [f"would keep {snapshot}: {_why(result.kept_by[snapshot])}" for snapshot in result.kept]
    rendering.result(result.document(), [*lines, f"kept {len(result.kept)}, {verb} {len(result.removed)}{freed}"])


def _why(rules: tuple[str, ...]) -> str:
    return list_text(rules) if rules else "its time is in the future, and no rule removes it"
