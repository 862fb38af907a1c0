from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from demo.account import command_lines
from demo.comparison import Original, compare
from demo.machine import processes_of
from demo.portrait import Portrait, TablePortrait, portray_file, portray_files

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def running_demo() -> Iterator[subprocess.Popen[str]]:
    """A demo of the smallest size in a session of its own."""
    with subprocess.Popen(
        (sys.executable, "-m", "demo", "--small"),
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as demo:
        try:
            yield demo
        finally:
            if demo.poll() is None:
                demo.terminate()


def folder_in(text: str) -> Path:
    """Return the folder that the demo says it uses."""
    return Path(text.partition("Everything happens below ")[2].partition(",")[0])


def test_the_demo_passes_and_leaves_nothing() -> None:
    """A database is backed up, carried, destroyed and restored, equal; no process and no file is left."""
    with running_demo() as demo:
        told, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, told
    last = told.rstrip().splitlines()[-1]
    assert last.startswith("demo: passed: 118 tables and materialized views with 1,977 rows, 65 media files"), told
    assert "DIFFERENT" not in told
    assert "had to end" not in told
    assert "\x1b" not in told
    assert processes_of(folder_in(told)) == {}
    assert not folder_in(told).exists()


def test_an_interrupted_demo_leaves_nothing() -> None:
    """After Ctrl-C in the middle, with all services up, no process and no file is left."""
    with running_demo() as demo:
        assert demo.stdout is not None
        told = ""
        for line in demo.stdout:
            told += line
            if "Syncthing is up" in line:
                break
        folder = folder_in(told)
        assert processes_of(folder)
        demo.send_signal(signal.SIGINT)
        told += demo.stdout.read()
        assert demo.wait(60) == 130, told
    assert told.rstrip().endswith("everything it had made is gone again"), told
    assert "had to end" not in told
    assert processes_of(folder) == {}
    assert not folder.exists()


def test_every_difference_is_found(tmp_path: Path) -> None:
    """A changed row, a missing table, an added file, another mode and a lost secret are each told by name."""
    for side in ("before", "after"):
        (tmp_path / side / "cache").mkdir(parents=True)
        (tmp_path / side / "kept.png").write_bytes(b"kept")
        os.utime(tmp_path / side / "kept.png", (1, 1))
        (tmp_path / side / "cache" / "remote.png").write_bytes(side.encode())
    (tmp_path / ".env.production").write_text("OTP_SECRET=1\n")
    table = TablePortrait(rows=3, sha256="a" * 64, digest="17")
    database = Portrait({"accounts": table, "statuses": table}, sequences="s", schema="d", size_bytes=1)
    original = Original(database, portray_files(tmp_path / "before"), portray_file(tmp_path / ".env.production"))

    equal = compare(original, database, tmp_path / "after", tmp_path / ".env.production")
    assert equal.differences == ()
    assert {line[-1] for line in equal.lines} == {"equal"}

    (tmp_path / "after" / "kept.png").chmod(0o600)
    (tmp_path / "after" / "added.png").write_bytes(b"added")
    restored = Portrait({"accounts": replace(table, sha256="b" * 64)}, sequences="s", schema="e", size_bytes=1)
    found = compare(original, restored, tmp_path / "after", tmp_path / "lost")
    assert [difference.partition(":")[0] for difference in found.differences] == [
        "table accounts differs",
        "table statuses is missing",
        "schema of the database differs",
        "media file added.png is there, and was not before",
        "media file kept.png differs",
        "secrets file lost is missing",
    ]


def test_commands_are_shown_as_they_are_typed() -> None:
    """Words are quoted for a shell, options keep their values on their line, an invitation is cut short."""
    assert command_lines(("permafrost", "run"), is_beside=True) == ["permafrost run &"]
    long = command_lines(("permafrost", "restore", "latest", "--repository", "a" * 60, "--server", "host=/x user=y"))
    assert long == [f"permafrost restore latest --repository {'a' * 60} \\", "--server 'host=/x user=y'"]
    (line,) = command_lines(("join", "permafrost-invite-1." + "e" * 500))
    assert line == "join permafrost-invite-1." + "e" * 30 + "..."
