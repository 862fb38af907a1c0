"""Repositories that somebody has tampered with: refused with exit code 14, nothing is added, memory is bounded."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import zstandard

from permafrost.errors import IntegrityError, PermafrostError
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import PassphraseSealing
from permafrost.postgres.connection import conninfo_for
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.layout import SnapshotId
from permafrost.repository.sealed import put_sealed
from permafrost.repository.snapshots import list_snapshots
from tests.fixtures.backups import make_backup, make_restore
from tests.fixtures.commands import command
from tests.fixtures.forgery import Json, big_segment, forge
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import Server, SigningKey, copied, new_server

NAME = "restored_hostile"


@pytest.fixture(scope="module")
def backed_up(
    cluster: ScratchCluster, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with two log snapshots, of which the second has a delta with gone and new lines."""
    with temporary_database(cluster, "template0") as database:
        made = new_server(tmp_path_factory.mktemp("backed-up") / "server", signing_key, database, engine="log")
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE TABLE big AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i")
            make_backup(made)
            connection.execute("DELETE FROM big WHERE i < 50")
            connection.execute("INSERT INTO big SELECT i, 'new' FROM generate_series(1, 9) i")
        make_backup(made)
        yield made


@pytest.fixture
def server(backed_up: Server, tmp_path: Path) -> Iterator[Server]:
    """A copy of that server to tamper with; no restore of it leaves a database."""
    yield copied(backed_up, tmp_path / "server")
    with psycopg.connect(conninfo_for(backed_up.configuration.database.url, dbname="postgres")) as connection:
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{NAME}%",)).fetchall()
    assert names == []


def newest(server: Server) -> SnapshotId:
    """Return the newest snapshot."""
    return max(list_snapshots(server.repository.layout))


def refused(server: Server, snapshot: SnapshotId | None = None) -> IntegrityError:
    """Restore what must be refused, and return the error."""
    with pytest.raises(IntegrityError) as caught:
        make_restore(server, NAME, snapshot=snapshot)
    assert caught.value.exit_code == 14
    assert caught.value.unchanged
    return caught.value


def with_delta(server: Server, text: Callable[[], Iterator[bytes]] | bytes) -> SnapshotId:
    """Publish a snapshot, signed by the server, whose delta of the table `big` is another object."""
    source = [text] if isinstance(text, bytes) else text()
    with temporary_home() as home:
        stored = put_sealed(server.repository.layout, home, PassphraseSealing(server.passphrase_file), source=source)

    def change(manifest: Json) -> None:
        big_segment(manifest)["deltas"][0][0] = len(manifest["objects"])
        big_segment(manifest)["deltas"][0][1] = 0
        manifest["objects"].append({"kind": "delta", "index": len(manifest["objects"])})

    return forge(server, newest(server), change, more=[stored])


