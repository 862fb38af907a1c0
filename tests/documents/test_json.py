"""docs/reference/json.md names the keys that commands print, all of them and no others."""

from __future__ import annotations

import json
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from permafrost.postgres.connection import conninfo_for
from tests.fixtures.backups import drop
from tests.fixtures.commands import command, json_of
from tests.fixtures.documented import documented
from tests.fixtures.server import MakeServer, Server


def keys_of(document: dict[str, Any]) -> set[str]:
    """Return a document's keys, and those of the objects in its lists as `key[].part`."""
    keys = set(document)
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            keys |= {f"{key}[].{part}" for part in value[0]}
    return keys


def connection_database(conninfo: str) -> str:
    """Return the name of the database that a connection string names."""
    return str(conninfo_to_dict(conninfo)["dbname"])


def damage(server: Server) -> None:
    """Change one byte of one object."""
    file = min(server.repository.layout.objects.rglob("*.gpg"))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")


def test_documented_keys_are_those_printed(mastodon_database: str, make_server: MakeServer) -> None:
    """Each of the six commands prints exactly the documented keys, also where there are findings."""
    server = make_server(mastodon_database)
    config = ("--config", str(server.write_configuration()))
    (server.configuration.state.path / "receipts" / "attic").mkdir(parents=True)  # a vault that was just paired
    empty = json_with(3, "status", *config)
    assert keys_of(empty) == documented("permafrost status")
    assert keys_of(json_of("backup", *config)) == documented("permafrost backup")
    assert keys_of(json_of("snapshots", *config)) == documented("permafrost snapshots")
    assert keys_of(json_of("prune", "--dry-run", *config)) == documented("permafrost prune")
    try:
        restored = json_of(
            *("restore", "latest", "--database", "restored_documented", *config),
            *("--runbook", str(server.path.with_name("runbook"))),
            *("--server", conninfo_for(mastodon_database, dbname="postgres")),
        )
    finally:
        drop(mastodon_database, "restored_documented")
    assert keys_of(restored) == documented("permafrost restore")
    assert keys_of(json_of("check", connection_database(mastodon_database), *config)) == documented("permafrost check")
    assert keys_of(json_of("drill", *config)) == documented("permafrost drill")
    damage(server)
    assert keys_of(json_with(14, "verify", *config)) == documented("permafrost verify")


def test_documented_error() -> None:
    """An error has exactly the documented keys."""
    error = json_with(12, "verify", "--repository", "/nowhere")["error"]
    assert {f"error.{key}" for key in error} == documented("An error")


def json_with(code: int, *words: str) -> dict[str, Any]:
    """Run a command with --json that must end with `code`, and return its document."""
    finished = command(*words, "--json")
    assert finished.returncode == code, finished.stdout + finished.stderr
    document = json.loads(finished.stdout)
    assert isinstance(document, dict)
    return document
