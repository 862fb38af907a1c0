"""Versions of PostgreSQL as the server counts them."""

from __future__ import annotations

SUMMARIZING_MAJOR = 17
"""The first major version whose servers can summarize their WAL."""


def major_version(server_version: int) -> int:
    """Return the major version, as 15, out of a server_version_num, as 150018."""
    return server_version // 10000
