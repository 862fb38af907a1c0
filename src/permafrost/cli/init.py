"""permafrost init: everything that a server needs, made once.

The recovery sheet holds the passphrase, so it is printed on a terminal only: what goes elsewhere may be kept, as the
journal is.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from click.core import ParameterSource

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.events import Note
from permafrost.mastodon.initial_settings import DEFAULT_REPOSITORY, DEFAULT_STATE, InitRequest
from permafrost.operations.init import initialize
from permafrost.operations.init_configured import initialize_configured

_PATH = click.Path(path_type=Path)


@click.command(
    "init",
    epilog="""\b
Examples:
  permafrost init --mastodon /home/mastodon/live
  permafrost init --database "postgresql:///mastodon_production?host=/var/run/postgresql"
  permafrost init --config /etc/permafrost/permafrost.toml
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
@click.option("--passphrase-file", type=_PATH, help="Use this passphrase file instead of making one.")
@click.option("--media", type=_PATH, help="Mastodon's media folder, where --mastodon cannot name it.")
@click.option(
    "--secrets", type=_PATH, multiple=True, metavar="FILE", help="Another file of Mastodon's secrets; repeatable."
)
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
    passphrase_file: Path | None,
    media: Path | None,
    secrets: tuple[Path, ...],
    name: str | None,
) -> None:
    """Make configuration, passphrase, signing key, repository and recovery sheet.

    Nothing is ever overwritten: if any of them exists, init names it and makes nothing. All but the repository and
    the state go into the configuration file's folder. Print the recovery sheet: once the server is lost, a copy of
    the repository is useless without it. It is printed on a terminal only; otherwise look into its file.

    Without any option but --config, and with an existing configuration, init makes what that names and the machine
    lacks: signing key, passphrase, repository, state. Where nothing is missing it prints nothing. A repository whose
    passphrase or key is missing is an error.
    """
    if (file := config_path(config_file).absolute()).exists() and not _is_anything_given():
        _complete(rendering, file)
        return
    request = InitRequest(
        config_file=file,
        mastodon=mastodon.absolute() if mastodon else None,
        database_url=database_url,
        repository=repository.absolute(),
        state=state.absolute(),
        recipients=recipients,
        recipients_dir=recipients_dir.absolute() if recipients_dir else None,
        name=name,
        existing_passphrase=passphrase_file.absolute() if passphrase_file else None,
        media=media.absolute() if media else None,
        secrets=tuple(file.absolute() for file in secrets),
    )
    made = initialize(request, now=datetime.now(UTC), report=rendering.report)
    sheet = [made.recovery_sheet] if sys.stdout.isatty() else []
    rendering.result(made.document(), [*sheet, "Made:", *(f"    {path}" for path in made.made)])
    for advice in _advice(made.sheet_file):
        rendering.report(Note(advice))


def _is_anything_given() -> bool:
    """Return whether an option says what to make; otherwise an existing configuration does."""
    context = click.get_current_context()
    given = (name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    return any(name not in ("config_file", "as_json") for name in given)


def _complete(rendering: Rendering, config_file: Path) -> None:
    done = initialize_configured(load_configuration(config_file), config_file, now=datetime.now(UTC))
    rendering.result(done.document(), [f"made {path}" for path in done.made])
    if done.sheet_file in done.made:
        for advice in _advice(done.sheet_file)[:2]:
            rendering.report(Note(advice))


def _advice(sheet_file: Path) -> tuple[str, ...]:
    return (
        f"print {sheet_file}, keep it away from this machine, and delete the file",
        (
            "on its blank lines, write down each vault that you pair: which machine, where it is, how to log in, the "
            "folder"
        ),
        "next: permafrost config check, then permafrost backup",
    )
