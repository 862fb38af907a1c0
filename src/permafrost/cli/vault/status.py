"""permafrost vault status."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.layout import width
from permafrost.cli.shared.options import json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.shared.status_lines import attention_lines, place_lines, verdict_lines
from permafrost.cli.status import watch_option, watching
from permafrost.cli.vault.options import path_option
from permafrost.errors import EXIT_FINDINGS
from permafrost.status.vault_document import VaultStatus, vault_status


@click.command("status")
@path_option
@watch_option
@json_option
@reporting
def status_command(rendering: Rendering, *, root: Path, watch: bool) -> int:
    """Show whether each server could come back from this vault, and what needs attention.

    It only reads. Drills made on this vault count as proof; the vault itself can read nothing that it keeps. Exit code
    3 if something needs attention.

    \b
    Example:
      permafrost vault status --path /srv/permafrost
    """

    def show() -> int:
        found = vault_status(root, datetime.now(UTC))
        rendering.result(found.document(), vault_lines(found, width()))
        return EXIT_FINDINGS if found.findings else 0

    return watching(rendering, show) if watch else show()


def vault_lines(found: VaultStatus, columns: int) -> list[str]:
    """Return the vault's status as lines of at most `columns`."""
    verdicts = [line for server in found.servers for line in verdict_lines(server.verdict, columns, about=server.name)]
    places = tuple(server.place for server in found.servers)
    blocks = [
        verdicts or ["this vault keeps no server yet"],
        attention_lines(found.findings, [server.verdict for server in found.servers], columns),
        place_lines(places, found.as_of, found.zone, columns, here="") if places else [],
    ]
    return [line for block in blocks if block for line in ("", *block)][1:]
