"""permafrost vault history, verify and media: what a vault keeps by itself, and whether it is still whole."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.cli.shared.options import json_option, readers_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault.options import path_option, server_option
from permafrost.documents.vault_copies import VaultHistoryDocument, VaultVerifyDocument
from permafrost.errors import EXIT_FINDINGS, IntegrityError
from permafrost.operations.vault.history import ServerHistory, history_of
from permafrost.operations.vault.verify import verify_vault
from permafrost.vault.media.layout import lay_out_media
from permafrost.vault.settings import open_vault


@click.command("history")
@path_option
@server_option
@json_option
@reporting
def history_command(rendering: Rendering, *, root: Path, server_name: str | None) -> None:
    """List what the vault keeps of each server, out of its reach.

    Each history is a repository by itself. Restore from it as from any other, with the recovery sheet:

    \b
    Examples:
      permafrost vault history --path /srv/permafrost
      permafrost restore latest --repository /srv/permafrost/social.example/history \\
        --passphrase-file FILE --database NAME
    """
    histories = history_of(open_vault(root), server_name)
    lines = [line for history in histories for line in _lines_of(history)]
    rendering.result(
        VaultHistoryDocument(tuple(history.document() for history in histories)),
        lines or ["this vault keeps no server"],
    )


@click.command("verify")
@path_option
@server_option
@readers_option
@json_option
@reporting
def verify_command(rendering: Rendering, *, root: Path, server_name: str | None, jobs: int) -> int:
    """Read everything the vault keeps again, now, and compare it.

    `permafrost vault run` does this by itself, a part each day, and requests damaged objects from the server again.
    Works while it runs. Exit code 3 if something is missing, 14 if bytes or signatures are wrong.

    \b
    Example:
      permafrost vault verify --path /srv/permafrost
    """
    verified = verify_vault(open_vault(root), server_name, rendering.report, jobs)
    lines: list[str] = []
    for history in verified:
        result = history.result
        lines += [f"{history.server}: {finding.message}" for finding in result.findings]
        read = f"{count_text(result.snapshots, 'snapshot')}, {count_text(result.objects, 'object')}"
        found = count_text(len(result.findings), "finding") if result.findings else "all good"
        took = f"{bytes_text(result.size_bytes)} read in {seconds_text(result.duration_s)}"
        lines.append(f"{history.server}: {read}, {took}: {found}")
    rendering.result(
        VaultVerifyDocument(tuple(history.document() for history in verified)), lines or ["this vault keeps no server"]
    )
    if any(history.result.is_corrupt for history in verified):
        return IntegrityError.exit_code
    return EXIT_FINDINGS if any(history.result.findings for history in verified) else 0


@click.command("media")
@path_option
@click.option("--server", "server_name", required=True, help="Which server's media.")
@click.option("--snapshot", default=None, metavar="SNAPSHOT", help="As of when it arrived  [default: the newest]")
@click.option(
    "--to", "target", type=click.Path(path_type=Path), required=True, help="The folder to make, on the same disk."
)
@json_option
@reporting
def media_command(rendering: Rendering, *, root: Path, server_name: str, snapshot: str | None, target: Path) -> int:
    """Lay out a server's media as they were when a snapshot arrived.

    Files deleted or replaced since are included, for keep_removed_media_days. The new folder consists of links and
    takes no space; copy from it, for instance with rsync, and then remove it.

    \b
    Example:
      permafrost vault media --path /srv/permafrost --server social.example --to /srv/permafrost/media-to-restore
    """
    laid_out = lay_out_media(open_vault(root), server_name, snapshot, target, rendering.report)
    files = f"{count_text(laid_out.files, 'file')}, {bytes_text(laid_out.size_bytes)}"
    lines = [f"{files}, as of snapshot {laid_out.snapshot}, in {target}"]
    if laid_out.missing:
        lines.append(f"missing in the history: {count_text(laid_out.missing, 'file')}")
    rendering.result(laid_out.document(), lines)
    return EXIT_FINDINGS if laid_out.missing else 0


def _lines_of(one: ServerHistory) -> list[str]:
    lines = [f"{one.server}: {count_text(len(one.snapshots), 'snapshot')}, {bytes_text(one.size_bytes)}, in {one.path}"]
    for kept in one.snapshots:
        arrived = f"{kept.arrived_by_clock:%Y-%m-%d %H:%M} UTC" if kept.arrived_by_clock else "at an unknown time"
        lines.append(f"  {kept.snapshot}  arrived {arrived}  {bytes_text(kept.size_bytes)}")
    lines += [f"  {finding.severity.word}: {finding.code}: {finding.message}" for finding in one.findings]
    return lines
