"""permafrost verify."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
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
from permafrost.config.loading import load_configuration
from permafrost.errors import EXIT_FINDINGS, IntegrityError
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.verify import DEFAULT_PATIENCE
from permafrost.operations.verify import verify as verify_repository


@click.command()
@repository_option
@fingerprint_option
@click.option(
    "--patience",
    type=click.IntRange(0),
    help="Minutes that missing files may still be in transit  [default: 0 on the server itself, 360 elsewhere]",
)
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
    jobs: int,
    config_file: Path | None,
) -> int:
    """Check every object's hash, and every snapshot's signature and completeness. Needs no passphrase.

    Works on the server's repository and on a vault's copy. A snapshot that is still arriving is not a finding. Exit
    code 3 if something has been missing for too long, 14 if bytes or signatures are wrong. If an object of the
    server's own repository is damaged or missing, the next backup reads everything again; snapshots that need the
    object cannot be restored from here, but perhaps from a vault.

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
        repository, fingerprint, patience=waits, report=rendering.report, now=datetime.now(UTC), state=state, jobs=jobs
    )
    trusted = "the one given" if fingerprint else "the folder's own: compare it with the recovery sheet"
    lines = [finding.message for finding in result.findings]
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
