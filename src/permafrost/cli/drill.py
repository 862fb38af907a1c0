"""permafrost drill."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import count_text, seconds_text
from permafrost.cli.health import health_lines
from permafrost.cli.shared.hooks import hooked
from permafrost.cli.shared.reading import ReadRequest, reading
from permafrost.cli.shared.rendering import Rendering
from permafrost.documents.restore import DrillDocument
from permafrost.errors import EXIT_FINDINGS, UsageError
from permafrost.events import Reporter
from permafrost.operations.drill import DrillRequest, DrillResult, state_of_vault
from permafrost.operations.drill import drill as run_drill
from permafrost.service.drill_asking import drill_by_unit


@click.command()
@click.option("--audited", is_flag=True, help="Take the newest audited snapshot, as the schedule does.")
@click.option(
    "--ask-unit",
    "unit",
    metavar="SOCKET",
    type=click.Path(path_type=Path),
    help="Have permafrost-drill.service do it; the service says so.",
)
@reading(default="latest", scratch_use="the throw-away server is made; a tmpfs is fastest")
def drill(rendering: Rendering, request: ReadRequest, *, audited: bool, unit: Path | None) -> int:
    """Prove that SNAPSHOT can be restored, by restoring it into a throw-away server.

    SNAPSHOT is an id, or `latest`, the default. It is restored, compared, and thrown away. A drill needs the
    repository, its key, room for the database, PostgreSQL's server programs, and bubblewrap. It neither touches nor
    needs the server that Mastodon uses: the throw-away one runs in a sandbox that shows it nothing but its own data,
    and is removed afterwards; the next drill removes what a killed one left.

    The restored database is also examined as by `permafrost check`, a Mastodon's with the secrets in the snapshot.
    The verdict is recorded: `permafrost status` shows the newest proven snapshot, and of a bucket of the configuration
    whether a restore from the bucket itself has succeeded. Exit code 3 if there are findings.

    \b
    Examples:
      permafrost drill
      permafrost drill latest --scratch /dev/shm
      permafrost drill --repository bucket:cellar --bucket-credentials reading-key
      permafrost drill --repository /srv/permafrost/social.example/history --passphrase-file passphrase
    """
    with hooked(request.configuration, "drill", rendering.report) as run:
        document, lines = _drilled(request, rendering.report, audited=audited, unit=unit)
        has_findings = document.verdict == "findings"
        run.done(document, has_findings=has_findings)
    rendering.result(document, lines)
    return EXIT_FINDINGS if has_findings else 0


def _drilled(
    request: ReadRequest, report: Reporter, *, audited: bool, unit: Path | None
) -> tuple[DrillDocument, Sequence[str]]:
    if unit is not None:
        return _by_unit(unit, request, report, audited=audited)
    wanted = DrillRequest(
        request.source,
        request.choice,
        scratch=request.scratch,
        state=_state(request),
        jobs=request.jobs,
        is_sandboxed=request.is_sandboxed,
        prefers_audited=audited,
        bucket=request.own_bucket,
    )
    result = run_drill(wanted, report=report, now=datetime.now(UTC))
    return result.document(), drill_lines(result)


def _by_unit(
    unit: Path, request: ReadRequest, report: Reporter, *, audited: bool
) -> tuple[DrillDocument, Sequence[str]]:
    """Have the unit drill what it always drills; hooks run here, where there is a network."""
    configuration = request.configuration
    if configuration is None or not (audited and request.choice is None and request.own_state):
        raise UsageError(
            "--ask-unit goes with --audited and no snapshot: the unit drills its configuration's newest audited one",
            unchanged="everything; no drill was run",
        )
    return drill_by_unit(unit, configuration, report)


def _state(request: ReadRequest) -> Path | None:
    """Return the folder that keeps the verdict: of the server if the repository is its own, or of a vault."""
    if request.own_bucket is not None and request.configuration is not None:
        return request.configuration.state.path
    return request.own_state or state_of_vault(request.source.repository)


def drill_lines(result: DrillResult) -> list[str]:
    """Return what a person reads of a drill."""
    compared = "every row's digest and count is" if result.is_audited else "every table's row count is"
    rows = f"{count_text(result.rows, 'row')} of {count_text(result.tables, 'table')}"
    size = f"{rows} in {seconds_text(result.restore_s)}"
    lines = [f"{result.snapshot} restores: {size}; {compared} as in the snapshot"]
    if result.missing:
        lines = [f"{result.snapshot} restores, and is NOT WHOLE: {size}; this cannot be restored:", *result.missing]
    return [*lines, *health_lines(result.health)]
