"""permafrost vault receive and send-back: from a vault to a new server, on disaster day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.cli.shared.options import fingerprint_option, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.cli.vault.options import path_option, server_option
from permafrost.cli.vault.syncthing_options import syncthing_options, vault_syncthing
from permafrost.documents.vault_copies import VaultSendBackStopDocument
from permafrost.errors import EXIT_FINDINGS, IntegrityError, UsageError
from permafrost.events import Note
from permafrost.openpgp.fingerprints import in_groups
from permafrost.operations.vault.receive import DEFAULT_GUI, ReceivedBack, receive_back
from permafrost.operations.vault.send_back import SentBack, send_back, stop_sending_back
from permafrost.vault.settings import VaultSyncthing, open_vault


@click.command("receive")
@click.option(
    "--to",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder in which repository/ and media/ will be.",
)
@fingerprint_option
@click.option(
    "--valid-for",
    "valid_for_min",
    type=click.IntRange(1, 30 * 24 * 60),
    default=24 * 60,
    show_default=True,
    metavar="MINUTES",
    help="How long the vault may take to start.",
)
@syncthing_options
@json_option
@reporting
def receive_command(
    rendering: Rendering,
    *,
    root: Path,
    fingerprint: str | None,
    valid_for_min: int,
    listen: tuple[str, ...],
    gui: str | None,
    no_discovery: bool,
) -> int:
    """Get repository and media back from a vault, on a new server.

    Prints a line for the vault. Needs nothing of the old server but the recovery sheet, whose fingerprint says which
    signatures to trust. Both folders appear under their names when everything has arrived, every object was read, and
    every signature was checked. If it is interrupted, run it again: it resumes. Exit code 3 if something is missing, 14
    if bytes or signatures are wrong.

    \b
    Examples:
      permafrost vault receive --to /srv/copy --fingerprint "FINGERPRINT OF THE SHEET"
      permafrost vault receive --to /srv/copy --listen tcp://192.0.2.7:22000 --no-discovery
    """
    chosen = vault_syncthing(gui, listen, no_discovery=no_discovery) or {}

    def show_line(line: str) -> None:
        if rendering.as_json:
            rendering.report(Note(line))
        else:
            rendering.lines([line])
        rendering.report(Note("on the vault: permafrost vault send-back LINE --path DIR"))

    received = receive_back(
        root,
        fingerprint=fingerprint,
        syncthing=VaultSyncthing.model_validate({"gui": DEFAULT_GUI, **chosen}),
        valid_for=timedelta(minutes=valid_for_min),
        show_line=show_line,
        report=rendering.report,
    )
    rendering.result(received.document(), _received_lines(received, is_sure=fingerprint is not None))
    if received.verified.is_corrupt:
        return IntegrityError.exit_code
    return EXIT_FINDINGS if received.verified.findings else 0


@click.command("send-back")
@click.argument("line", required=False)
@path_option
@server_option
@click.option("--snapshot", default=None, metavar="SNAPSHOT", help="The media as of its arrival  [default: the newest]")
@click.option("--stop", "stops", is_flag=True, help="End one that was started: nothing more is sent.")
@json_option
@reporting
def send_back_command(
    rendering: Rendering,
    line: str | None,
    *,
    root: Path,
    server_name: str | None,
    snapshot: str | None,
    stops: bool,
) -> None:
    """Send what the vault keeps of a server to a new server.

    LINE is what `permafrost vault receive` prints there. The whole history is sent, as a repository, and the media of
    one moment. What the vault shares with the old server stays as it is. Works with or without `permafrost vault run`.
    If it is interrupted, run it again with the same line: it resumes. In the end nothing is shared with the new server
    any more.

    \b
    Examples:
      permafrost vault send-back permafrost-receive-1.eyJz... --path /srv/permafrost
      permafrost vault send-back --stop --path /srv/permafrost
    """
    vault = open_vault(root)
    if stops == (line is not None):
        raise UsageError("give the line of the new server, or --stop", hint="permafrost vault send-back --help")
    if line is None:
        name = stop_sending_back(vault, server_name)
        rendering.result(VaultSendBackStopDocument(name), [f"nothing of {name} is sent back any more"])
        return
    sent_back = send_back(vault, line, server_name=server_name, snapshot=snapshot, report=rendering.report)
    rendering.result(sent_back.document(), _sent_lines(sent_back))


def _sent_lines(one: SentBack) -> list[str]:
    media = f" and {count_text(one.sent.media.files, 'media file')}" if one.sent.media else ""
    what = f"{count_text(one.sent.snapshots, 'snapshot')}{media}"
    size = f"{bytes_text(one.sent.size_bytes)} in {seconds_text(one.duration_s)}"
    return [f"the new server has all of {one.server}: {what}, {size}"]


def _received_lines(one: ReceivedBack, *, is_sure: bool) -> list[str]:
    lines = [finding.message for finding in one.verified.findings]
    checked = f"{count_text(one.verified.snapshots, 'snapshot')}, {count_text(one.verified.objects, 'object')}"
    found = count_text(len(one.verified.findings), "finding") if one.verified.findings else "all good"
    lines.append(f"{one.repository}: {checked}: {found}")
    if one.media and one.sent.media:
        files = count_text(one.sent.media.files, "file")
        lines.append(f"{one.media}: {files}, {bytes_text(one.sent.media.size_bytes)}")
    if not is_sure:
        lines.append(f"signing key: {in_groups(one.verified.fingerprint)}; compare it with the recovery sheet")
    return lines
