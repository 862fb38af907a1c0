"""permafrost schema."""

from __future__ import annotations

import json

import click

from permafrost.cli.shared.options import json_option, reporting
from permafrost.cli.shared.rendering import Rendering


@click.command("schema")
@click.argument("name", nargs=-1)
@json_option
@reporting
def schema(rendering: Rendering, *, name: tuple[str, ...]) -> None:
    """Print the JSON Schema (2020-12) of what the command NAME prints with --json.

    Without NAME, list the names. `error` is what any command prints if it fails, `event` one line on stderr. The
    configuration's own schema is printed by `permafrost config schema`.

    \b
    Examples:
      permafrost schema
      permafrost schema backup
      permafrost schema vault history
    """
    # every document's class and pydantic's schemas: for `permafrost --help`, which imports all commands, too much
    from permafrost.operations.schema import NAMES  # noqa: PLC0415
    from permafrost.operations.schema import schema as schema_of  # noqa: PLC0415

    if not name:
        rendering.result({"names": list(NAMES)}, NAMES)
        return
    document = schema_of(" ".join(name))
    rendering.result(document, [json.dumps(document, indent=2)])
