"""permafrost snapshots: what the repository holds; and one of them goes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from permafrost.amounts import bytes_text, count_text, list_text, moment_text
from permafrost.cli.shared.options import config_option, config_path, json_option, reporting, repository_option
from permafrost.cli.shared.rendering import Rendering
from permafrost.config.loading import load_configuration
from permafrost.errors import UsageError
from permafrost.operations.snapshots import ListedSnapshot, list_own, list_repository, snapshots_document
from permafrost.operations.snapshots_remove import remove_snapshot
from permafrost.repository.layout import parse_snapshot_choice
from permafrost.repository.newest import clock_warning
from permafrost.schedule import local_zone


@click.group(invoke_without_command=True)
@repository_option
@config_option
@json_option
@click.pass_context
def snapshots(context: click.Context, *, repository: Path | None, config_file: Path | None, as_json: bool) -> None:
    """List the snapshots, oldest first. Needs no key.

    Of each: what it needs, and what of that is new; on the server also whether it is audited and proven, which vaults
    hold it, which rules of [retention] keep it, and until about when, if backups go on as scheduled.

    \b
    Examples:
      permafrost snapshots
      permafrost snapshots --repository /srv/vault/example.social/repository
      permafrost snapshots remove 20271201T100000Z-0a1b2c3d
    """
    if context.invoked_subcommand is None:
        _list(repository=repository, config_file=config_file, as_json=as_json)


@reporting
def _list(rendering: Rendering, *, repository: Path | None, config_file: Path | None) -> None:
    now = datetime.now(UTC)
    if repository is None:
        configuration = load_configuration(config_path(config_file))
        folder, listed = configuration.repository.path, list_own(configuration, now)
    else:
        folder, listed = repository, list_repository(repository)
    warning = clock_warning([snapshot.snapshot for snapshot in listed], now)
    lines = [line for snapshot in listed for line in (_snapshot_line(snapshot), *_own_lines(snapshot, now))]
    lines = lines or ["no snapshots yet: permafrost backup"]
    rendering.result(snapshots_document(folder, listed), [*lines, *([f"warning: {warning}"] if warning else [])])


def _own_lines(listed: ListedSnapshot, now: datetime) -> list[str]:
    """Return what this server knows of its own snapshot besides."""
    own = listed.own
    if own is None:
        return []
    proofs = [word for word, is_so in (("audited", own.is_audited), ("proven", own.is_proven)) if is_so]
    parts = [list_text(proofs)] if proofs else []
    parts.append(f"on {list_text(own.vaults)}" if own.vaults else "on no vault")
    until = f" until {moment_text(own.kept_until, now, local_zone())}" if own.kept_until else ""
    parts.append(f"kept by {list_text(own.kept_by)}{until}" if own.kept_by else "kept by no rule")
    return [f"    {'; '.join(parts)}"]


def _snapshot_line(listed: ListedSnapshot) -> str:
    if listed.size_bytes is None or listed.new_bytes is None:
        return f"{listed.snapshot}  cannot be read: {listed.problem}"
    size, new = bytes_text(listed.size_bytes), bytes_text(listed.new_bytes)
    made = f"{listed.made_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{listed.snapshot}  {made}  {size:>9}, {new:>9} new  {count_text(listed.objects or 0, 'object')}"


@snapshots.command()
@click.argument("snapshot")
@click.option(
    "--force", is_flag=True, help="Remove it even if it is the newest, or the last one that a drill has proven."
)
@config_option
@json_option
@reporting
def remove(rendering: Rendering, *, snapshot: str, force: bool, config_file: Path | None) -> None:
    """Remove one SNAPSHOT from this server, and the objects that no other needs.

    For a snapshot that a wrong clock dated into the future: no rule of [retention] removes that one. It cannot be
    brought back here. What vaults keep in their histories stays there as long as their own rules say.

    \b
    Example:
      permafrost snapshots remove 20271201T100000Z-0a1b2c3d
    """
    doomed = parse_snapshot_choice(snapshot)
    if doomed is None:
        raise UsageError("snapshots remove does not accept latest", hint="give its id; permafrost snapshots lists them")
    configuration = load_configuration(config_path(config_file))
    result = remove_snapshot(configuration, doomed, is_forced=force, report=rendering.report, now=datetime.now(UTC))
    freed = f"{count_text(result.objects, 'object')}, {bytes_text(result.size_bytes)} freed"
    rendering.result(result.document(), [f"removed {result.snapshot}: {freed}"])
