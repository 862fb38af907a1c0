"""permafrost backup."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.cli.shared.hooks import hooked
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.operations.backup import BackupResult, back_up


@click.command()
@click.option(
    "--full", is_flag=True, help="Read every row again, as the first backup did; the dump engine always does."
)
@click.option("--audit", is_flag=True, help="Also store a digest of every table's rows, for a drill to compare.")
@click.option("--wait", is_flag=True, help="Wait until every paired vault holds the snapshot; exit code 17 if not.")
@click.option(
    "--wait-timeout",
    type=click.IntRange(1),
    default=3600,
    show_default=True,
    help="Give up after this many seconds without progress.",
)
@config_option
@json_option
@reporting
def backup(
    rendering: Rendering, *, full: bool, audit: bool, wait: bool, wait_timeout: int, config_file: Path | None
) -> None:
    """Make one snapshot of the database and the secrets.

    It reads the database as of one moment, and compresses and encrypts it before anything is written to disk. A run
    that fails or is killed publishes nothing, and the next one starts cleanly. Syncthing sends the snapshot to the
    vaults.

    \b
    Examples:
      permafrost backup
      permafrost backup --audit --wait
    """
    configuration = load_configuration(config_path(config_file))
    with hooked(configuration, "audit" if audit else "backup", rendering.report) as run:
        result = back_up(
            configuration,
            is_audited=audit,
            is_full=full,
            wait_timeout_s=wait_timeout if wait else None,
            report=rendering.report,
            now=datetime.now(UTC),
        )
        run.done(result.document())
    lines = [_summary(result), _work(result), *(f"held by vault {vault}" for vault in result.held_by)]
    rendering.result(result.document(), lines)


def _work(result: BackupResult) -> str:
    """Return where the time went, as far as it shows."""
    parts = (f"{work} {seconds:.2f} s" for work, seconds in result.work_s.items() if seconds >= 0.005)
    return f"time by work, workers added up: {', '.join(parts)}"


def _summary(result: BackupResult) -> str:
    audited = ", audited" if result.is_audited else ""
    took = f"{bytes_text(result.bytes_new)} in {seconds_text(result.duration_s)}{audited}"
    if result.engine == "dump":
        rows = f"{count_text(result.rows_new, 'row')} of {count_text(result.tables, 'table')}"
        return f"snapshot {result.snapshot}: {rows}, {took}"
    changes = f"{count_text(result.rows_new, 'new row version')}, {result.rows_gone:,} gone"
    return f"snapshot {result.snapshot}: {changes}: {took}; a full one holds {bytes_text(result.snapshot_bytes)}"
