"""Reads the database's, Redis's and the file storage's settings from Mastodon's environment variables.

Names, defaults and precedence are those of Mastodon's config/database.yml, streaming/database.js,
config/initializers/paperclip.rb and its Redis configuration, 4.1 to 4.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from psycopg import pq

from permafrost.errors import ConfigurationError
from permafrost.mastodon.settings import (
    POSTGRESQL_PORT,
    DatabaseSettings,
    FileSystemStorage,
    ObjectStorage,
    RedisSettings,
    Storage,
)


def database_of(values: Mapping[str, str]) -> DatabaseSettings:
    """Return the primary database's settings. Raise `ConfigurationError` if DATABASE_URL is not a URL."""
    return _with_url(_plain_database(values), values.get("DATABASE_URL", ""), "DATABASE_URL")


def _plain_database(values: Mapping[str, str]) -> DatabaseSettings:
    # a variable that is set but empty means libpq's own default
    return DatabaseSettings(
        host=values.get("DB_HOST", "localhost"),
        port=values.get("DB_PORT", POSTGRESQL_PORT),
        name=values.get("DB_NAME", "mastodon_production"),
        user=values.get("DB_USER", "mastodon"),
        sslmode=values.get("DB_SSLMODE", "prefer"),
        password=values.get("DB_PASS", ""),
    )


def replica_of(values: Mapping[str, str]) -> DatabaseSettings | None:
    """Return the read replica's settings, None if there is none; what is not set for it is as in DB_*."""
    if not values.get("REPLICA_DB_NAME") and not values.get("REPLICA_DATABASE_URL"):
        return None
    database = _plain_database(values)
    settings = replace(
        database,
        host=values.get("REPLICA_DB_HOST", database.host),
        port=values.get("REPLICA_DB_PORT", database.port),
        name=values.get("REPLICA_DB_NAME", database.name),
        user=values.get("REPLICA_DB_USER", database.user),
        password=values.get("REPLICA_DB_PASS", database.password),
    )
    return _with_url(settings, values.get("REPLICA_DATABASE_URL", ""), "REPLICA_DATABASE_URL")


def _with_url(settings: DatabaseSettings, url: str, variable: str) -> DatabaseSettings:
    """Return `settings` overridden by what `url` holds; the rest stays, as Rails merges them.

    Parameters that are Rails' and not libpq's, such as `pool`, are left out.
    """
    if not url:
        return settings
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{variable} in Mastodon's environment is not a URL") from error
    if parts.scheme not in ("postgres", "postgresql", "postgis"):
        raise ConfigurationError(f"{variable} in Mastodon's environment is not a postgresql:// URL")
    authority = parts.netloc.rpartition("@")[2]  # parts.hostname is in lower case, which spoils a socket's folder
    host = authority.removesuffix(f":{port}" if port is not None else ":").strip("[]")
    found = {
        "host": unquote(host),
        "port": str(port or ""),
        "name": unquote(parts.path.removeprefix("/")),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    options = dict(settings.options)
    of_libpq = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    same = {"dbname": "name", "username": "user", "database": "name"}
    for name, value in parse_qsl(parts.query):
        own = same.get(name, name)
        if own in (*found, "sslmode"):
            found[own] = value
        elif name in of_libpq:
            options[name] = value
    given = {name: value for name, value in found.items() if value}
    return replace(settings, **given, options=tuple(options.items()))


def redis_of(values: Mapping[str, str]) -> tuple[RedisSettings, ...]:
    """Return the base Redis server, and those of the cache and of Sidekiq where they have one of their own."""
    prefixes = [
        prefix
        for prefix in ("", "CACHE_", "SIDEKIQ_")
        if not prefix or any(name.startswith(f"{prefix}REDIS_") for name in values)
    ]
    return tuple(_redis_server(values, prefix) for prefix in prefixes)


def _redis_server(values: Mapping[str, str], prefix: str) -> RedisSettings:
    def value(name: str, default: str = "") -> str:
        return values.get(f"{prefix}REDIS_{name}") or values.get(f"REDIS_{name}") or default

    return RedisSettings(
        prefix=prefix,
        url=values.get(f"{prefix}REDIS_URL", ""),  # a server of its own host does not take the base's URL
        host=value("HOST", "localhost"),
        port=value("PORT", "6379"),
        database=value("DB", "0"),
        user=value("USER"),
        password=value("PASSWORD"),
        sentinel_master=value("SENTINEL_MASTER"),
        sentinels=value("SENTINELS"),
    )


def _s3_of(values: Mapping[str, str]) -> ObjectStorage:
    """Return what Mastodon's paperclip.rb makes of S3_*.

    Files are read at PROTOCOL://ALIAS_HOST/KEY, or else at PROTOCOL://HOSTNAME/BUCKET/KEY, also where requests to the
    store have the bucket in the host's name (S3_OVERRIDE_PATH_STYLE).
    """
    region, bucket = values.get("S3_REGION", "us-east-1"), values.get("S3_BUCKET", "")
    protocol = values.get("S3_PROTOCOL", "https")
    host = values.get("S3_HOSTNAME", f"s3-{region}.amazonaws.com")
    alias_host = values.get("S3_ALIAS_HOST") or values.get("S3_CLOUDFRONT_HOST", "")
    key_prefix = values.get("S3_KEY_PREFIX", "").strip("/")
    parts = (f"{protocol}://{alias_host.strip('/') or f'{host}/{bucket}'}", key_prefix)
    return ObjectStorage(
        kind="S3",
        container=bucket,
        endpoint=values.get("S3_ENDPOINT") or f"{protocol}://{host}",
        region=region,
        key_prefix=key_prefix,
        alias_host=alias_host,
        public_url="/".join(filter(None, parts)) if alias_host or bucket else "",
        acl=values.get("S3_PERMISSION", "public-read"),
        access_key=values.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=values.get("AWS_SECRET_ACCESS_KEY", ""),
    )


def storage_of(values: Mapping[str, str], folder: Path) -> Storage:
    """Return where user files lie: the first of four branches, and only the exact text `true` counts."""
    if values.get("S3_ENABLED") == "true":
        return _s3_of(values)
    if values.get("SWIFT_ENABLED") == "true":
        return ObjectStorage(
            kind="Swift",
            container=values.get("SWIFT_CONTAINER", ""),
            endpoint=values.get("SWIFT_AUTH_URL", ""),
            region=values.get("SWIFT_REGION", ""),
            alias_host=values.get("SWIFT_OBJECT_URL", ""),
        )
    if values.get("AZURE_ENABLED") == "true":
        return ObjectStorage(
            kind="Azure",
            container=values.get("AZURE_CONTAINER_NAME", ""),
            endpoint=values.get("AZURE_STORAGE_ACCOUNT", ""),
            alias_host=values.get("AZURE_ALIAS_HOST", ""),
        )
    root = values.get("PAPERCLIP_ROOT_PATH", ":rails_root/public/system").replace(":rails_root", str(folder))
    return FileSystemStorage(path=folder / root, root_url=values.get("PAPERCLIP_ROOT_URL", "/system"))
