"""permafrost config: checks the configuration, shows what is in effect, and describes what it may contain."""

from __future__ import annotations

import json
from pathlib import Path

import click

from permafrost.amounts import count_text
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.checking import check_files
from permafrost.config.loading import load_configuration, locate
from permafrost.config.problems import InvalidFileError, Problem
from permafrost.config.writing import configuration_schema, effective_toml
from permafrost.documents.setup import ConfigCheckDocument
from permafrost.errors import EXIT_DONE, ConfigurationError, UsageError
from permafrost.events import Reporter


@click.group("config")
def config() -> None:
    """Check, show and describe the configuration file."""


@config.command("check")
@click.option("--connect", "connects", is_flag=True, help="Also connect to the database and to Syncthing.")
@click.option(
    "--text-only",
    "is_text_only",
    is_flag=True,
    help="Check the text alone, and no file that it names: for a build, or on another machine.",
)
@config_option
@json_option
@reporting
def check(rendering: Rendering, config_file: Path | None, *, connects: bool, is_text_only: bool) -> int:
    """Check the configuration file and every file that it names.

    All problems are listed at once, each with its line and key. Modes of secret files are checked too; nothing
    is changed. The database and Syncthing are contacted only with --connect. Ends with 10 if there is a problem.
    """
    if connects and is_text_only:
        raise UsageError("--connect and --text-only exclude each other", hint="leave one of them out")
    path = config_path(config_file)
    problems = _problems(path, connects=connects, is_text_only=is_text_only, report=rendering.report)
    document = ConfigCheckDocument(str(path), tuple(problem.document() for problem in problems))
    lines = [str(problem) for problem in problems]
    lines.append(f"{path}: {_count(len(problems))}")
    rendering.result(document, lines)
    return ConfigurationError.exit_code if problems else EXIT_DONE


def _problems(path: Path, *, connects: bool, is_text_only: bool, report: Reporter) -> tuple[Problem, ...]:
    try:
        configuration = load_configuration(path)
    except InvalidFileError as error:
        return error.problems
    if is_text_only:
        return ()
    found = check_files(configuration)
    if not any(key == "encryption.passphrase_file" for key, _ in found):
        from permafrost.operations.own.key import warn_of_weak_passphrase  # noqa: PLC0415 - with all that starts gpg

        warn_of_weak_passphrase(configuration.encryption, report)
    if configuration.encryption.recipients:
        from permafrost.openpgp.recipients import recipient_faults  # noqa: PLC0415 - only where gpg has to be asked

        missing = any(key == "encryption.recipients_dir" for key, _ in found)
        faults = [] if missing else recipient_faults(configuration.encryption)
        found += [("encryption.recipients_dir", fault) for fault in faults]
    if connects:
        from permafrost.operations.config_connect import try_connections  # noqa: PLC0415 - httpx, only for this

        found += try_connections(configuration, report)
    return locate(path, found)


def _count(number: int) -> str:
    return count_text(number, "problem") if number else "no problems"


@config.command("show")
@config_option
@json_option
@reporting
def show(rendering: Rendering, config_file: Path | None) -> int:
    """Show the configuration in effect: the file's values, and the defaults of all others, as TOML.

    The file holds no secrets, so neither does this.
    """
    configuration = load_configuration(config_path(config_file))
    rendering.result(configuration.model_dump(mode="json"), [effective_toml(configuration).rstrip("\n")])
    return EXIT_DONE


@config.command("schema")
@json_option
@reporting
def schema(rendering: Rendering) -> int:
    """Print the JSON schema of the configuration file, for editors that check TOML as you type."""
    document = configuration_schema()
    rendering.result(document, [json.dumps(document, indent=2)])
    return EXIT_DONE
