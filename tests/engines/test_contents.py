"""What lies in a snapshot, looked at with other means than ours: gpg, zstd, pg_restore and arithmetic."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from permafrost.repository.layout import SnapshotId
from tests.fixtures.backups import make_backup
from tests.fixtures.server import MakeServer, Server


def opened(server: Server, file: Path, *then: str) -> bytes:
    """Return what a sealed file holds, opened by the programs as a person would, and piped through `then`."""
    home = server.passphrase_file.parent / "reader"
    home.mkdir(mode=0o700, exist_ok=True)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-autostart", "--pinentry-mode", "loopback"]
    command = [*gpg, "--passphrase-file", str(server.passphrase_file), "--decrypt", str(file)]
    content = subprocess.run(command, check=True, capture_output=True).stdout
    return subprocess.run(then, input=content, check=True, capture_output=True).stdout if then else content


def manifest_of(server: Server, snapshot: SnapshotId) -> dict[str, Any]:
    """Return a snapshot's manifest as plain JSON."""
    file = server.repository.layout.snapshot(snapshot) / "manifest.gpg"
    manifest = json.loads(opened(server, file, "zstd", "-d", "-c"))
    assert isinstance(manifest, dict)
    return manifest


def objects_of(server: Server, snapshot: SnapshotId) -> list[Path]:
    """Return a snapshot's objects in the order of their indices, read off the list as text."""
    lines = (server.repository.layout.snapshot(snapshot) / "objects.sha256").read_text().splitlines()
    return [server.path / line.split("  ")[1] for line in lines if not line.startswith("#")][1:]


@pytest.mark.format("3.4", "3.1", "1.1")
def test_files_and_modes(mastodon_database: str, make_server: MakeServer) -> None:
    """A snapshot's folder holds its three files, read-only; repository.json says what it should."""
    server = make_server(mastodon_database)
    folder = server.repository.layout.snapshot(make_backup(server).snapshot)
    assert sorted(file.name for file in folder.iterdir()) == ["manifest.gpg", "objects.sha256", "objects.sha256.sig"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o444}
    facts = json.loads((server.path / "repository.json").read_text())
    assert facts["format"] == 1
    assert facts["sealing"] == "passphrase"
    assert facts["signing_key"] == server.configuration.signing.fingerprint
    assert len(facts["repository"]) == 32


@pytest.mark.format("5.1", "5.4", "5.6")
def test_manifest_and_frame(mastodon_database: str, make_server: MakeServer) -> None:
    """The manifest is JSON with what the format promises; the frame is a custom archive of the whole database."""
    server = make_server(mastodon_database)
    snapshot = make_backup(server).snapshot
    manifest = manifest_of(server, snapshot)
    promised = {"format", "repository", "snapshot", "made_at", "signing_key", "engine", "is_audited", "database"}
    assert promised | {"tables", "objects", "tools"} <= manifest.keys()
    assert manifest["objects"] == [{"kind": "frame", "index": 0}]
    assert manifest["snapshot"] == str(snapshot)
    assert manifest["mastodon"] == {"schema_version": "20260611150940", "secrets_present": []}
    assert {"name": "mastodon", "can_login": True, "is_superuser": False} in manifest["database"]["roles"]
    (frame,) = objects_of(server, snapshot)
    archive = opened(server, frame, "zstd", "-d", "-c")
    assert archive.startswith(b"PGDMP")
    listed = subprocess.run(["pg_restore", "--list"], input=archive, check=True, capture_output=True).stdout.decode()
    assert "Compression: " in listed
    assert " TABLE DATA public statuses mastodon" in listed


@pytest.mark.format("5.2", "5.3")
def test_counts_and_digests(database: str, make_server: MakeServer) -> None:
    """Counts and digests are those that the format defines, computed here from the rows by other means."""
    rows = [(1, "plain"), (2, "tab\tand\nnewline"), (3, 'quote " and \\ backslash'), (4, None), (5, "")]
    with psycopg.connect(database) as connection:
        # the table's column order is not the order of names, and one column was dropped
        connection.execute('CREATE TABLE "Odd ""name""" (z int, dropped int, "a b" text, f float8 DEFAULT 0.1)')
        connection.execute('ALTER TABLE "Odd ""name""" DROP COLUMN dropped')
        connection.cursor().executemany('INSERT INTO "Odd ""name""" (z, "a b") VALUES (%s, %s)', rows)
        connection.execute("CREATE TABLE parent (i int)")
        connection.execute("CREATE TABLE child () INHERITS (parent)")
        connection.execute("INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3)")
        connection.execute("CREATE TABLE nothing ()")
        connection.execute("INSERT INTO nothing DEFAULT VALUES")
    server = make_server(database)
    manifest = manifest_of(server, make_backup(server, is_audited=True).snapshot)
    tables = {table["name"]: table for table in manifest["tables"]}
    assert {name: table["rows"] for name, table in tables.items()} == {
        'Odd "name"': 5,
        "parent": 1,
        "child": 2,
        "nothing": 1,
    }
    texts = [
        "(plain,0.1,1)",
        '("tab\tand\nnewline",0.1,2)',
        '("quote "" and \\\\ backslash",0.1,3)',
        "(,0.1,4)",
        '("",0.1,5)',
    ]
    expected = sum(
        int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big", signed=True)
        for text in texts
    )
    assert tables['Odd "name"']["digest"] == str(expected)
    assert tables["nothing"]["digest"] == str(
        int.from_bytes(hashlib.md5(b"()", usedforsecurity=False).digest()[:8], "big", signed=True)
    )
