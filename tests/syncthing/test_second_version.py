"""What only Syncthing 2.x does; skipped where the installed one is of 1.x.

CONTRIBUTING.md says how to test with another. A home of 1.x is made by the first Syncthing 1.x on PATH.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from permafrost.errors import ToolError
from permafrost.processes.daemon import Daemon
from permafrost.syncthing.client import Client
from permafrost.syncthing.dialect import Dialect, detect_dialect
from permafrost.syncthing.folders import Folder, ensure_folder
from permafrost.syncthing.home import Home, read_home
from permafrost.syncthing.instance import Instance
from tests.fixtures.syncthing import loopback_settings, wait_for

FOLDER = "permafrost-test-repository"
_FIRST_MAINTENANCE_S = 60  # of its database, after a start
_LONG_AGO_NS = 1_000_000_000_000_000_000  # in 2001


@pytest.fixture(scope="module")
def second() -> Dialect:
    """The installed Syncthing, of 2.x."""
    dialect = detect_dialect()
    if dialect.version[0] == 1:
        pytest.skip("the installed Syncthing is of 1.x")
    return dialect


@pytest.fixture(scope="module")
def first() -> Dialect:
    """A Syncthing of 1.x beside it."""
    for folder in os.get_exec_path():
        with suppress(ToolError, OSError):
            dialect = detect_dialect(str(Path(folder) / "syncthing"))
            if dialect.version[0] == 1:
                return dialect
    pytest.skip("no Syncthing of 1.x is on PATH")


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory: pytest.TempPathFactory, first: Dialect, second: Dialect) -> Home:
    """A home of 1.x, with a folder, a file and a deletion, that 2.x was then started on."""
    base = tmp_path_factory.mktemp("second")
    settings = loopback_settings(base / "home")
    sent = Folder(FOLDER, "repository", base / "repository", "repository", is_sent=True)
    with Instance(settings, "server", program=first.program).running() as client:
        ensure_folder(client, sent)
        for name in ("kept", "deleted"):
            (sent.path / name).write_bytes(name.encode())
        client.scan(FOLDER)
        (sent.path / "deleted").unlink()
        client.scan(FOLDER)
        before = client.own_id(), client.folder(FOLDER), client.file(FOLDER, "kept"), client.file(FOLDER, "deleted")
        key = read_home(settings.home).api_key
    with Instance(settings, "server", program=second.program).running() as client:
        ensure_folder(client, sent)
        after = client.own_id(), client.folder(FOLDER), client.file(FOLDER, "kept"), client.file(FOLDER, "deleted")
        assert client.version().startswith("v2.")
    assert after[0] == before[0]
    assert before[1] is not None
    assert after[1] is not None
    assert (after[1]["path"], after[1]["type"]) == (before[1]["path"], before[1]["type"])
    assert after[2:] == before[2:], "versions and deletions are as they were"
    assert before[3] is not None
    home = read_home(settings.home)
    assert home.api_key == key
    return home


def test_a_home_of_1_x_is_taken_over(taken_over: Home) -> None:
    """Device id, key, folders, versions and deletions survive the first start of 2.x, and so may the next starts."""
    assert not (taken_over.path / "index-v0.14.0.db").exists()
    assert (taken_over.path / "index-v2").is_dir()


@pytest.mark.parametrize("ours", [True, False], ids=["as permafrost starts it", "by default"])
def test_deletions_are_never_forgotten(taken_over: Home, second: Dialect, tmp_path: Path, *, ours: bool) -> None:
    """A deletion of long ago outlives the maintenance of the database, which by default would forget it."""
    copy = shutil.copytree(taken_over.path, tmp_path / "home")
    _age_deletions(copy)
    program = second.serve(copy)
    extra = {"STDBMAINTENANCEINTERVAL": "1s", "STTRACE": "db/sqlite"}
    kept = {key: value for key, value in program.environment.items() if ours or "RETENTION" not in key}
    log = tmp_path / "log"
    daemon = Daemon(replace(program, environment={**kept, **extra}), log)
    try:
        with Client(taken_over.gui, taken_over.api_key) as client:
            wait_for(client.is_answering, "it is up")
            repository = Path(str((client.folder(FOLDER) or {})["path"]))
            (repository / f"news-{ours}").touch()  # a database that has not changed is not maintained
            client.scan(FOLDER)
            wait_for(lambda: "Removed old file names" in log.read_text(), "it is maintained", _FIRST_MAINTENANCE_S + 30)
            assert (client.file(FOLDER, "deleted") is not None) == ours
    finally:
        daemon.end(10)


def _age_deletions(home: Path) -> None:
    aged = 0
    for database in (home / "index-v2").glob("folder.*.db"):
        with closing(sqlite3.connect(database)) as connection, connection:
            aged += connection.execute("UPDATE files SET modified = ? WHERE deleted", (_LONG_AGO_NS,)).rowcount
    assert aged == 1
