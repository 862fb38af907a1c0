"""Another local user who watches every place for temporary names while commands of root run: they reach nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.fixtures.backups import make_backup
from tests.fixtures.other_user import OTHER_USER, as_root
from tests.fixtures.server import MakeServer

ATTACKER = """
import os, socket, sys
from contextlib import suppress
places = ("/dev/shm", "/var/tmp", "/tmp")
kinds = tuple(f"permafrost-{kind}-" for kind in ("scratch", "homes", "reader", "socket", "bucket"))
inside = (".permafrost-lock", "socket", "socket/.s.PGSQL.5432", "s/.s.PGSQL.5432", "data", "repository")
victim, own = sys.argv[1], set()
seen, reached = set(), set()
print("watching", flush=True)
os.set_blocking(0, False)
def tried(what, action):
    with suppress(OSError):
        action()
        reached.add(what)
def entered(path):
    for inside in os.listdir(path):
        tried(f"listed {path}/{inside}", lambda: os.lstat(f"{path}/{inside}"))
def answered(path):
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
while True:
    with suppress(BlockingIOError):  # until stdin ends
        if os.read(0, 1) == b"":
            break
    for place in places:
        for name in os.listdir(place):
            path = f"{place}/{name}"
            if not name.lstrip(".").startswith(kinds) or path in own or os.path.islink(path):
                continue
            with suppress(FileNotFoundError):  # what is not root's is of other tests
                if os.lstat(path).st_uid != 0:
                    continue
            seen.add(name.split("-")[1])
            tried(f"entered {path}", lambda: entered(path))
            for below in inside:
                tried(f"saw {path}/{below}", lambda: os.lstat(f"{path}/{below}"))
                tried(f"connected to {path}/{below}", lambda: answered(f"{path}/{below}"))
                tried(f"opened {path}/{below}", lambda: os.close(os.open(f"{path}/{below}", os.O_RDWR | os.O_NONBLOCK)))
            tried(f"renamed {path}", lambda: os.rename(path, path + ".mine"))
            tried(f"removed {path}", lambda: os.rmdir(path))
            tried(f"wrote in {path}", lambda: os.mkdir(f"{path}/mine"))
            taken = (f"{place}/permafrost-{kind}-{len(own)}" for kind in ("scratch", "homes", "reader"))
            for other in (f"{path}.lock", *taken):
                if len(own) < 60:
                    with suppress(OSError):
                        os.symlink(victim, other)
                        own.add(other)
for path in own:
    with suppress(OSError):
        os.unlink(path)
        continue
    reached.add(f"{path} is gone")
print("seen", *sorted(seen))
print(*sorted(reached), sep="\\n")
"""


@contextmanager
def watched(victim: Path) -> Iterator[list[str]]:
    """Run the block while another user watches and tries; the list then has what they saw, and what they reached."""
    found: list[str] = []
    with subprocess.Popen(
        ["/usr/bin/python3", "-c", ATTACKER, str(victim)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=OTHER_USER.pw_uid,
        group=OTHER_USER.pw_gid,
        extra_groups=[],
        cwd="/",
    ) as attacker:
        assert attacker.stdout is not None
        assert attacker.stdin is not None
        assert attacker.stdout.readline() == "watching\n"
        try:
            yield found
        finally:
            attacker.stdin.close()
            found += attacker.stdout.read().splitlines()
    assert attacker.returncode == 0


@as_root
def test_nothing_is_reached(make_server: MakeServer, database: str, tmp_path: Path) -> None:
    """While root drills, restores with restore.py and verifies, another user breaks, reads and steers nothing."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT i FROM generate_series(1, 1000) i")
    server = make_server(database)
    make_backup(server)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_bytes(b"precious")
    key = f"--passphrase-file={server.passphrase_file}"
    permafrost = (sys.executable, "-m", "permafrost")
    commands = (
        (*permafrost, "drill", "latest", f"--repository={server.path}", key, "--scratch=/var/tmp"),
        (*permafrost, "verify", f"--repository={server.path}"),
        (sys.executable, str(server.path / "restore.py"), "check", key),
        (sys.executable, str(server.path / "restore.py"), "manifest", key),
    )
    with watched(victim) as found:
        for words in commands:
            ended = subprocess.run(words, check=False, capture_output=True, text=True, cwd="/")
            assert ended.returncode == 0, ended.stderr
    seen, *reached = found
    assert {"scratch", "reader", "homes"} <= set(seen.split())
    assert not "".join(reached)
    assert (victim / "precious").read_bytes() == b"precious"
