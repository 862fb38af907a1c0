"""permafrost status."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.amounts import bytes_text, count_text, seconds_text
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.errors import EXIT_FINDINGS
from permafrost.status.document import status as look
from permafrost.vault.report import VaultReport


@click.command()
@config_option
@json_option
@reporting
def status(rendering: Rendering, *, config_file: Path | None) -> int:
    """Show the newest snapshot, its age and proof, and what needs attention.

    Exit code 3 if something does.

    \b
    Example:
      permafrost status --json
    """
    configuration = load_configuration(config_path(config_file))
    now = datetime.now(UTC)
    result = look(configuration, now)
    lines = [f"{count_text(result.snapshots, 'snapshot')} in {configuration.repository.path}"]
    if result.newest is not None and result.newest_age_s is not None:
        lines.append(f"newest: {result.newest}, {seconds_text(max(0.0, result.newest_age_s))} old")
    if result.newest_proven is not None:
        age_s = (now - result.newest_proven.made_at).total_seconds()
        lines.append(f"newest that a drill has proven: {result.newest_proven}, {seconds_text(max(0.0, age_s))} old")
    else:
        lines.append("no snapshot has been proven by a drill: permafrost drill")
    lines += [_vault_line(vault, now) for vault in result.vaults]
    for finding in result.findings:
        lines += [f"{finding.severity.word}: {finding.message}", f"    {finding.remedy}"]
    rendering.result(result.document(now), lines)
    return EXIT_FINDINGS if result.findings else 0


def _vault_line(vault: VaultReport, now: datetime) -> str:
    if vault.receipt is None:
        return f"vault {vault.name}: {vault.problem or 'no receipt yet'}"
    said = f"{seconds_text(max(0.0, (now - vault.receipt.written_at).total_seconds()))} ago"
    free = f"{bytes_text(vault.receipt.free_bytes)} free"
    if vault.newest is None:
        return f"vault {vault.name}: no snapshot in its history yet; {free}; receipt of {said}"
    age = seconds_text(max(0.0, (now - vault.newest.made_at).total_seconds()))
    kept = f"{vault.receipt.history_snapshots} in its history, {free}"
    return f"vault {vault.name}: has checked and keeps {vault.newest}, {age} old; {kept}; receipt of {said}"
