"""permafrost drill."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.health import health_document, health_lines
from permafrost.cli.shared.amounts import seconds_text
from permafrost.cli.shared.choosing import at_option, check_choice, chosen
from permafrost.cli.shared.options import config_option, config_path, fingerprint_option, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.config.models import Configuration
from permafrost.errors import EXIT_FINDINGS
from permafrost.loading.scratch_server import DEFAULT_FOLDER
from permafrost.loading.source import source_of
from permafrost.operations.drill import DrillResult, state_of_vault
from permafrost.operations.drill import drill as run_drill


@click.command()
@click.argument("snapshot", required=False)
@at_option
@click.option("--repository", type=click.Path(path_type=Path), help="The repository's folder, on a server or a vault.")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="The file with the passphrase (mode 0600).")
@click.option("--secret-key-file", type=click.Path(path_type=Path), help="The secret key, if sealed to public keys.")
@fingerprint_option
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the throw-away server is made; else [state] scratch, else /var/tmp. A tmpfs is quickest.",
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Connections and index builds at once.")
@config_option
@json_option
@reporting
def drill(
    rendering: Rendering,
    *,
    snapshot: str | None,
    at: datetime | None,
    repository: Path | None,
    passphrase_file: Path | None,
    secret_key_file: Path | None,
    fingerprint: str | None,
    scratch: Path | None,
    jobs: int | None,
    config_file: Path | None,
) -> int:
    """Prove that SNAPSHOT comes back: restore it into a throw-away server, compare it, throw it away.

    SNAPSHOT is an id, or `latest`; with --at in its place the newest that is not after that moment; nothing at all
    means latest.

    It needs the repository, its key, room for the database, and PostgreSQL's server programs. The server that
    Mastodon uses is not touched, and need not be there. The throw-away one is in a folder of its own, listens on no
    network, and is gone afterwards; what a killed drill left is removed by the next. A Mastodon's database is examined
    too, as `permafrost check` does it, with the secrets that are in the snapshot; exit code 3 if that finds something.
    The verdict is kept: `permafrost status` tells the newest snapshot that is proven.

    \b
    Examples:
      permafrost drill
      permafrost drill latest --scratch /dev/shm
      permafrost drill --repository /srv/permafrost/social.example/history --passphrase-file passphrase
    """
    snapshot = snapshot or (None if at else "latest")
    check_choice(snapshot, at)
    configuration = _configuration(config_file, needed=repository is None)
    source = source_of(
        configuration,
        repository=repository,
        passphrase_file=passphrase_file,
        secret_key_file=secret_key_file,
        fingerprint=fingerprint,
    )
    is_own = configuration is not None and source.repository == configuration.repository.path
    result = run_drill(
        source,
        chosen(source, snapshot, at, rendering.report),
        scratch=scratch or (configuration.state.scratch if configuration else DEFAULT_FOLDER),
        state=configuration.state.path if configuration and is_own else state_of_vault(source.repository),
        jobs=jobs or (configuration.database.jobs if configuration else 2),
        report=rendering.report,
        now=datetime.now(UTC),
    )
    document = {
        "snapshot": str(result.snapshot),
        "verdict": "findings" if result.health and result.health.findings else "passed",
        "duration_s": result.duration_s,
        "restore_s": result.restore_s,
        "tables": result.tables,
        "rows": result.rows,
        "audited": result.is_audited,
        "health": health_document(result.health) if result.health else None,
    }
    rendering.result(document, _lines(result))
    return EXIT_FINDINGS if result.health and result.health.findings else 0


def _configuration(config_file: Path | None, *, needed: bool) -> Configuration | None:
    path = config_path(config_file)
    return load_configuration(path) if needed or config_file is not None else None


def _lines(result: DrillResult) -> list[str]:
    compared = "every row's digest and count is" if result.is_audited else "every table's row count is"
    size = f"{result.rows:,} rows of {result.tables} tables in {seconds_text(result.restore_s)}"
    lines = [f"{result.snapshot} comes back: {size}; {compared} as in the snapshot"]
    return [*lines, *health_lines(result.health)] if result.health else lines
