"""The Mastodon server of the demo: its own PostgreSQL, a database, media and secrets, and a little life in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import psycopg

from permafrost.postgres.programs.scratch import ScratchCluster
from samples.database import create_database, load
from samples.environment import environment_file
from samples.media import expected_files, write_media
from samples.rows import LOCAL_DOMAIN

DATABASE = "mastodon_production"

# what happens between two backups: people write, change their minds, and add a picture
_LIFE = (
    """INSERT INTO statuses (account_id, text, language, local, visibility, uri, created_at, updated_at)
    SELECT id, 'Written after the first backup, number ' || n, 'en', true, 0,
        'https://mastodon.example/after/' || n, now(), now()
    FROM (SELECT id FROM accounts WHERE domain IS NULL AND suspended_at IS NULL ORDER BY id DESC LIMIT 1) AS author,
        generate_series(1, 25) AS n""",
    """UPDATE statuses SET text = text || ' (edited)', edited_at = now(), updated_at = now()
    WHERE id IN (SELECT id FROM statuses WHERE text <> '' AND deleted_at IS NULL ORDER BY id LIMIT 10)""",
    "DELETE FROM favourites WHERE id % 50 = 0",
    """INSERT INTO media_attachments (account_id, status_id, type, file_file_name, file_content_type, file_file_size,
        file_updated_at, file_storage_schema_version, created_at, updated_at)
    SELECT account_id, id, 0, 'after-the-first-backup.png', 'image/png', 31000, now(), 1, now(), now()
    FROM statuses WHERE uri = 'https://mastodon.example/after/1'""",
    # as Mastodon's scheduler does; a restore computes them anew, and the demo compares what they hold
    *(
        f"REFRESH MATERIALIZED VIEW {view}"
        for view in ("instances", "account_summaries", "global_follow_recommendations")
    ),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is in the database."""

    accounts: int
    statuses: int


USUAL = Size(accounts=2_000, statuses=20_000)
SMALL = Size(accounts=60, statuses=400)


class Mastodon:
    """A Mastodon's folder `live` as the documentation has it, and its database on `cluster`."""

    def __init__(self, live: Path, cluster: ScratchCluster) -> None:
        self.live = live
        self.media = live / "public" / "system"
        self.secrets = live / ".env.production"
        self._cluster = cluster

    def conninfo(self) -> str:
        """Return how to reach the database as the superuser."""
        return self._cluster.conninfo(DATABASE)

    def settle(self, size: Size) -> None:
        """Make the database with its rows, the media files that they expect, and the secrets."""
        create_database(self._cluster.conninfo("postgres"), DATABASE)
        self.media.mkdir(parents=True)
        with psycopg.connect(self.conninfo()) as connection:
            load(connection, accounts=size.accounts, statuses=size.statuses)
            write_media(connection, self.media)
        self.secrets.touch(mode=0o600)
        self.secrets.write_text(environment_file(LOCAL_DOMAIN, DATABASE, self._cluster.socket_folder, 5432))

    def live_on(self) -> None:
        """Change some rows, and add a picture."""
        with psycopg.connect(self.conninfo()) as connection:
            for change in _LIFE:
                connection.execute(change.encode())
            for one in expected_files(connection):
                file = self.media / one.path
                if not file.exists():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(Random(str(one.path)).randbytes(one.size_bytes))
