"""permafrost export."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.amounts import bytes_text, seconds_text
from permafrost.cli.shared.choosing import at_option, check_choice, chosen
from permafrost.cli.shared.options import config_option, config_path, fingerprint_option, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.loading.source import source_of
from permafrost.openpgp.sealing import RecipientSealing
from permafrost.openpgp.sealing_choice import sealing_of
from permafrost.operations.export import Exported, ExportRequest
from permafrost.operations.export import export as export_snapshot
from permafrost.postgres.dump_program import DumpForm


@click.command()
@click.argument("snapshot", required=False)
@at_option
@click.option("--format", "form", type=click.Choice(["custom", "plain"]), default="custom", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Else a telling name in this folder.")
@click.option("--plaintext", is_flag=True, help="Do not seal the file. Who reads it reads everything.")
@click.option("--repository", type=click.Path(path_type=Path), help="The repository's folder, on a server or a vault.")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="The file with the passphrase (mode 0600).")
@click.option("--secret-key-file", type=click.Path(path_type=Path), help="The secret key, if sealed to public keys.")
@fingerprint_option
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default="/var/tmp",  # noqa: S108 - a folder of its own is made in it, closed to all others
    show_default=True,
    help="Where a server may be made for the time of the export, if the snapshot is a log's.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Connections at once.")
@config_option
@json_option
@reporting
def export(
    rendering: Rendering,
    *,
    snapshot: str | None,
    at: datetime | None,
    form: DumpForm,
    output: Path | None,
    plaintext: bool,
    repository: Path | None,
    passphrase_file: Path | None,
    secret_key_file: Path | None,
    fingerprint: str | None,
    scratch: Path,
    jobs: int,
    config_file: Path | None,
) -> None:
    """Write SNAPSHOT as a standard dump file, for pg_restore, psql or any other tool.

    SNAPSHOT is an id, `latest`, or --at in its place. The file is sealed by gpg as the repository is: with the
    passphrase, or to its public keys. It appears whole, with mode 0600, and never over another.

    A snapshot of the dump engine is written out as it lies. One of the log engine is first restored, with all that
    a restore checks, into a server of its own in --scratch, which needs PostgreSQL's server programs and room.

    \b
    Examples:
      permafrost export latest
      permafrost export latest --format plain --output mastodon.sql.gpg
      gpg --decrypt mastodon.dump.gpg | pg_restore --dbname copy
    """
    check_choice(snapshot, at)
    configuration = load_configuration(config_path(config_file)) if repository is None or config_file else None
    source = source_of(
        configuration,
        repository=repository,
        passphrase_file=passphrase_file,
        secret_key_file=secret_key_file,
        fingerprint=fingerprint,
    )
    sealing = sealing_of(configuration.encryption) if configuration and not plaintext else None
    result = export_snapshot(
        source,
        chosen(source, snapshot, at, rendering.report),
        ExportRequest(form, output, not plaintext, scratch),
        recipients=sealing if isinstance(sealing, RecipientSealing) else None,
        jobs=jobs,
        report=rendering.report,
        now=datetime.now(UTC),
    )
    document = {
        "snapshot": str(result.snapshot),
        "file": str(result.file),
        "format": form,
        "sealed": not plaintext,
        "bytes": result.size_bytes,
        "duration_s": result.duration_s,
    }
    rendering.result(document, _lines(result, form, is_sealed=not plaintext))


def _lines(result: Exported, form: DumpForm, *, is_sealed: bool) -> list[str]:
    size = f"{bytes_text(result.size_bytes)} in {seconds_text(result.duration_s)}"
    file = shlex.quote(str(result.file))
    reader = "pg_restore --dbname NAME" if form == "custom" else "psql --dbname NAME"
    command = f"gpg --decrypt {file} | {reader}" if is_sealed else f"{reader} < {file}"
    return [f"wrote {result.snapshot} to {result.file}: {size}", f"read it with: {command}"]
