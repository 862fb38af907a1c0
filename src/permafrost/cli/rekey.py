"""permafrost rekey."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.events import Note
from permafrost.operations.rekey import rekey as change_key


@click.command()
@click.option(
    "--as-configured",
    is_flag=True,
    help="Use the passphrase or the recipients that the configuration names by now, instead of a new passphrase.",
)
@config_option
@json_option
@reporting
def rekey(rendering: Rendering, *, as_configured: bool, config_file: Path | None) -> None:
    """Seal backups with a new key from now on, and make a new recovery sheet.

    Makes a new passphrase, a full snapshot that is sealed with it, and a recovery sheet where the first one was
    written. Existing snapshots stay sealed with the old key: keep the old sheet until they are gone from every vault.
    If it is killed, run it again; until it is done, backups use the old key.

    Changed recipients, or another passphrase of your own: change them first, then run it with --as-configured.

    \b
    Examples:
      permafrost rekey
      permafrost rekey --as-configured
    """
    configuration = load_configuration(config_path(config_file))
    result = change_key(configuration, as_configured=as_configured, report=rendering.report, now=datetime.now(UTC))
    lines = [f"backups are sealed with the new key, from snapshot {result.snapshot} on"]
    if result.former_passphrase is not None:
        lines.append(f"the old passphrase, for older snapshots, is kept in {result.former_passphrase}")
    rendering.result(result.document(), lines)
    rendering.report(Note(f"print {result.sheet_file}, keep it away from this machine, and delete the file"))
    rendering.report(Note("keep the old sheet until no vault has snapshots of the old key any more"))
