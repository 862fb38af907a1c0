"""permafrost drill."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import count_text, seconds_text
from permafrost.cli.health import health_lines
from permafrost.cli.shared.hooks import hooked
from permafrost.cli.shared.reading import ReadRequest, reading
from permafrost.cli.shared.rendering import Rendering
from permafrost.errors import EXIT_FINDINGS
from permafrost.operations.drill import DrillRequest, DrillResult, state_of_vault
from permafrost.operations.drill import drill as run_drill


@click.command()
@click.option("--audited", is_flag=True, help="Take the newest audited snapshot, as the schedule does.")
@reading(default="latest", scratch_use="the throw-away server is made; a tmpfs is fastest")
def drill(rendering: Rendering, request: ReadRequest, *, audited: bool) -> int:
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
    with hooked(request.configuration, "drill", rendering.report) as run:
        result = run_drill(wanted, report=rendering.report, now=datetime.now(UTC))
        run.done(result.document(), has_findings=result.has_findings)
    rendering.result(result.document(), _lines(result))
    return EXIT_FINDINGS if result.has_findings else 0


def _state(request: ReadRequest) -> Path | None:
    """Return the folder that keeps the verdict: of the server if the repository is its own, or of a vault."""
    if request.own_bucket is not None and request.configuration is not None:
        return request.configuration.state.path
    return request.own_state or state_of_vault(request.source.repository)


def _lines(result: DrillResult) -> list[str]:
    compared = "every row's digest and count is" if result.is_audited else "every table's row count is"
    rows = f"{count_text(result.rows, 'row')} of {count_text(result.tables, 'table')}"
    size = f"{rows} in {seconds_text(result.restore_s)}"
    lines = [f"{result.snapshot} restores: {size}; {compared} as in the snapshot"]
    if result.missing:
        lines = [f"{result.snapshot} restores, and is NOT WHOLE: {size}; this cannot be restored:", *result.missing]
    return [*lines, *health_lines(result.health)]
