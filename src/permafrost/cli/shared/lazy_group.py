"""A group of commands, each imported when it is used: a run should not wait for what others need."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from permafrost.cli.shared.closed_pipe import ending_unread


class LazyGroup(click.Group):
    """A group that knows of its commands only where they are and the first sentence of their help.

    `commands_at` has for each name, in the order in which they are needed, `module:attribute` below permafrost.cli and
    that sentence; so the list of all needs no import of any.
    """

    def __init__(self, *, commands_at: Mapping[str, tuple[str, str]], **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(**attributes)
        self.commands_at = commands_at

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> click.Context:
        """Return the context of a run; parsing prints help, which somebody may not read to its end."""
        with ending_unread():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command, and end as other programs do if nobody reads its output any more."""
        with ending_unread():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names."""
        del ctx
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, None if there is none."""
        del ctx
        if cmd_name not in self.commands_at:
            return None
        module, _, attribute = self.commands_at[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"permafrost.cli.{module}"), attribute)
        gc.freeze()  # modules stay for good, so collections need not look at them
        gc.enable()
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what completes a name in it: the commands, without an import of any, and the options."""
        names = [
            CompletionItem(name, help=meaning)
            for name, (_, meaning) in self.commands_at.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, meaning) for name, (_, meaning) in self.commands_at.items()])
