"""Whether there is a Syncthing to talk to, determined without importing its client."""

from __future__ import annotations

from pathlib import Path

from permafrost.config.models import Syncthing

CONFIG_FILE = "config.xml"
NO_VAULT = "no vault is paired yet, so the snapshot is only on this machine: permafrost vault invite NAME"


def has_syncthing(settings: Syncthing) -> bool:
    """Return whether a managed Syncthing was ever set up, or an existing one is to be used."""
    return not settings.managed or home_exists(settings.home)


def home_exists(path: Path) -> bool:
    """Return whether a home was made at `path`."""
    return (path / CONFIG_FILE).exists()
