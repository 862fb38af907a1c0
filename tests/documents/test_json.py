"""Every command prints what its published schema says: all keys, of their types, and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator, ValidationError
from psycopg.conninfo import conninfo_to_dict

from permafrost.cli.main import main
from permafrost.config.models import Media, Schedule
from permafrost.config.writing import effective_toml
from permafrost.operations.schema import COMMANDS, NAMES, schema
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.repository import Repository
from permafrost.vault.settings import Vault, VaultSyncthing
from tests.fixtures.backups import drop
from tests.fixtures.commands import command, json_of, json_with
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.delivery import Stage, make_stage
from tests.fixtures.documented import documented, documented_output, keys_of
from tests.fixtures.server import MakeServer, Server, SigningKey
from tests.fixtures.syncthing import free_port, loopback_settings

NOT_ONE_DOCUMENT = {"config schema", "schema", "run", "vault run"}
"""The first two print schemas, the others events alone."""
SERVER = "example.social"


def own_syncthing() -> tuple[str, ...]:
    """Return the options of a Syncthing on loopback."""
    return ("--gui", f"127.0.0.1:{free_port()}", "--listen", f"tcp://127.0.0.1:{free_port()}", "--no-discovery")


def start(*words: str) -> subprocess.Popen[str]:
    """Start a command with --json."""
    return subprocess.Popen(
        [sys.executable, "-m", "permafrost", *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(running: subprocess.Popen[str], *words: str, said: str = "") -> dict[str, Any]:
    """Wait for a command that must succeed, and return its document; `said` was read of its stderr before."""
    stdout, stderr = running.communicate(timeout=90)
    assert running.returncode == 0, stdout + stderr
    return documented_output(words, stdout, said + stderr)


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer) -> Iterator[Server]:
    """A server without a snapshot; the database that a test restores is dropped."""
    yield make_server(mastodon_database, engine="log")
    drop(mastodon_database, "restored_documented")


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A vault, with its Syncthing on loopback, that keeps one snapshot and one picture."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    syncthing = VaultSyncthing(
        gui=f"127.0.0.1:{free_port()}", listen=(f"tcp://127.0.0.1:{free_port()}",), discovery=False
    )
    settings = made.vault.settings.model_copy(update={"syncthing": syncthing})
    made = replace(made, vault=Vault(root=made.vault.root, settings=settings))
    made.vault.save()
    media = made.vault.media(made.server)
    assert media is not None
    (media / ".stfolder").mkdir(parents=True)
    (media / "a.png").write_bytes(b"a picture")
    made.sender.snapshot(made.clock.wall)
    made.deliver()
    made.clock.pass_time(timedelta(minutes=1))
    made.keep()
    return made


def test_of_a_server(server: Server, tmp_path: Path) -> None:
    """Backup, restores, checks and what looks at the repository, also where there are findings."""
    config = ("--config", str(server.write_configuration()))
    database = str(conninfo_to_dict(server.configuration.database.url)["dbname"])
    (server.configuration.state.path / "receipts" / "attic").mkdir(parents=True)  # a vault that was just paired
    assert json_with(3, "status", *config)["vaults"][0]["name"] == "attic"
    assert json_of("backup", "--audit", *config)["work_s"]["publish"] > 0
    assert json_of("snapshots", *config)["snapshots"]
    assert json_of("prune", "--dry-run", *config)["kept"]
    restored = json_of(
        *("restore", "latest", "--database", "restored_documented", *config, "--runbook", str(tmp_path / "runbook")),
        *("--server", conninfo_for(server.configuration.database.url, dbname="postgres")),
    )
    assert restored["steps"][0]["title"]
    table = ("--table", "accounts", "--database", database, "--schema", "rescued")
    assert json_of("restore-table", "latest", *table, *config)["rescued_as"] == "rescued.accounts"
    assert json_of("export", "latest", "--output", str(tmp_path / "dump.gpg"), *config)["sealed"] is True
    assert json_of("check", database, *config)["checks"]
    assert json_of("drill", *config)["health"]["checks"]
    assert json_of("config", "check", *config)["problems"] == []
    assert json_of("config", "show", *config)["state"]
    flip_a_bit(min(server.repository.layout.objects.rglob("*.gpg")), 3)
    assert json_with(14, "verify", *config)["findings"]
    json_of("vault", "list", *config)


def test_of_init(tmp_path: Path) -> None:
    """init, and config check where there is a problem."""
    file = tmp_path / "permafrost.toml"
    places = ("--repository", str(tmp_path / "repository"), "--state", str(tmp_path / "state"))
    made = json_of("init", "--config", str(file), "--database", "postgresql:///nowhere", *places)
    assert str(file) in made["made"]
    file.write_text(file.read_text().replace("jobs = 2", "jbos = 2"))
    (problem,) = json_with(10, "config", "check", "--config", str(file))["problems"]
    assert problem["key"] == "database.jbos"


def test_of_pairing(make_server: MakeServer, tmp_path: Path) -> None:
    """invite, accept, join, list and remove, on both sides."""
    (tmp_path / "system").mkdir()
    changes = {
        "syncthing": loopback_settings(tmp_path / "syncthing"),
        "media": Media(path=tmp_path / "system"),
        "schedule": Schedule(backup="off", audit="off", drill="off"),
    }
    file = tmp_path / "permafrost.toml"
    file.write_text(effective_toml(make_server().configuration.model_copy(update=changes)))
    config, path = ("--config", str(file)), ("--path", str(tmp_path / "vault"))
    line = json_of("vault", "invite", "attic", "--no-wait", *config)["invitation"]
    accepting = start("vault", "accept", *config)
    joined = json_of("vault", "join", line, *path, *own_syncthing())
    assert finish(accepting, "vault", "accept")["paired"][0]["name"] == joined["vault"] == "attic"
    assert json_of("vault", "list", *config)["vaults"][0]["device_id"] == joined["device_id"]
    assert len(json_of("vault", "list", *path)["servers"][0]["folders"]) == 3
    assert json_of("vault", "remove", joined["server"], *path) == {"removed": joined["server"]}
    assert json_of("vault", "remove", "attic", *config) == {"removed": "attic"}


def test_of_copies(stage: Stage, tmp_path: Path) -> None:
    """What a vault keeps: history, verify, media, and send-back to a machine that receives."""
    path = ("--path", str(stage.vault.root))
    assert json_of("vault", "history", *path)["servers"][0]["snapshots"]
    assert json_of("vault", "verify", *path)["servers"][0]["objects"] == 2
    assert json_of("vault", "status", *path)["servers"][0]["verdict"]["sources"] == ["this vault"]
    assert json_of("vault", "media", "--server", SERVER, "--to", str(tmp_path / "then"), *path)["files"] == 1
    receiving = start("vault", "receive", "--to", str(tmp_path / "new"), *own_syncthing())
    assert receiving.stderr is not None
    said: list[str] = []
    while not said or "permafrost-receive-1." not in said[-1]:
        said.append(receiving.stderr.readline())
        assert said[-1], "it ended before it printed its line"
    sent = json_of("vault", "send-back", json.loads(said[-1])["message"], *path)
    received = finish(receiving, "vault", "receive", said="".join(said))
    assert sent["media_files"] == received["media_files"] == 1
    assert received["findings"] == []


def test_error() -> None:
    """An error is a document too."""
    assert json_with(12, "verify", "--repository", "/nowhere")["error"]["hint"]


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_one(name: str) -> None:
    """`permafrost schema NAME` prints a JSON Schema of draft 2020-12, every key of which is described."""
    printed = json.loads(command("schema", *name.split()).stdout)
    assert printed == schema(name)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(printed)
    parts = (printed, *printed.get("$defs", {}).values(), *printed.get("anyOf", ()))
    keys = [key for part in parts for key in part.get("properties", {}).values()]
    assert keys
    assert name == "config show" or all(key["description"] for key in keys)


def test_a_missing_key_is_seen() -> None:
    """What lacks a key, or has one that is not documented, is not valid here; scripts have to bear new ones."""
    good = {"removed": "attic"}
    documented("vault remove", good)
    for bad in ({}, {**good, "more": 1}):
        with pytest.raises(ValidationError):
            documented("vault remove", bad)
    Draft202012Validator(schema("vault remove")).validate({**good, "more": 1})


def test_every_command_is_described() -> None:
    """Each command that takes --json has its document among the schemas, and no other name is there."""
    context = click.Context(main, info_name="permafrost")
    with_json = {
        path for path, child in _leaves(main, context, "") if any(one.name == "as_json" for one in child.params)
    }
    assert with_json - NOT_ONE_DOCUMENT == COMMANDS.keys()


def test_no_key_is_ever_lost() -> None:
    """Every key that was ever printed still is; a new one is added to promised_keys.txt, and none is removed.

    The configuration's keys have a contract of their own.
    """
    promised = Path(__file__).with_name("promised_keys.txt").read_text().splitlines()
    now = {f"{name}: {key}" for name in NAMES if name != "config show" for key in keys_of(name)}
    assert set(promised) == now


def _leaves(group: click.Group, context: click.Context, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        child = group.get_command(context, name)
        assert child is not None
        if isinstance(child, click.Group):
            if child.invoke_without_command:
                yield f"{prefix}{name}", child
            yield from _leaves(child, context, f"{name} ")
        else:
            yield f"{prefix}{name}", child
