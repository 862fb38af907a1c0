"""Pipes, links, sockets, folders and giants in a repository that somebody hands over: nothing waits or swells."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, closing
from pathlib import Path

import psycopg
import pytest

from permafrost.repository.snapshots import list_snapshots
from tests.fixtures.backups import make_backup
from tests.fixtures.server import MakeServer, Server


def a_pipe(place: Path) -> None:
    """Put a pipe there, to which nobody writes."""
    os.mkfifo(place)


def a_link(place: Path) -> None:
    """Put a link there to what was there, so that its content is right."""
    place.symlink_to("aside")


def an_endless_link(place: Path) -> None:
    """Put a link there to a device that has no end."""
    place.symlink_to("/dev/zero")


def a_link_to_itself(place: Path) -> None:
    """Put a link there that leads round in a circle, wherever it is moved."""
    place.symlink_to(place.parent / "round")
    (place.parent / "round").symlink_to("round")


def a_socket(place: Path) -> None:
    """Put a socket there."""
    with closing(socket.socket(socket.AF_UNIX)) as made, chdir(place.parent):  # a socket's path has to be short
        made.bind(place.name)


def a_folder(place: Path) -> None:
    """Put a folder there."""
    place.mkdir()


def a_giant(place: Path) -> None:
    """Put a file of 8 TB there, without its bytes."""
    place.touch()
    os.truncate(place, 8 << 40)


def deep_json(place: Path) -> None:
    """Put lists within lists there."""
    place.write_text('{"format": ' + "[" * 100_000)


STRANGE = (a_pipe, a_link, an_endless_link, a_link_to_itself, a_socket, a_folder, a_giant, deep_json)


@pytest.fixture
def copy(make_server: MakeServer, database: str, tmp_path: Path) -> Iterator[tuple[Server, dict[str, Path]]]:
    """A server's repository with one snapshot, and where its files are."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE rows (id int)")
    server = make_server(database)
    make_backup(server)
    layout = server.repository.layout
    (snapshot,) = list_snapshots(layout)
    folder = layout.snapshot(snapshot)
    yield (
        server,
        {
            **{name: server.path / name for name in ("repository.json", "signing-key.asc", "key-check.gpg")},
            "list": folder / "objects.sha256",
            "signature": folder / "objects.sha256.sig",
            "manifest": folder / "manifest.gpg",
            "object": next(layout.objects.rglob("*.gpg")),
        },
    )
    shutil.rmtree(tmp_path, ignore_errors=True)


LOOK = """
import resource, runpy, shutil, sys
from contextlib import suppress
from pathlib import Path
from permafrost.cli.main import main
folder, key, strange, *places = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
source = ["--repository", folder, "--passphrase-file", key]
def code(function, *words):
    try:
        function(*words)
    except SystemExit as end:
        return int(end.code) if isinstance(end.code, int) else 1 if end.code else 0
def emergency(*words):
    sys.argv = ["restore.py", *words]
    runpy.run_path(folder + "/restore.py", run_name="__main__")
for place in map(Path, places):
    aside = place.with_name("aside")
    place.rename(aside)
    Path(strange).rename(place)
    restore = ["restore", "latest", *source, "--database=x", "--server=host=/nowhere"]
    commands = (["verify", *source[:2]], ["snapshots", *source[:2]], restore)
    codes = [code(main, command) for command in commands]
    print("codes", *codes, code(emergency, "check", *source), flush=True)
    place.rename(strange)
    aside.rename(place)
"""


@pytest.mark.format("1.4")
@pytest.mark.parametrize("put", STRANGE, ids=lambda put: put.__name__)
def test_strange_files(copy: tuple[Server, dict[str, Path]], put: Callable[[Path], None]) -> None:
    """Whatever is in a file's place, each command ends in time and little memory, with an error that is no defect."""
    server, places = copy
    strange = server.path / "strange"
    put(strange)
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            LOOK,
            str(server.path),
            str(server.passphrase_file),
            str(strange),
            *map(str, places.values()),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    codes = [tuple(map(int, line.split()[1:])) for line in ended.stdout.splitlines() if line.startswith("codes ")]
    for name, (verified, listed, restored, read) in zip(places, codes, strict=True):
        if name == "key-check.gpg":
            assert (verified, listed, restored, read) == (0, 0, 16, 0), "no reader needs it"
        else:
            assert (verified in {3, 12, 14}, listed in {0, 3, 12, 14}, restored in {12, 14}, read) == (
                True,
                True,
                True,
                1,
            ), name
