"""The recovery sheet of a server that is set up: what its configuration and its repository say, as a text."""

from __future__ import annotations

import os
from datetime import datetime

from psycopg.conninfo import conninfo_to_dict

from permafrost.buckets.address import address_of
from permafrost.config.models import Configuration
from permafrost.operations.own.beginnings import own_name
from permafrost.repository.recovery_sheet import SheetFacts, recovery_sheet


def own_sheet(
    configuration: Configuration,
    *,
    repository_id: str,
    fingerprint: str,
    passphrase: str | None,
    now: datetime,
    earlier: str | None = None,
) -> str:
    """Return the sheet; snapshots up to `earlier`, if there is one, need the sheet before it."""
    parameters = conninfo_to_dict(configuration.database.url)
    role = parameters.get("user") or os.environ.get("PGUSER") or own_name()
    return recovery_sheet(
        SheetFacts(
            server=configuration.server.name,
            made_at=now,
            repository_id=repository_id,
            fingerprint=fingerprint,
            repository=configuration.repository.path,
            database=str(parameters.get("dbname") or "mastodon_production"),
            role=str(role),
            secret_names=tuple(dict.fromkeys(file.name for file in configuration.secrets.files)),
            has_media=configuration.media is not None,
            passphrase=passphrase,
            recipients=configuration.encryption.recipients,
            earlier=earlier,
            buckets=tuple(str(address_of(bucket, repository_id)) for bucket in configuration.buckets),
        )
    )
