"""Which bucket a command means, and which repositories it is about: a server's own, or a vault's histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from permafrost.buckets.extra import require_boto3
from permafrost.cli.shared.options import config_path
from permafrost.config.buckets import Bucket
from permafrost.config.loading import load_configuration
from permafrost.errors import UsageError
from permafrost.repository.layout import Layout
from permafrost.repository.repository import Repository
from permafrost.runs import RunRecords

vault_path_option = click.option(
    "--path",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="On a vault: its folder. Without it, NAME is a bucket of this server.",
)


@dataclass(frozen=True, slots=True)
class BucketSource:
    """A repository that goes into a bucket; `removed` are the snapshots that were removed from it on purpose."""

    repository: Path
    removed: frozenset[str]


@dataclass(frozen=True, slots=True)
class BucketChoice:
    """The bucket that a command names, what goes into it, and the folder of its records.

    `repository_ids` has also those of servers from which a vault has no snapshot yet.
    """

    bucket: Bucket
    sources: tuple[BucketSource, ...]
    repository_ids: tuple[str, ...]
    state: Path


def choose_bucket(name: str, root: Path | None, config_file: Path | None) -> BucketChoice:
    """Return what is meant by the bucket of that name: the vault's in `root`, or the configuration's."""
    if root is None:
        configuration = load_configuration(config_path(config_file))
        bucket = named_bucket(configuration.buckets, name)
        state, folder = configuration.state.path, configuration.repository.path
        removed = RunRecords(state, is_read_only=True).removed_by_prune()
        return BucketChoice(bucket, (BucketSource(folder, removed),), (Repository.open(folder).repository_id,), state)
    from permafrost.status.vault_document import STATE, dropped_snapshots  # noqa: PLC0415 - for a vault alone
    from permafrost.vault.settings import open_vault  # noqa: PLC0415 - the same

    vault = open_vault(root)
    bucket = named_bucket(vault.settings.buckets, name)
    sources = tuple(
        BucketSource(vault.history(server), dropped_snapshots(vault, server))
        for server in vault.settings.servers
        if Layout(vault.history(server)).facts.exists()
    )
    return BucketChoice(bucket, sources, tuple(one.repository_id for one in vault.settings.servers), root / STATE)


def named_bucket(buckets: Sequence[Bucket], name: str) -> Bucket:
    """Return the bucket of that name; raise `UsageError` if there is none."""
    require_boto3()
    for found in buckets:
        if found.name == name:
            return found
    names = ", ".join(found.name for found in buckets)
    raise UsageError(f"there is no bucket {name}", hint=f"[[buckets]] has {names or 'none'}; see how-to/bucket.md")
