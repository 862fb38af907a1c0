"""The root command."""

from __future__ import annotations

import gc
from importlib import import_module

import click

from permafrost import __version__

_COMMANDS = {
    "init": "init:init",
    "config": "config:config",
    "backup": "backup:backup",
    "snapshots": "repository:snapshots",
    "verify": "repository:verify",
    "restore": "restore:restore",
    "restore-table": "restore_table:restore_table",
    "drill": "drill:drill",
    "check": "check:check",
    "export": "export:export",
    "prune": "repository:prune",
    "status": "status:status",
    "vault": "vault:vault",
    "run": "service:run",
    "schema": "schema:schema",
}


class Commands(click.Group):
    """The commands, each imported when it is asked for: a run should not wait for what others need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order in which they are needed."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, None if there is none."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"permafrost.cli.{module}"), attribute)
        gc.freeze()  # modules stay for good, so collections need not look at them
        gc.enable()
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="permafrost")
def main() -> None:
    """Back up a Mastodon server, keep it on machines that you own, and prove that it can come back.

    Start with `permafrost init`, then `permafrost backup`. Pair a vault with `permafrost vault invite` and
    `permafrost vault join`. On disaster day: `permafrost restore latest`.

    \b
    Exit codes: 0 done; 3 done, with findings that need a human; 2 usage; 10 configuration; 11 locked;
    12 no repository; 13 key or passphrase; 14 integrity; 15 a tool; 16 database; 17 replication;
    18 no space; 19 restore refused; 130 and 143 ended by a signal (but a service
    that is stopped ends with 0); 1 a defect of the program.
    """


def run() -> None:
    """Run the command line; the entry point.

    Without a collector while modules are imported and when the process ends anyway: together that was a tenth of a
    second, of a run that takes one.
    """
    gc.disable()
    try:
        main(prog_name="permafrost")
    finally:
        gc.freeze()
