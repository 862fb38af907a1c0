"""permafrost vault history and verify: what a vault keeps by itself, and whether it is still whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from permafrost.cli.amounts import bytes_text
from permafrost.cli.options import json_option, reporting
from permafrost.cli.rendering import Rendering
from permafrost.operations.keeping import ServerHistory, history_of
from permafrost.vault.settings import open_vault

path_option = click.option(
    "--path", "root", type=click.Path(path_type=Path, file_okay=False), required=True, help="The vault's folder."
)
server_option = click.option("--server", "server_name", default=None, help="Only this server; else all.")


@click.command("history")
@path_option
@server_option
@json_option
@reporting
def history_command(rendering: Rendering, *, root: Path, server_name: str | None) -> None:
    """On the vault: list what it keeps of each server, out of that server's reach.

    Each history is a repository by itself. Restore from it as from any other, with the recovery sheet:

    \b
    Examples:
      permafrost vault history --path /srv/permafrost
      permafrost restore latest --repository /srv/permafrost/social.example/history \\
        --passphrase-file FILE --database NAME
    """
    histories = history_of(open_vault(root), server_name)
    lines = [line for one in histories for line in _lines_of(one)]
    rendering.result({"servers": [_document(one) for one in histories]}, lines or ["this vault keeps no server"])


def _document(one: ServerHistory) -> dict[str, Any]:
    return {
        "server": one.server,
        "path": one.path,
        "snapshots": [
            {
                "snapshot": kept.snapshot,
                "arrived_at": kept.arrived_by_clock,
                "objects": kept.objects,
                "size_bytes": kept.size_bytes,
            }
            for kept in one.snapshots
        ],
        "objects": one.objects,
        "size_bytes": one.size_bytes,
        "free_bytes": one.free_bytes,
        "all_verified_since": one.oldest_verified_at,
        "findings": [asdict(finding) for finding in one.findings],
    }


def _lines_of(one: ServerHistory) -> list[str]:
    lines = [f"{one.server}: {len(one.snapshots)} snapshots, {bytes_text(one.size_bytes)}, in {one.path}"]
    for kept in one.snapshots:
        arrived = f"{kept.arrived_by_clock:%Y-%m-%d %H:%M} UTC" if kept.arrived_by_clock else "at an unknown time"
        lines.append(f"  {kept.snapshot}  arrived {arrived}  {bytes_text(kept.size_bytes)}")
    lines += [f"  {finding.kind}: {finding.message}" for finding in one.findings]
    return lines
