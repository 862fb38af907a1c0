"""permafrost notify: the receivers of alerts."""

from __future__ import annotations

from pathlib import Path

import click

from permafrost.cli.shared.options import config_option, config_path, json_option, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.alerting import Notify
from permafrost.config.loading import load_configuration
from permafrost.documents.notify import NotifyTestDocument
from permafrost.errors import EXIT_FINDINGS, ConfigurationError, UsageError
from permafrost.notify.trial import try_receivers


@click.group("notify")
def notify() -> None:
    """Try the receivers of alerts."""


@notify.command("test")
@click.argument("name", required=False)
@click.option(
    "--path",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="On a vault: its folder. Without it, the configuration's receivers are tried.",
)
@config_option
@json_option
@reporting
def test_command(rendering: Rendering, name: str | None, root: Path | None, config_file: Path | None) -> int:
    """Send a test to the receiver NAME of [[notify]], or to each.

    The test is sent at once, quiet hours or not, and needs no running service. A check of healthchecks.io stays as it
    is; Uptime Kuma and a plain URL take the test for a success. Exit code 3 if a receiver was not reached.

    \b
    Examples:
      permafrost notify test
      permafrost notify test phone --path /srv/permafrost
    """
    receivers, where = _on_a_vault(root) if root is not None else _on_a_server(config_path(config_file))
    if not receivers:
        raise ConfigurationError("there are no receivers of alerts", hint="add [[notify]]; see how-to/get-alerts.md")
    wanted = [receiver for receiver in receivers if name in (None, receiver.name)]
    if not wanted:
        names = ", ".join(receiver.name for receiver in receivers)
        raise UsageError(f"there is no receiver {name}", hint=f"[[notify]] has {names}")
    document = NotifyTestDocument(tuple(try_receivers(wanted, where, on_a_vault=root is not None)))
    lines = (
        f"{tried.name}: {'reached' if tried.is_reached else f'NOT REACHED: {tried.problem}'}"
        for tried in document.receivers
    )
    rendering.result(document, lines)
    return 0 if all(tried.is_reached for tried in document.receivers) else EXIT_FINDINGS


def _on_a_server(file: Path) -> tuple[tuple[Notify, ...], str]:
    configuration = load_configuration(file)
    return configuration.notify, configuration.server.name


def _on_a_vault(root: Path) -> tuple[tuple[Notify, ...], str]:
    from permafrost.vault.settings import open_vault  # noqa: PLC0415 - for a vault alone

    settings = open_vault(root).settings
    return settings.notify, f"vault {settings.name}"
