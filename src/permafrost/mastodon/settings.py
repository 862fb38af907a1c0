"""The parts of Mastodon's environment that a backup needs, as typed values; no `repr` shows a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

POSTGRESQL_PORT = "5432"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How Mastodon reaches a PostgreSQL server; `options` are libpq parameters beyond the usual ones."""

    host: str
    port: str
    name: str
    user: str
    sslmode: str
    password: str = field(default="", repr=False)
    options: tuple[tuple[str, str], ...] = ()

    def url(self, passfile: Path | None = None) -> str:
        """Return a libpq URI without the password; it names `passfile` if one is given."""
        query = dict(self.options)
        authority = quote(self.user, safe="") + ("@" if self.user else "")
        if self.host.startswith("/") or not self.host:
            if self.host:
                query["host"] = self.host
            if self.port and self.port != POSTGRESQL_PORT:
                query["port"] = self.port
        else:
            host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
            authority += host + (f":{self.port}" if self.port else "")
        if self.sslmode and self.sslmode != "prefer":  # libpq's own default
            query["sslmode"] = self.sslmode
        if passfile is not None:
            query["passfile"] = str(passfile)
        text = f"postgresql://{authority}/{quote(self.name, safe='')}"
        return f"{text}?{urlencode(query, safe='/', quote_via=quote)}" if query else text

    def pgpass_line(self) -> str:
        """Return the line of a pgpass file that gives the password, for any database of that server.

        A restore goes into databases of other names. For a socket the host stays open, since which name libpq
        looks for depends on how it was built (its manual, "The Password File").
        """
        is_socket = self.host.startswith("/") or not self.host
        parts = ("*" if is_socket else self.host, self.port or "*", "*", self.user or "*", self.password)
        escaped = (part.replace("\\", "\\\\").replace(":", "\\:") for part in parts)
        return ":".join(escaped)


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where one of up to three Redis servers is; `prefix` is "", "CACHE_" or "SIDEKIQ_"."""

    prefix: str
    host: str
    port: str
    database: str
    user: str = ""
    sentinel_master: str = ""
    sentinels: str = ""
    password: str = field(default="", repr=False)
    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FileSystemStorage:
    """User files lie in a folder of the server."""

    path: Path
    root_url: str


@dataclass(frozen=True, slots=True)
class ObjectStorage:
    """User files lie in an object store. `public_url` is below which Mastodon has them read; empty where unknown.

    `acl` is what Mastodon asks the store to let everyone do with a file, empty if it asks for nothing.
    """

    kind: str
    container: str
    endpoint: str
    region: str = ""
    key_prefix: str = ""
    alias_host: str = ""
    public_url: str = ""
    acl: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)


Storage = FileSystemStorage | ObjectStorage
