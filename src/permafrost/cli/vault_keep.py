"""permafrost vault history, verify and media: what a vault keeps by itself, and whether it is still whole."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.cli.shared.amounts import bytes_text, seconds_text
from permafrost.cli.shared.options import json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.documents.vault_copies import VaultHistoryDocument, VaultVerifyDocument
from permafrost.errors import EXIT_FINDINGS, IntegrityError
from permafrost.operations.vault.history import ServerHistory, history_of
from permafrost.operations.vault.verify import verify_vault
from permafrost.vault.media_layout import lay_out_media
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
    rendering.result(
        VaultHistoryDocument(tuple(one.document() for one in histories)), lines or ["this vault keeps no server"]
    )


@click.command("verify")
@path_option
@server_option
@json_option
@reporting
def verify_command(rendering: Rendering, *, root: Path, server_name: str | None) -> int:
    """On the vault: read all that it keeps again, now, and compare it.

    `permafrost vault run` does this by itself, a slice a day, and asks the server again for what is damaged. Works
    while it runs. Exit code 3 if something is missing, 14 if bytes or signatures are wrong.

    \b
    Example:
      permafrost vault verify --path /srv/permafrost
    """
    verified = verify_vault(open_vault(root), server_name, rendering.report)
    lines: list[str] = []
    for one in verified:
        result = one.result
        lines += [f"{one.server}: {finding.message}" for finding in result.findings]
        lines.append(
            f"{one.server}: {result.snapshots} snapshots, {result.objects} objects, {bytes_text(result.size_bytes)} "
            f"read in {seconds_text(result.duration_s)}: "
            + (f"{len(result.findings)} findings" if result.findings else "all good")
        )
    rendering.result(
        VaultVerifyDocument(tuple(one.document() for one in verified)), lines or ["this vault keeps no server"]
    )
    if any(one.result.is_corrupt for one in verified):
        return IntegrityError.exit_code
    return EXIT_FINDINGS if any(one.result.findings for one in verified) else 0


@click.command("media")
@path_option
@click.option("--server", "server_name", required=True, help="Which server's media.")
@click.option("--snapshot", default=None, metavar="SNAPSHOT", help="As of when it came; else the newest.")
@click.option(
    "--to", "target", type=click.Path(path_type=Path), required=True, help="The folder to make, on the same disk."
)
@json_option
@reporting
def media_command(rendering: Rendering, *, root: Path, server_name: str, snapshot: str | None, target: Path) -> int:
    """On the vault: lay out a server's media as they were when a snapshot came.

    Files that were deleted or replaced since are as they were, for keep_removed_media_days. The new folder is made of
    links and takes no room; copy from it, as with rsync, and then remove it.

    \b
    Example:
      permafrost vault media --path /srv/permafrost --server social.example --to /srv/permafrost/media-to-restore
    """
    laid_out = lay_out_media(open_vault(root), server_name, snapshot, target, rendering.report)
    lines = [
        f"{laid_out.files} files, {bytes_text(laid_out.size_bytes)}, as of snapshot {laid_out.snapshot}, in {target}"
    ]
    if laid_out.missing:
        lines.append(f"{laid_out.missing} files are missing in the history")
    rendering.result(laid_out.document(), lines)
    return EXIT_FINDINGS if laid_out.missing else 0


def _lines_of(one: ServerHistory) -> list[str]:
    lines = [f"{one.server}: {len(one.snapshots)} snapshots, {bytes_text(one.size_bytes)}, in {one.path}"]
    for kept in one.snapshots:
        arrived = f"{kept.arrived_by_clock:%Y-%m-%d %H:%M} UTC" if kept.arrived_by_clock else "at an unknown time"
        lines.append(f"  {kept.snapshot}  arrived {arrived}  {bytes_text(kept.size_bytes)}")
    lines += [f"  {finding.severity.word}: {finding.code}: {finding.message}" for finding in one.findings]
    return lines