def tar_of(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a compressed tar with these members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            described = tarfile.TarInfo(name)
            described.size, described.type = len(content), kind
            archive.addfile(described, io.BytesIO(content))
    return zstandard.ZstdCompressor().compress(packed.getvalue())


def bomb(name: str, gigabytes: int, byte: bytes) -> Callable[[], Iterator[bytes]]:
    """Return a maker of a compressed tar that swells to so many GB."""

    def make() -> Iterator[bytes]:
        described = tarfile.TarInfo(name)
        described.size = gigabytes << 30
        compressor = zstandard.ZstdCompressor().compressobj()
        yield compressor.compress(described.tobuf(tarfile.GNU_FORMAT))
        piece = byte * (16 << 20)
        for _ in range(gigabytes * 64):
            yield compressor.compress(piece)
        yield compressor.flush()

    return make


def test_two_objects_change_places(server: Server) -> None:
    """Two valid objects under each other's names are refused by name."""
    files = sorted(server.repository.layout.objects.rglob("*.gpg"), key=lambda file: file.stat().st_size)
    first, second = files[-2:]
    aside = first.with_suffix(".aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    assert any(file.stem in refused(server).message for file in (first, second))


def test_an_old_snapshot_as_the_newest(server: Server) -> None:
    """An old snapshot in a folder with a newer name is refused: its signed list says which it is."""
    layout = server.repository.layout
    snapshot = newest(server)
    later = SnapshotId.new(datetime.now(UTC), snapshot)
    shutil.copytree(layout.snapshot(snapshot), layout.snapshot(later))
    refused(server, later)


def test_the_newest_is_withheld(server: Server) -> None:
    """That a newer snapshot was held back cannot be told from a folder; what is restored is told with its date."""
    layout = server.repository.layout
    oldest = min(list_snapshots(layout))
    shutil.rmtree(layout.snapshot(newest(server)))
    words = ("restore", "latest", f"--repository={server.path}", f"--passphrase-file={server.passphrase_file}")
    target = ("--database=postgres", "--server=host=/nowhere")
    ended = command(*words, *target, environment={"PERMAFROST_CONFIG": "/nowhere"})
    assert str(oldest) in ended.stderr


DELTAS: dict[str, bytes] = {
    "not a tar": zstandard.ZstdCompressor().compress(b"x" * 5000),
    "not compressed": b"x" * 5000,
    "nothing": zstandard.ZstdCompressor().compress(b""),
    "a name that leads out": tar_of(("../0.new", b"1\tx\n")),
    "an absolute name": tar_of(("/etc/passwd", b"1\tx\n")),
    "a link": tar_of(("0.new", b""), kind=tarfile.SYMTYPE),
    "a device": tar_of(("0.new", b""), kind=tarfile.CHRTYPE),
    "an extended header": tar_of(("0.new", b"x" * 100), kind=tarfile.XHDTYPE),
    "a long name": tar_of(("0.new", b"x" * 100), kind=tarfile.GNUTYPE_LONGNAME),
    "gone lines that are not there": tar_of(("0.gone", b"20001\n"), ("0.new", b"1\tx\n" * 9)),
    "gone lines out of order": tar_of(("0.gone", b"5\n4\n"), ("0.new", b"1\tx\n" * 9)),
    "gone lines twice": tar_of(("0.gone", b"5\n5\n"), ("0.new", b"1\tx\n" * 9)),
    "negative gone lines": tar_of(("0.gone", b"-5\n"), ("0.new", b"1\tx\n" * 9)),
    "gone lines that are words": tar_of(("0.gone", b"five\n"), ("0.new", b"1\tx\n" * 9)),
    "giant gone lines": tar_of(("0.gone", b"9" * 40 + b"\n"), ("0.new", b"1\tx\n" * 9)),
    "too many lines": tar_of(("0.new", b"1\tx\n" * 10)),
    "too few lines": tar_of(("0.new", b"1\tx\n" * 8)),
    "a line without end": tar_of(("0.new", b"1\tx\n" * 8 + b"1\tx")),
}


@pytest.mark.parametrize("delta", DELTAS)
def test_deltas_that_are_none(server: Server, delta: str) -> None:
    """Whatever stands where a delta should, correctly signed, is refused."""
    refused(server, with_delta(server, DELTAS[delta]))


# in a small process of its own: what a program is started from counts as its memory, too (getrusage(2), ru_maxrss)
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize(
    ("name", "byte", "gigabytes"),
    [
        ("0.gone", b"\n", 1),
        ("0.gone", b"1", 1),
        ("0.new", b"\n", 1),
        pytest.param("0.new", b"x", 2, marks=pytest.mark.long),  # a line may have 1 GiB
    ],
)
def test_zip_bombs(server: Server, name: str, byte: bytes, gigabytes: int) -> None:
    """A delta of some kB that swells to a GB and more is refused, and does not fill the memory."""
    forged = with_delta(server, bomb(name, gigabytes, byte))
    url = server.configuration.database.url
    words = ("restore", str(forged), f"--repository={server.path}", f"--passphrase-file={server.passphrase_file}")
    command = (sys.executable, "-m", "permafrost", *words, f"--database={NAME}", f"--server={url}", "--json")
    measured = subprocess.run(
        (sys.executable, "-c", MEASURED, *command),
        env={**os.environ, "PERMAFROST_CONFIG": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    code, most_kib = map(int, measured.stdout.split())
    assert code == 14
    assert most_kib * 1024 < 500e6


def test_a_manifest_that_swells(server: Server) -> None:
    """A manifest of some kB that swells to 65 MB and more is refused before it is read as JSON."""

    def pad(manifest: Json) -> None:
        manifest["tools"]["pad"] = "x" * (65 << 20)

    assert "larger" in refused(server, forge(server, newest(server), pad)).message


NAMES = ["../../etc", 'x"; DROP TABLE big; --', "a\0b", "", "x" * 10_000]


@pytest.mark.parametrize("name", NAMES)
def test_names_in_the_manifest(server: Server, name: str) -> None:
    """Names of tables, columns and sequences out of a manifest are names and nothing else, wherever they are used."""

    def rename(manifest: Json) -> None:
        (table,) = (one for one in manifest["tables"] if one["name"] == "big")
        table["name"] = name

    forged = forge(server, newest(server), rename)
    with pytest.raises(PermafrostError):
        make_restore(server, NAME, snapshot=forged)
    with psycopg.connect(server.configuration.database.url) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM big").fetchone() == (True,)


def test_an_object_of_another_snapshot(server: Server) -> None:
    """A valid object of this repository in another one's place is refused, although the manifest names it."""

    def swap(manifest: Json) -> None:
        big_segment(manifest)["base"][0] = next(one["index"] for one in manifest["objects"] if one["kind"] == "delta")

    refused(server, forge(server, newest(server), swap))


def test_a_folder_that_is_a_link(server: Server, tmp_path: Path) -> None:
    """A snapshot's folder that is a link elsewhere is not followed."""
    layout = server.repository.layout
    snapshot = newest(server)
    elsewhere = tmp_path / "elsewhere"
    layout.snapshot(snapshot).rename(elsewhere)
    layout.snapshot(snapshot).symlink_to(elsewhere)
    with pytest.raises(PermafrostError):
        make_restore(server, NAME, snapshot=snapshot)
