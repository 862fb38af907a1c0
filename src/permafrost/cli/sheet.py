"""permafrost sheet: what a human has to do with the recovery sheet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.asking import ask_secret
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.loading.source import source_of
from permafrost.operations.sheet_prove import prove_sheet


@click.group("sheet")
def sheet() -> None:
    """Prove that the recovery sheet opens the backups."""


@sheet.command("prove")
@click.option("--secret-key-file", type=click.Path(path_type=Path), help="The secret key, if sealed to public keys.")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="That key's own passphrase (mode 0600).")
@config_option
@json_option
@reporting
def prove(
    rendering: Rendering, config_file: Path | None, secret_key_file: Path | None, passphrase_file: Path | None
) -> None:
    """Show that the recovery sheet still opens the newest snapshot.

    Asks for two groups of the passphrase on the sheet, and compares them with the passphrase that opens the newest
    snapshot. It is recorded, and `permafrost status` reminds you after [encryption] prove_sheet_days. Only a human can
    notice that the passphrase on the server was exchanged. If sealed to public keys, the secret key has to open the
    snapshot: do it on a machine that you trust with the key.

    \b
    Example:
      permafrost sheet prove
    """
    configuration = load_configuration(config_path(config_file))
    source = source_of(
        configuration,
        repository=None,
        passphrase_file=passphrase_file if secret_key_file else None,
        secret_key_file=secret_key_file,
        fingerprint=None,
    )
    now = datetime.now(UTC)
    proof = prove_sheet(source, configuration.state.path, ask=ask_secret, report=rendering.report, now=now)
    rendering.result(proof.document(), [f"the recovery sheet opens the newest snapshot, {proof.snapshot}"])
