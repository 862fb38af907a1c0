"""What `--help` shows of every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from permafrost.cli.main import main
from permafrost.cli.shared.lazy_group import LazyGroup
from permafrost.cli.vault.group import vault

COLUMNS = 100
MOST_LINES = 40


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the path and the help text of a command and of all below it, as a wide terminal shows them."""
    context.terminal_width = COLUMNS
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, click.Context(child, info_name=name, parent=context))


HELP = dict(commands(main, click.Context(main, info_name="permafrost", **main.context_settings)))


@pytest.mark.parametrize("path", HELP)
def test_help_fits_a_screen(path: str) -> None:
    """It is at most 40 lines long where the terminal has 100 columns, which are used."""
    lines = HELP[path].splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) > 65


@pytest.mark.parametrize("group", [main, vault], ids=["permafrost", "permafrost vault"])
def test_the_list_of_commands(group: LazyGroup, request: pytest.FixtureRequest) -> None:
    """The list has the first sentence of each command's help, uncut."""
    shown = [line.split() for line in HELP[request.node.callspec.id].splitlines()]
    for name, (_, meaning) in group.commands_at.items():
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert command.get_short_help_str(COLUMNS) == meaning
        assert [name, *meaning.split()] in shown


def test_the_list_imports_no_command() -> None:
    """`permafrost --help` imports neither a command nor a library that takes long."""
    script = (
        "import sys; from permafrost.cli.main import main; main(['--help'], standalone_mode=False); "
        "print([one for one in sys.modules if one.startswith(('permafrost.o', 'pydantic', 'psycopg', 'httpx'))])"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"


def test_the_tree_is_whole() -> None:
    """Groups and their commands are among them."""
    assert {"permafrost", "permafrost restore-table", "permafrost vault send-back"} <= HELP.keys()
