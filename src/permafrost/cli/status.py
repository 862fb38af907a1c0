"""permafrost status."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.amounts import bytes_text, seconds_text
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.documents.status import StatusDocument, StatusFindingDocument, VaultStatusDocument
from permafrost.errors import EXIT_FINDINGS
from permafrost.findings import Finding
from permafrost.status.document import Status
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
    document = StatusDocument(
        snapshots=result.snapshots,
        newest=str(result.newest) if result.newest else None,
        newest_age_s=result.newest_age_s,
        newest_proven=str(result.newest_proven) if result.newest_proven else None,
        vaults=tuple(_vault(vault, now) for vault in result.vaults),
        findings=tuple(_finding(result, finding) for finding in result.findings),
    )
    lines = [f"{result.snapshots} snapshots in {configuration.repository.path}"]
    if result.newest is not None and result.newest_age_s is not None:
        lines.append(f"newest: {result.newest}, {seconds_text(max(0.0, result.newest_age_s))} old")
    if result.newest_proven is not None:
        age_s = (now - result.newest_proven.made_at).total_seconds()
        lines.append(f"newest that a drill has proven: {result.newest_proven}, {seconds_text(max(0.0, age_s))} old")
    else:
        lines.append("no snapshot is proven by a drill: permafrost drill")
    lines += [_vault_line(vault, now) for vault in result.vaults]
    for finding in result.findings:
        lines += [f"{finding.severity.word}: {finding.message}", f"    {finding.remedy}"]
    rendering.result(document, lines)
    return EXIT_FINDINGS if result.findings else 0


def _finding(result: Status, finding: Finding) -> StatusFindingDocument:
    known = result.known_since(finding)
    return StatusFindingDocument(
        **asdict(finding.document()),
        first_seen=known.first_at if known else None,
        last_seen=known.last_at if known else None,
    )


def _vault(vault: VaultReport, now: datetime) -> VaultStatusDocument:
    receipt, newest = vault.receipt, vault.newest
    since = receipt.all_verified_since if receipt else None
    return VaultStatusDocument(
        name=vault.name,
        newest=str(newest) if newest else None,
        newest_age_s=(now - newest.made_at).total_seconds() if newest else None,
        receipt_age_s=(now - receipt.written_at).total_seconds() if receipt else None,
        history_snapshots=receipt.history_snapshots if receipt else None,
        all_verified_since=since.isoformat() if since else None,
        free_bytes=receipt.free_bytes if receipt else None,
        media_files=receipt.media_files if receipt else None,
        problem=vault.problem or None,
    )


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
