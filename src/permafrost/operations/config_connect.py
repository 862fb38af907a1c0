"""permafrost config check --connect: do the database and Syncthing answer, and may permafrost do what it needs?"""

from __future__ import annotations

from collections.abc import Collection

import psycopg

from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.postgres.connection import connected, server_major
from permafrost.postgres.left_out import LeftOut
from permafrost.postgres.loggable_tables import candidate_tables, check_readable
from permafrost.postgres.ownership.foreign_code import by_function_owner, code_run_by_reading, foreign_code
from permafrost.postgres.version import SUMMARIZING_MAJOR
from permafrost.postgres.wal_summaries import NoSummariesError, check_summarizing
from permafrost.printable import printable
from permafrost.syncthing.access import foreign_client

_ANSWERS_WITHIN_S = 10.0


def try_connections(configuration: Configuration, report: Reporter) -> list[tuple[str, str]]:
    """Return what is wrong, by key of the configuration; an empty list if both answer. Nothing is changed.

    What would make backups cheaper is no problem, and is reported.

    A managed Syncthing that does not run is no problem: permafrost run starts it.
    """
    problems = []
    try:
        with connected(configuration.database.url) as connection:
            database = configuration.database
            left_out = LeftOut.named(database.exclude_schemas, database.exclude_tables)
            check_readable(connection, left_out.kept(candidate_tables(connection)))
            _warn_of_foreign_code(connection, database.exclude_schemas, report)
            if database.engine == "log" and database.changed_blocks == "auto":
                _report_scanning(connection, report)
    except PermafrostError as error:
        problems.append(("database.url", _text(error)))
    media = configuration.media
    if media is not None and media.public_url is not None and (fault := _fault_of(media.public_url)):
        problems.append(("media.public_url", fault))
    settings = configuration.syncthing
    try:
        if not settings.managed:
            with foreign_client(settings) as client:
                if not client.is_answering():
                    problems.append(("syncthing.url", f"no Syncthing answers at {settings.url}"))
    except PermafrostError as error:
        problems.append(("syncthing", _text(error)))
    return problems


def _fault_of(url: str) -> str:
    """Return what keeps the address from answering, an empty text if it answers anything at all."""
    import httpx  # noqa: PLC0415 - only for this

    try:
        httpx.get(f"{url}/", timeout=_ANSWERS_WITHIN_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{url} does not answer, and vaults fetch the media from there: {error}"
    return ""


def _warn_of_foreign_code(connection: psycopg.Connection, excluded: Collection[str], report: Reporter) -> None:
    """Warn of code that runs for others than its owner, and of what a backup as a superuser runs with its rights."""
    for whose, where in by_function_owner(foreign_code(connection, excluded)):
        report(Warned(printable(f"the database has code of {whose}, that runs in what others own or do: {where}")))
    for whose, where in by_function_owner(code_run_by_reading(connection)):
        report(
            Warned(
                printable(
                    f"a backup as {connection.info.user}, a superuser, may run code of {whose} with all rights: {where}"
                    "; connect as the owner, or as a role that has pg_read_all_data"
                )
            )
        )


def _report_scanning(connection: psycopg.Connection, report: Reporter) -> None:
    """Say what a server that could tell which blocks have changed lacks for that; older ones cannot."""
    if server_major(connection) < SUMMARIZING_MAJOR:
        return
    try:
        check_summarizing(connection)
    except NoSummariesError as error:
        report(Note(f"every backup will scan every row: {error}"))


def _text(error: PermafrostError) -> str:
    return error.message + (f" ({error.hint})" if error.hint else "")
