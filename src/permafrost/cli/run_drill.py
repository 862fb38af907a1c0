"""permafrost run-drill: one drill, for the service."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.cli.drill import drill_lines
from permafrost.cli.shared.options import config_option, config_path, explained, reporting
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.config.models import Configuration
from permafrost.errors import ConfigurationError, ReportedError
from permafrost.loading.source import source_of
from permafrost.operations.drill import DrillRequest
from permafrost.operations.drill import drill as run
from permafrost.service.drill_answering import Asker, asked
from permafrost.service.drill_messages import DrillAsked, DrillEnded


@click.command("run-drill")
@config_option
@reporting
def run_drill(rendering: Rendering, *, config_file: Path | None) -> None:
    """Run one drill that the service asks for, in a unit of its own.

    permafrost-drill.service runs this when the service connects to permafrost-drill.socket. The newest audited snapshot
    is drilled as by `permafrost drill --audited`; events and result go to the service, which reports them, and which
    runs hooks. If the service ends, so does the drill.

    To run a drill yourself, use `permafrost drill`.

    \b
    Example, for a service manager:
      permafrost run-drill --config /etc/permafrost/permafrost.toml
    """
    del rendering  # what is to be said is said to the service
    with asked(os.environ) as asker:
        try:
            ended = _drilled(asker, config_path(config_file).absolute())
        except ReportedError as error:
            ended = DrillEnded.failed(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the service waits for it
            ended = DrillEnded.failed(explained(error))
        asker.end(ended)


def _drilled(asker: Asker, config_file: Path) -> DrillEnded:
    configuration = load_configuration(config_file)
    if DrillAsked.of(configuration) != asker.request:
        raise ConfigurationError(
            f"the service asks for a drill of {asker.request.repository}, and {config_file} is about another repository"
            " or state folder",
            hint="name the same file in ExecStart= of permafrost.service and permafrost-drill.service",
            unchanged="everything; no drill was run",
        )
    result = run(_request(configuration), report=asker.report, now=datetime.now(UTC))
    return DrillEnded(result.document(), tuple(drill_lines(result)))


def _request(configuration: Configuration) -> DrillRequest:
    source = source_of(configuration, repository=None, passphrase_file=None, secret_key_file=None, fingerprint=None)
    return DrillRequest(
        source,
        None,
        scratch=configuration.state.scratch,
        state=configuration.state.path,
        jobs=configuration.database.jobs,
        is_sandboxed=configuration.state.sandbox != "off",
        prefers_audited=True,
    )
