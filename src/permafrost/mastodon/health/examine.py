"""All health checks of a database, and those of a Mastodon's, one after the other. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from permafrost.events import Note, Reporter
from permafrost.mastodon.columns import SCHEMA, columns_of
from permafrost.mastodon.health.duplicates import check_duplicates, check_indexes
from permafrost.mastodon.health.integrity import check_integrity
from permafrost.mastodon.health.media_files import check_media
from permafrost.mastodon.health.queries import reading
from permafrost.mastodon.health.releases import release_of
from permafrost.mastodon.health.report import Check, HealthReport
from permafrost.mastodon.health.secrets_proof import check_secrets
from permafrost.postgres.integrity.examine import examine_integrity

_SAMPLE = 20


def is_mastodon(connection: psycopg.Connection) -> bool:
    """Return whether the database is a Mastodon's: it has accounts, statuses and Rails' list of migrations."""
    return all(columns_of(connection, table) for table in ("accounts", "statuses", "schema_migrations"))


def examine(
    connection: psycopg.Connection,
    environment: Mapping[str, str] | None,
    media: Path | None,
    *,
    local_domain: str | None = None,
    missing_to: Callable[[str], object] | None = None,
    reads_rows: bool = True,
    report: Reporter,
) -> HealthReport:
    """Return what there is to say of the database that an autocommit `connection` reads, and more if it is Mastodon's.

    `environment` is what its `.env.production` sets, None if that is not at hand; `media` its media folder;
    `local_domain` the domain that it is known to have had. Without `reads_rows` rows are not read for their own sake,
    for a database that has just been loaded.
    """
    with reading(connection):
        examined = examine_integrity(connection, report, reads_rows=reads_rows)
        checks = list(check_integrity(examined))
        if not is_mastodon(connection):
            checks += [check_indexes(connection), _NO_MASTODON]
            return HealthReport(None, "not a Mastodon database", None, tuple(checks))
        version, tables = _schema(connection)
        release = release_of(version, tables) if version else "of an unknown release"
        outcome = "passed" if version else "finding"
        checks.insert(0, Check("schema", outcome, f"schema version {version or 'unknown'}: {release}"))  # type: ignore[arg-type]
        for title, found in (
            ("secrets", check_secrets(connection, environment)),
            ("domain", _check_domain(connection, environment, local_domain)),
            ("duplicates", check_duplicates(connection, examined.unique_indexes)),
            ("media", check_media(connection, media, report, missing_to) if media else iter([_NO_MEDIA])),
        ):
            report(Note(f"look at {title}"))
            checks.extend(found)
        checks.append(check_indexes(connection))
    domain = (environment or {}).get("LOCAL_DOMAIN") or local_domain
    return HealthReport(version, release, domain, tuple(checks))


_NO_MASTODON = Check(
    "mastodon",
    "skipped",
    "this is not a Mastodon database (no accounts, statuses and schema_migrations in the schema public): only checks "
    "that apply to any database were run",
)
_NO_MEDIA = Check("media-files", "skipped", "media were not looked at: permafrost check DATABASE --media DIR does")


def _schema(connection: psycopg.Connection) -> tuple[str | None, int]:
    row = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    counted = connection.execute(
        "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = %s", (SCHEMA,)
    ).fetchone()
    return (str(row[0]) if row and row[0] else None), int(counted[0]) if counted else 0


def _check_domain(
    connection: psycopg.Connection, environment: Mapping[str, str] | None, known: str | None
) -> Iterator[Check]:
    """LOCAL_DOMAIN must be the snapshot's, and the one in local posts' addresses."""
    if environment is None:
        yield Check("local-domain", "skipped", "no secrets were given, so LOCAL_DOMAIN is not known")
        return
    local, web = environment.get("LOCAL_DOMAIN", ""), environment.get("WEB_DOMAIN", "")
    if not local:
        yield Check("local-domain", "finding", "LOCAL_DOMAIN is not set; it can never be changed safely")
        return
    if known and known != local:
        message = f"LOCAL_DOMAIN is {local}, and it was {known}: it can never be changed safely"
        yield Check("local-domain", "finding", message)
        return
    if not {"uri", "local"} <= columns_of(connection, "statuses"):
        yield Check("local-domain", "skipped", "this schema does not say which posts are local")
        return
    rows = connection.execute(
        "SELECT id::text, uri FROM statuses WHERE local AND uri LIKE 'http%%' ORDER BY id DESC LIMIT %s", (_SAMPLE,)
    ).fetchall()
    others = [number for number, uri in rows if urlsplit(uri).hostname not in (local.lower(), web.lower())]
    if others:
        message = (
            f"LOCAL_DOMAIN is {local}, and {len(others)} of the {len(rows)} newest local posts have other addresses: "
            "these settings belong to another server"
        )
        yield Check("local-domain", "finding", message, tuple(others), len(others))
    elif rows:
        yield Check(
            "local-domain", "passed", f"LOCAL_DOMAIN is {local}, as local posts' addresses say", count=len(rows)
        )
    else:
        yield Check("local-domain", "passed", f"LOCAL_DOMAIN is {local}; there are no local posts to compare it with")
