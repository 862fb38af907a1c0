"""permafrost restore --table: the words for one table, and what is said of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from permafrost.cli.shared.amounts import seconds_text
from permafrost.cli.shared.rendering import Rendering
from permafrost.errors import UsageError
from permafrost.loading.source import Source
from permafrost.repository.layout import SnapshotId

if TYPE_CHECKING:
    from permafrost.operations.restore_table import RescuedTable


@dataclass(frozen=True, slots=True)
class TableWish:
    """Which table, and where to: a database and a schema, or stdout."""

    table: str
    database: str | None
    schema: str | None
    is_for_stdout: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Raise `UsageError` unless the words name one place."""
        if self.is_for_stdout and (self.database or self.schema or self.as_json):
            raise UsageError(
                "--stdout does not go with --database, --schema and --json", hint="stdout is for the rows alone"
            )
        if not self.is_for_stdout and not (self.database and self.schema):
            raise UsageError(
                "a table needs a place to go", hint="give --database NAME and --schema NAME, or --stdout for its rows"
            )


def restore_table(
    rendering: Rendering, source: Source, choice: SnapshotId | None, wish: TableWish, server: str
) -> None:
    """Restore the table where it is wished."""
    # what a whole restore need not wait for
    from permafrost.operations.restore_table import rescue_table, write_table  # noqa: PLC0415

    if wish.is_for_stdout:
        write_table(source, choice, wish.table, sys.stdout.buffer.write, rendering.report)
        sys.stdout.buffer.flush()
        return
    result = rescue_table(
        source,
        choice,
        wish.table,
        server=server,
        database=wish.database or "",
        schema=wish.schema or "",
        report=rendering.report,
    )
    document = {
        "snapshot": str(result.snapshot),
        "table": str(result.table),
        "database": wish.database,
        "rescued_as": str(result.rescued_as),
        "rows": result.rows,
        "audited": result.is_audited,
        "defaults_left_out": list(result.defaults_left_out),
        "duration_s": result.duration_s,
    }
    rendering.result(document, _lines(result, wish))


def _lines(result: RescuedTable, wish: TableWish) -> list[str]:
    compared = "their digest and count are" if result.is_audited else "their count is"
    size = f"{result.rows:,} rows in {seconds_text(result.duration_s)}"
    where = f"{result.rescued_as} in {wish.database}"
    lines = [f"restored {result.table} of {result.snapshot} as {where}: {size}; {compared} as in the snapshot"]
    if result.defaults_left_out:
        lines.append(f"without the defaults of {', '.join(result.defaults_left_out)}")
    return [*lines, "it has no keys and no indexes; no other table was touched"]
