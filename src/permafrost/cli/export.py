"""permafrost export."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import bytes_text, seconds_text
from permafrost.cli.shared.reading import ReadRequest, reading
from permafrost.cli.shared.rendering import Rendering
from permafrost.errors import EXIT_FINDINGS
from permafrost.openpgp.sealing import RecipientSealing
from permafrost.openpgp.sealing_choice import sealing_of
from permafrost.operations.export import Exported, ExportRequest
from permafrost.operations.export import export as export_snapshot
from permafrost.postgres.programs.dump_program import DumpForm


@click.command()
@click.option("--format", "form", type=click.Choice(["custom", "plain"]), default="custom", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="[default: DATABASE-SNAPSHOT.dump.gpg]")
@click.option("--plaintext", is_flag=True, help="Write the file unencrypted: anyone who can read it reads everything.")
@reading(scratch_use="a throw-away server is made, for a snapshot of the log engine")
def export(rendering: Rendering, request: ReadRequest, *, form: DumpForm, output: Path | None, plaintext: bool) -> int:
    """Write SNAPSHOT as a standard dump file, for pg_restore, psql or any other tool.

    SNAPSHOT is an id, `latest`, or --at in its place. gpg encrypts the file as the repository: with the passphrase,
    or to its public keys. The file appears complete, with mode 0600, and never replaces another.

    A snapshot of the dump engine is written as it is stored. One of the log engine is first restored and compared in
    a throw-away server below --scratch, which needs PostgreSQL's server programs and room for the database. What its
    rows do not allow, such as a unique index over duplicates, is named; a plain file has it at its end, to be run once
    the rows are cleaned up. Exit code 3 if the file lacks something: a custom file does then.

    \b
    Examples:
      permafrost export latest
      permafrost export latest --format plain --output mastodon.sql.gpg
      gpg --decrypt mastodon.dump.gpg | pg_restore --dbname copy
    """
    configuration = request.configuration
    sealing = sealing_of(configuration.encryption) if configuration and not plaintext else None
    wanted = ExportRequest(
        request.source,
        request.choice,
        form,
        output,
        is_sealed=not plaintext,
        scratch=request.scratch,
        recipients=sealing if isinstance(sealing, RecipientSealing) else None,
        jobs=request.jobs,
        is_sandboxed=request.is_sandboxed,
    )
    result = export_snapshot(wanted, report=rendering.report, now=datetime.now(UTC))
    rendering.result(result.document(), _lines(result))
    return 0 if result.is_whole else EXIT_FINDINGS


def _lines(result: Exported) -> list[str]:
    size = f"{bytes_text(result.size_bytes)} in {seconds_text(result.duration_s)}"
    file = shlex.quote(str(result.file))
    reader = "pg_restore --dbname NAME" if result.form == "custom" else "psql --dbname NAME"
    command = f"gpg --decrypt {file} | {reader}" if result.is_sealed else f"{reader} < {file}"
    lines = [f"wrote {result.snapshot} to {result.file}: {size}", f"read it with: {command}"]
    if result.missing:
        where = "stands at the end of the file" if result.is_whole else "is NOT in the file"
        lines += [f"PostgreSQL refused this, which {where}:", *result.missing]
    return lines
