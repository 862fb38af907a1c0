"""permafrost check."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from permafrost.amounts import count_text
from permafrost.cli.health import health_lines
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.reading import server_option
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.documents.restore import CheckDocument
from permafrost.errors import EXIT_FINDINGS
from permafrost.operations.check import check_database
from permafrost.postgres.connection import conninfo_for


@click.command()
@click.argument("database")
@server_option
@click.option(
    "--env-file",
    "env_files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Mastodon's .env.production; may be given more than once  [default: [secrets] files]",
)
@click.option("--media", type=click.Path(path_type=Path), help="Mastodon's public/system, or a copy of it.")
@click.option(
    "--missing-media-to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the path of every missing file here, one per line; the file must not exist yet.",
)
@config_option
@json_option
@reporting
def check(
    rendering: Rendering,
    *,
    database: str,
    server: str | None,
    env_files: tuple[Path, ...],
    media: Path | None,
    missing_media_to: Path | None,
    config_file: Path | None,
) -> int:
    """Examine DATABASE, and whether Mastodon's secrets and media belong to it.

    Works on a restored database and on the live one, and changes nothing. Of any database it checks that every unique
    index, exclusion constraint and foreign key holds, reading the tables themselves and never an index, and that every
    row can be read and holds valid text. What breaks one of these is backed up, but cannot be restored whole; the SQL
    that lists it is printed.

    Of a Mastodon database it also reports the schema version and the release that it belongs to. It proves the secrets:
    it decrypts real second factors and keys of the database, and signs with a local account's key. It compares
    LOCAL_DOMAIN with the posts and, with --media, lists missing files of local accounts. Exit code 3 if there is a
    finding.

    \b
    Examples:
      permafrost check mastodon_test
      permafrost check mastodon_production --env-file secrets/.env.production --media /home/mastodon/live/public/system
    """
    path = config_path(config_file)
    configuration = load_configuration(path) if config_file is not None or path.exists() else None
    conninfo = server if server is not None else configuration.database.url if configuration else ""
    files = env_files or (configuration.secrets.files if configuration else ())
    with ExitStack() as stack:
        listed = stack.enter_context(missing_media_to.open("x")) if missing_media_to else None
        report = check_database(
            conninfo_for(conninfo, dbname=database),
            files,
            media,
            missing_to=(lambda file: listed.write(f"{file}\n")) if listed else None,
            report=rendering.report,
        )
    findings = len(report.findings)
    last = count_text(findings, "finding") if findings else "nothing needs attention"
    rendering.result(CheckDocument.of(database, report.document()), [*health_lines(report), last])
    return EXIT_FINDINGS if findings else 0
