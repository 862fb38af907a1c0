"""The root command."""

from __future__ import annotations

import click

from permafrost import __version__
from permafrost.cli.backup import backup
from permafrost.cli.config import config
from permafrost.cli.init import init
from permafrost.cli.repository import prune, snapshots, verify
from permafrost.cli.restore import restore
from permafrost.cli.service import run as run_service
from permafrost.cli.status import status
from permafrost.cli.vault import vault


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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


for command in (init, config, backup, snapshots, verify, restore, prune, status, vault, run_service):
    main.add_command(command)


def run() -> None:
    """Run the command line; the entry point."""
    main(prog_name="permafrost")
