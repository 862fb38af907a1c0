"""The root command."""

from __future__ import annotations

import gc

import click

from permafrost import __version__
from permafrost.cli.shared.closed_pipe import ending_unread
from permafrost.cli.shared.lazy_group import LazyGroup

_COMMANDS = {
    "init": ("init:init", "Make configuration, passphrase, signing key, repository and recovery sheet."),
    "rekey": ("rekey:rekey", "Seal backups with a new key from now on, and make a new recovery sheet."),
    "sheet": ("sheet:sheet", "Prove that the recovery sheet opens the backups."),
    "config": ("config:config", "Check, show and describe the configuration file."),
    "backup": ("backup:backup", "Make one snapshot of the database and the secrets."),
    "snapshots": ("snapshots:snapshots", "List the snapshots, oldest first."),
    "verify": ("verify:verify", "Check every object's hash, and every snapshot's signature and completeness."),
    "restore": ("restore:restore", "Restore SNAPSHOT, an id or `latest`, into a database."),
    "restore-table": (
        "restore_table:restore_table",
        "Restore one table of SNAPSHOT beside the live ones, or to stdout.",
    ),
    "drill": ("drill:drill", "Prove that SNAPSHOT can be restored, by restoring it into a throw-away server."),
    "check": ("check:check", "Examine DATABASE, and whether Mastodon's secrets and media belong to it."),
    "export": ("export:export", "Write SNAPSHOT as a standard dump file, for pg_restore, psql or any other tool."),
    "prune": ("prune:prune", "Remove snapshots that no rule in [retention] keeps, and unused objects."),
    "status": ("status:status", "Show whether the server could come back right now, and what needs attention."),
    "vault": ("vault.group:vault", "Pair servers with vaults, the machines that keep their copies."),
    "media": ("media:media", "Compare the media with the database, or bring them back into an object store."),
    "bucket": ("bucket:bucket", "Copy snapshots into buckets of object stores, and check what these promise."),
    "notify": ("notify:notify", "Try the receivers of alerts."),
    "run": ("service:run", "Run the server's service: backups, audits and drills on schedule, and Syncthing."),
    "run-drill": ("run_drill:run_drill", "Run one drill that the service asks for, in a unit of its own."),
    "schema": ("schema:schema", "Print the JSON Schema (2020-12) of what the command NAME prints with --json."),
}


@click.group(
    cls=LazyGroup,
    commands_at=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="permafrost")
def main() -> None:
    """Back up a Mastodon server to machines that you own, and prove that the backups restore.

    Start with `permafrost init`, then `permafrost backup`. Pair a vault with `permafrost vault invite` and
    `permafrost vault join`. On disaster day: `permafrost restore latest`.

    \b
    Exit codes: 0 done; 3 done, with findings that need attention; 2 usage; 10 configuration; 11 locked;
    12 no repository; 13 key or passphrase; 14 integrity; 15 a tool; 16 database; 17 replication;
    18 no space; 19 restore refused; 130 and 143 ended by a signal (but a service that is stopped
    ends with 0); 141 nobody reads the output any more; 1 a defect of the program.
    """


def run() -> None:
    """Run the command line; the entry point.

    Without a collector while modules are imported and when the process ends anyway: together that was a tenth of a
    second, of a run that takes one.
    """
    gc.disable()
    try:
        with ending_unread():  # for errors of usage, which click prints after the group has ended
            main(prog_name="permafrost")
    finally:
        gc.freeze()
