"""permafrost verify and prune: whether the repository is whole, and what may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from permafrost.cli.shared.amounts import bytes_text, seconds_text
from permafrost.cli.shared.options import (
    config_option,
    config_path,
    fingerprint_option,
    json_option,
    reporting,
    repository_option,
)
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.documents.verify import VerifyDocument
from permafrost.errors import EXIT_FINDINGS, IntegrityError
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.prune import prune as prune_repository
from permafrost.operations.verify import DEFAULT_PATIENCE
from permafrost.operations.verify import verify as verify_repository


@click.command()
@repository_option
@fingerprint_option
@click.option(
    "--patience",
    type=click.IntRange(0),
    help="Minutes that missing files may still be on their way; 0 on the server itself, 360 elsewhere.",
)
@config_option
@json_option
@reporting
def verify(
    rendering: Rendering,
    *,
    repository: Path | None,
    fingerprint: str | None,
    patience: int | None,
    config_file: Path | None,
) -> int:
    """Check every object's hash, and every snapshot's signature and completeness. Needs no passphrase.

    Works on the server's repository and on a vault's copy alike. A snapshot that is still arriving is no
    finding. Exit code 3 if something is missing for too long, 14 if bytes or signatures are wrong. If an object of
    the server's own repository is damaged or gone, the next backup reads everything anew; snapshots that need the
    object are lost here, and may be whole on a vault.

    \b
    Examples:
      permafrost verify
      permafrost verify --repository /srv/vault/example.social/repository --fingerprint "1A2B ..."
    """
    waits = DEFAULT_PATIENCE
    state: Path | None = None
    if repository is None:
        configuration = load_configuration(config_path(config_file))
        repository, waits = configuration.repository.path, timedelta(0)
        fingerprint = fingerprint or configuration.signing.fingerprint
        state = configuration.state.path
    if patience is not None:
        waits = timedelta(minutes=patience)
    result = verify_repository(
        repository, fingerprint, patience=waits, report=rendering.report, now=datetime.now(UTC), state=state
    )
    trusted = "the one given" if fingerprint else "the folder's own: compare it with the recovery sheet"
    lines = [finding.message for finding in result.findings]
    if result.is_mended_next:
        lines.append("the next backup reads everything again, and needs none of it: permafrost backup")
    lines.append(
        f"{result.snapshots} snapshots ({result.in_flight} in flight), {result.objects} objects, "
        f"{bytes_text(result.size_bytes)} read in {seconds_text(result.duration_s)}: "
        + (f"{len(result.findings)} findings" if result.findings else "all good")
    )
    lines.append(f"signed by {in_groups(result.fingerprint)} ({trusted})")
    document = VerifyDocument(
        repository=str(repository),
        fingerprint=result.fingerprint,
        fingerprint_was_given=fingerprint is not None,
        snapshots=result.snapshots,
        in_flight=result.in_flight,
        objects=result.objects,
        bytes=result.size_bytes,
        unreferenced=result.unreferenced,
        duration_s=result.duration_s,
        findings=tuple(finding.document() for finding in result.findings),
    )
    rendering.result(document, lines)
    if result.is_corrupt:
        return IntegrityError.exit_code
    return EXIT_FINDINGS if result.findings else 0


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print what would be kept and removed.")
@config_option
@json_option
@reporting
def prune(rendering: Rendering, *, dry_run: bool, config_file: Path | None) -> None:
    """Remove snapshots that no rule of [retention] keeps, and objects that none uses.

    The newest snapshot always stays. Vaults follow, and keep what is removed here for 3 days in removed/, beside
    their copy of the repository.

    \b
    Example:
      permafrost prune --dry-run
    """
    configuration = load_configuration(config_path(config_file))
    result = prune_repository(configuration, is_dry_run=dry_run, report=rendering.report, now=datetime.now(UTC))
    verb = "would remove" if dry_run else "removed"
    freed = f", {result.objects_removed} objects, {bytes_text(result.bytes_freed)} freed" if not dry_run else ""
    lines = [f"{verb} {one}" for one in result.removed]
    rendering.result(result.document(), [*lines, f"kept {len(result.kept)}, {verb} {len(result.removed)}{freed}"])
