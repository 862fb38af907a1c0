"""permafrost restore-table: one table of a snapshot, beside the live ones or as text."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from permafrost.amounts import count_text, seconds_text
from permafrost.cli.shared.reading import ReadRequest, reading, server_option
from permafrost.cli.shared.rendering import Rendering
from permafrost.errors import UsageError
from permafrost.operations.restore_table import RescuedTable, TableRequest, rescue_table, write_table


@click.command("restore-table")
@click.option("--table", metavar="SCHEMA.TABLE", required=True, help="The table to restore.")
@click.option("--database", metavar="NAME", help="The existing database to add it to.")
@click.option("--schema", metavar="NAME", help="The schema to add it to; created if it does not exist.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Write its rows to stdout as COPY text; needs no server.")
@server_option
@reading(has_jobs=False)
def restore_table(
    rendering: Rendering,
    request: ReadRequest,
    *,
    table: str,
    database: str | None,
    schema: str | None,
    to_stdout: bool,
    server: str | None,
) -> None:
    """Restore one table of SNAPSHOT beside the live ones, or to stdout.

    SNAPSHOT is an id, `latest`, or --at in its place. The table goes into another schema of an existing database, or
    its rows are written to stdout as COPY text. The new table has all rows and columns, with their types, NOT
    NULL, and the defaults that the database can have, but no keys and no indexes. No existing table is touched.

    \b
    Examples:
      permafrost restore-table latest --table public.accounts --database mastodon_production --schema rescued
      permafrost restore-table --at "2026-11-22 14:00" --table public.accounts --stdout > accounts.copy
    """
    if to_stdout:
        if database or schema or rendering.as_json:
            raise UsageError(
                "--stdout cannot be combined with --database, --schema or --json", hint="stdout is only for the rows"
            )
        write_table(request.source, request.choice, table, sys.stdout.buffer.write, rendering.report, datetime.now(UTC))
        sys.stdout.buffer.flush()
        return
    if not (database and schema):
        raise UsageError("--database was not given", hint="give --database NAME and --schema NAME, or --stdout")
    wanted = TableRequest(
        request.source, request.choice, table, server=request.server(server), database=database, schema=schema
    )
    result = rescue_table(wanted, report=rendering.report, now=datetime.now(UTC))
    rendering.result(result.document(), _lines(result))


def _lines(result: RescuedTable) -> list[str]:
    compared = "their digest and count are" if result.is_audited else "their count is"
    size = f"{count_text(result.rows, 'row')} in {seconds_text(result.duration_s)}"
    where = f"{result.rescued_as} in {result.database}"
    lines = [f"restored {result.table} of {result.snapshot} as {where}: {size}; {compared} as in the snapshot"]
    if result.defaults_left_out:
        lines.append(f"without the defaults of {', '.join(result.defaults_left_out)}")
    return [*lines, "it has no keys and no indexes; no other table was touched"]
