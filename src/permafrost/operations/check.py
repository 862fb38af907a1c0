"""permafrost check: a database is examined, a Mastodon's with the secrets and the media that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from permafrost.errors import ConfigurationError
from permafrost.events import Reporter
from permafrost.mastodon.dotenv import parse_dotenv
from permafrost.mastodon.environment import MOST_BYTES
from permafrost.mastodon.health.examine import examine
from permafrost.mastodon.health.report import HealthReport
from permafrost.postgres.connection import connected
from permafrost.small_files import read_named


def check_database(
    conninfo: str,
    env_files: Sequence[Path],
    media: Path | None,
    *,
    missing_to: Callable[[str], object] | None,
    report: Reporter,
) -> HealthReport:
    """Return what there is to say of the database that `conninfo` names.

    Of environment files the first that sets a name wins. Raise `ConfigurationError` if one cannot be read.
    """
    environment: dict[str, str] | None = None
    for file in env_files:
        try:
            text = read_named(file, MOST_BYTES).decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{file} cannot be read: {error}", hint="run this as a user who may read it"
            ) from error
        environment = parse_dotenv(text, environment or {}) | (environment or {})
    with connected(conninfo) as connection:
        return examine(connection, environment, media, missing_to=missing_to, report=report)
