"""permafrost restore."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from permafrost.amounts import bytes_text, count_text, seconds_text
from permafrost.cli.shared.reading import ReadRequest, reading, server_option
from permafrost.cli.shared.rendering import Rendering
from permafrost.errors import EXIT_FINDINGS, UsageError
from permafrost.loading.media.laying_out import MediaRequest
from permafrost.loading.preflight import Target
from permafrost.operations.restore import RestoreRequest, RestoreResult
from permafrost.operations.restore import restore as restore_snapshot

Command = Callable[..., Any]


def _point_to_restore_table(_context: click.Context, _parameter: click.Parameter, given: object) -> None:
    if given:
        raise click.UsageError("one table is restored by: permafrost restore-table latest --table SCHEMA.TABLE ...")


def _moved(*words: str, is_flag: bool = False) -> Callable[[Command], Command]:
    """Return an option that restore had once; it is answered before any other, with the command that has it now."""
    return click.option(
        *words, is_flag=is_flag, is_eager=True, hidden=True, expose_value=False, callback=_point_to_restore_table
    )


@click.command(
    epilog="""\b
Examples:
  permafrost restore latest --database mastodon_test
  permafrost restore latest --database mastodon_production --repository /srv/copy/repository \\
      --passphrase-file passphrase --fingerprint "1A2B ..." --secrets-to secrets
"""
)
@click.option("--database", metavar="NAME", required=True, help="The database to create, or with --replace to replace.")
@click.option("--replace", is_flag=True, help="Replace an existing database; it is kept under another name.")
@click.option("--existing", is_flag=True, help="Load into an existing, empty database, if you may not create any.")
@server_option
@click.option("--no-owner", is_flag=True, help="Restore no owners and grants: the restoring user owns everything.")
@click.option("--role", metavar="OWNER", help="Restore as this role, which then owns everything; implies --no-owner.")
@click.option(
    "--without-extension",
    "without_extensions",
    metavar="NAME",
    multiple=True,
    help="Leave out this extension, and what depends on it; repeatable.",
)
@click.option("--no-tablespaces", is_flag=True, help="Put everything into the server's default tablespace.")
@click.option("--secrets-to", type=click.Path(path_type=Path), metavar="DIR", help="Write the secrets here.")
@click.option(
    "--runbook",
    "runbook_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the runbook here  [default: ./permafrost-runbook-NAME.txt]",
)
@click.option("--keep-going", is_flag=True, help="Restore everything that PostgreSQL accepts.")
@click.option(
    "--missing-to",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="With it, list the rest here  [default: ./permafrost-missing-NAME]",
)
@click.option(
    "--media-to",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Lay the media of that moment out here, and compare them.",
)
@click.option(
    "--media-from",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="With it, take them from this copy  [default: the vault's history]",
)
@click.option("--media-merge", is_flag=True, help="With it, DIR may have files, and they may be replaced.")
@_moved("--table")
@_moved("--schema")
@_moved("--stdout", is_flag=True)
@reading()
def restore(
    rendering: Rendering,
    request: ReadRequest,
    *,
    database: str,
    replace: bool,
    existing: bool,
    server: str | None,
    no_owner: bool,
    role: str | None,
    without_extensions: tuple[str, ...],
    no_tablespaces: bool,
    secrets_to: Path | None,
    runbook_file: Path | None,
    keep_going: bool,
    missing_to: Path | None,
    media_to: Path | None,
    media_from: Path | None,
    media_merge: bool,
) -> int:
    """Restore SNAPSHOT, an id or `latest`, into a database. For one table: permafrost restore-table.

    The snapshot is loaded under a working name, compared, and renamed. A copy of the repository and
    its key suffice. A runbook says what to do next. Exit code 3 if rows or media are left out.
    """
    if replace and existing:
        raise UsageError("--replace and --existing exclude each other", hint="give one of them")
    if media_to is None and (media_from is not None or media_merge):
        raise UsageError("--media-from and --media-merge need --media-to")
    wanted = RestoreRequest(
        request.source,
        request.choice,
        Target(
            database,
            replaces=replace,
            with_owners=not no_owner and role is None,
            with_tablespaces=not no_tablespaces,
            with_all_extensions=not keep_going,
            role=role,
            without_extensions=without_extensions,
            is_existing=existing,
        ),
        server=request.server(server),
        secrets_to=secrets_to,
        state=request.own_state,
        writes_runbook=True,
        runbook_file=runbook_file,
        jobs=request.jobs,
        keeps_going=keep_going,
        missing_to=missing_to,
        media=MediaRequest(media_to, media_from, merges=media_merge) if media_to is not None else None,
    )
    result = restore_snapshot(wanted, report=rendering.report, now=datetime.now(UTC))
    rendering.result(result.document(), [*_lines(result), "", result.runbook.text()])
    return EXIT_FINDINGS if result.has_findings else 0


def _lines(result: RestoreResult) -> list[str]:
    compared = "every row's digest and count is" if result.is_audited else "every table's row count is"
    rows = f"{count_text(result.rows, 'row')} of {count_text(result.tables, 'table')}"
    size = f"{rows} in {seconds_text(result.duration_s)}"
    lines = [f"restored {result.snapshot} into {result.database}: {size}; {compared} as in the snapshot"]
    if result.missing:
        lines = [
            f"restored {result.snapshot} into {result.database}: {size}; it is NOT WHOLE, and lacks:",
            *result.missing.reasons,
            f"finish it by hand with {result.missing_list}",
        ]
    if result.kept_as:
        lines.append(f"the former database is kept as {result.kept_as}; drop it when you no longer need it")
    lines += [f"wrote {path}" for path in result.secrets]
    return lines + _media_lines(result)


def _media_lines(result: RestoreResult) -> list[str]:
    media = result.media
    if media is None:
        return []
    laid = (
        f"laid {count_text(media.files, 'media file')} ({bytes_text(media.size_bytes)}) out in {media.request.to}; "
        f"rows expect {media.expected}, {media.closed} of them closed, as their accounts are suspended"
    )
    lines = [laid]
    if media.missing:
        named = ", ".join(media.first_missing)
        lines.append(
            f"{count_text(media.missing, 'expected file')} never there, listed in {media.request.missing_list}: {named}"
        )
    if media.not_copied:
        named = "; ".join(media.first_not_copied)
        lines.append(f"{count_text(media.not_copied, 'path')} not copied: {named}")
    return lines
