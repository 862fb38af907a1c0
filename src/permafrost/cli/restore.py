"""permafrost restore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.restore_table import TableWish, restore_table
from permafrost.cli.shared.amounts import seconds_text
from permafrost.cli.shared.choosing import at_option, check_choice, chosen
from permafrost.cli.shared.options import config_option, config_path, fingerprint_option, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.config.models import Configuration
from permafrost.errors import UsageError
from permafrost.loading.preflight import Target
from permafrost.loading.restored_runbook import write_runbook
from permafrost.loading.source import source_of
from permafrost.mastodon.runbook import steps_as_document
from permafrost.operations.restore import RestoreResult
from permafrost.operations.restore import restore as restore_snapshot
from permafrost.postgres.connection import conninfo_for


@click.command()
@click.argument("snapshot", required=False)
@at_option
@click.option(
    "--database", metavar="NAME", help="The database to make, with --replace to replace, with --table to add to."
)
@click.option("--table", metavar="SCHEMA.TABLE", help="Restore this table alone, into --schema or to --stdout.")
@click.option("--schema", metavar="NAME", help="With --table: the schema that it goes into; made if it is not there.")
@click.option("--stdout", "to_stdout", is_flag=True, help="With --table: its rows on stdout, as COPY text.")
@click.option("--replace", is_flag=True, help="Take the place of a database; it is kept under another name.")
@click.option("--repository", type=click.Path(path_type=Path), help="The repository's folder, on a server or a vault.")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="The file with the passphrase (mode 0600).")
@click.option("--secret-key-file", type=click.Path(path_type=Path), help="The secret key, if sealed to public keys.")
@fingerprint_option
@click.option("--server", metavar="CONNINFO", help="The PostgreSQL server, in libpq's form; else the configuration's.")
@click.option("--no-owner", is_flag=True, help="Leave owners and grants out; everything belongs to who restores.")
@click.option("--no-tablespaces", is_flag=True, help="Put everything into the server's default tablespace.")
@click.option("--secrets-to", type=click.Path(path_type=Path), metavar="DIR", help="Write the secrets here.")
@click.option(
    "--runbook",
    "runbook_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write here what to do next; else ./permafrost-runbook-NAME.txt. Nothing is overwritten.",
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Connections and index builds at once.")
@config_option
@json_option
@reporting
def restore(
    rendering: Rendering,
    *,
    snapshot: str | None,
    at: datetime | None,
    database: str | None,
    table: str | None,
    schema: str | None,
    to_stdout: bool,
    replace: bool,
    repository: Path | None,
    passphrase_file: Path | None,
    secret_key_file: Path | None,
    fingerprint: str | None,
    server: str | None,
    no_owner: bool,
    no_tablespaces: bool,
    secrets_to: Path | None,
    runbook_file: Path | None,
    jobs: int | None,
    config_file: Path | None,
) -> None:
    """Restore SNAPSHOT into a database.

    SNAPSHOT is an id as `permafrost snapshots` lists them (20261122T234000Z-0a1b2c3d), or `latest`. With --at in its
    place it is the newest that is not after that moment.

    The snapshot is checked first, then loaded under a working name, compared with what was backed up, and only
    then given its name. With --replace the database that is there is kept under another name, and both change
    places in one step. On disaster day no configuration is needed: a copy of the repository and the passphrase
    (or secret key) suffice.

    With --table one table alone goes into another schema of a database that is there, with its columns' types, not
    null and what defaults can be had, without keys and indexes; no table that is there is touched. With --stdout its
    rows are written as COPY text, and no server is needed.

    At the end it prints, and writes to a file, what a human has to do next: the runbook.

    Without --server and without a configuration PostgreSQL is reached as psql reaches it: by PGHOST, PGUSER and so
    on, else on this machine by the name of who runs this. The user postgres may do all that a restore needs.

    \b
    Examples:
      permafrost restore latest --database mastodon_test
      permafrost restore latest --database mastodon_production --replace
      permafrost restore --at "2026-11-22 14:00" --database mastodon_test
      permafrost restore latest --database mastodon_production --repository /srv/copy/repository \\
          --passphrase-file passphrase --fingerprint "1A2B ..." --secrets-to secrets
      permafrost restore latest --table public.accounts --database mastodon_production --schema rescued
      permafrost restore latest --table public.accounts --stdout > accounts.copy
      permafrost restore 20261122T234000Z-0a1b2c3d --database mastodon_test \\
          --server 'host=db.example.social user=postgres passfile=/root/pgpass'
    """
    check_choice(snapshot, at)
    if (schema is not None or to_stdout) and table is None:
        raise UsageError("--schema and --stdout go with --table", hint="say which: --table public.accounts")
    wish = TableWish(table, database, schema, to_stdout, as_json=rendering.as_json) if table is not None else None
    if wish is not None and (replace or secrets_to is not None or runbook_file is not None):
        raise UsageError("--replace, --secrets-to and --runbook do not go with --table", hint="leave them out")
    if database is None and wish is None:
        raise UsageError("no database was named", hint="give the name of the one to make: --database NAME")
    configuration = _configuration(config_file, needed=repository is None)
    source = source_of(
        configuration,
        repository=repository,
        passphrase_file=passphrase_file,
        secret_key_file=secret_key_file,
        fingerprint=fingerprint,
    )
    conninfo = server if server is not None else configuration.database.url if configuration else ""
    choice = chosen(source, snapshot, at, rendering.report)
    place = conninfo_for(conninfo, dbname="postgres")
    if wish is not None:
        restore_table(rendering, source, choice, wish, place)
        return
    assert database is not None  # noqa: S101 - checked above
    result = restore_snapshot(
        source,
        choice,
        Target(database, replaces=replace, with_owners=not no_owner, with_tablespaces=not no_tablespaces),
        server=place,
        secrets_to=secrets_to,
        jobs=jobs or (configuration.database.jobs if configuration else 2),
        report=rendering.report,
        now=datetime.now(UTC),
    )
    text = result.runbook.text()
    written = write_runbook(text, runbook_file, result.database, rendering.report)
    document = {
        "snapshot": str(result.snapshot),
        "database": result.database,
        "duration_s": result.duration_s,
        "tables": result.tables,
        "rows": result.rows,
        "audited": result.is_audited,
        "kept_as": result.kept_as,
        "secrets": [str(path) for path in result.secrets],
        "runbook": str(written) if written else None,
        "steps": steps_as_document(result.runbook.steps),
    }
    rendering.result(document, [*_lines(result), "", text])


def _configuration(config_file: Path | None, *, needed: bool) -> Configuration | None:
    path = config_path(config_file)
    if needed or config_file is not None:
        return load_configuration(path)
    return None


def _lines(result: RestoreResult) -> list[str]:
    compared = "every row's digest and count is" if result.is_audited else "every table's row count is"
    size = f"{result.rows:,} rows of {result.tables} tables in {seconds_text(result.duration_s)}"
    lines = [f"restored {result.snapshot} into {result.database}: {size}; {compared} as in the snapshot"]
    if result.kept_as:
        lines.append(f"the database that was there is kept as {result.kept_as}; drop it when you no longer need it")
    lines += [f"wrote {path}" for path in result.secrets]
    return lines
