"""permafrost init: everything that a server needs, made once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.events import Note
from permafrost.mastodon.initial_settings import DEFAULT_REPOSITORY, DEFAULT_STATE, InitRequest
from permafrost.operations.init import Initialized, initialize

_PATH = click.Path(path_type=Path)


@click.command(
    "init",
    epilog="""\b
Examples:
  permafrost init --mastodon /home/mastodon/live
  permafrost init --database "postgresql:///mastodon_production?host=/var/run/postgresql"
""",
)
@config_option
@click.option(
    "--mastodon", type=_PATH, help="Mastodon's folder; its .env.production names database, media and secrets."
)
@click.option("--database", "database_url", help="The database, as a libpq URI; instead of Mastodon's own setting.")
@click.option(
    "--repository", type=_PATH, default=DEFAULT_REPOSITORY, show_default=True, help="Where the repository goes."
)
@click.option("--state", type=_PATH, default=DEFAULT_STATE, show_default=True, help="Where run records go.")
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="FINGERPRINT",
    help="Encrypt to this OpenPGP key instead of with a passphrase; repeatable.",
)
@click.option("--recipients-dir", type=_PATH, help="The folder with the recipients' public keys, FINGERPRINT.asc each.")
@click.option("--name", help="The server's name  [default: Mastodon's LOCAL_DOMAIN]")
@json_option
@reporting
def init(
    rendering: Rendering,
    config_file: Path | None,
    *,
    mastodon: Path | None,
    database_url: str | None,
    repository: Path,
    state: Path,
    recipients: tuple[str, ...],
    recipients_dir: Path | None,
    name: str | None,
) -> None:
    """Make configuration, passphrase, signing key, repository and recovery sheet.

    Nothing is ever overwritten: if any of them exists, init names it and makes nothing. All but the repository and
    the state go into the configuration file's folder. Print the recovery sheet: once the server is lost, a copy of
    the repository is useless without it.
    """
    request = InitRequest(
        config_file=config_path(config_file).absolute(),
        mastodon=mastodon.absolute() if mastodon else None,
        database_url=database_url,
        repository=repository.absolute(),
        state=state.absolute(),
        recipients=recipients,
        recipients_dir=recipients_dir.absolute() if recipients_dir else None,
        name=name,
    )
    made = initialize(request, now=datetime.now(UTC), report=rendering.report)
    rendering.result(made.document(), [made.recovery_sheet, "Made:", *(f"    {path}" for path in made.made)])
    for advice in _advice(made):
        rendering.report(Note(advice))


def _advice(made: Initialized) -> tuple[str, ...]:
    return (
        f"print {made.sheet_file}, keep it away from this machine, and delete the file",
        (
            "on its blank lines, write down each vault that you pair: which machine, where it is, how to log in, the "
            "folder"
        ),
        "next: permafrost config check, then permafrost backup",
    )
