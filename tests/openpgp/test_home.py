"""Temporary GnuPG homes: the living are left alone, and what a killed process left is taken away."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from permafrost.openpgp.home import temporary_home
from permafrost.repository.repository import emergency_file
from tests.fixtures.other_user import as_other_user, as_root

_HOLDER = """
import sys
from permafrost.openpgp.home import gpg, temporary_home
from permafrost.processes.run import run_checked
with temporary_home() as home:
    words = ("--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "x", "ed25519", "sign", "never")
    run_checked(gpg(home, *words))
    print(home, flush=True)
    sys.stdin.read()
"""
_READER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("reader", sys.argv[1])
reader = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reader)
with reader.temporary_home() as home:
    (home / "private-keys-v1.d").mkdir()
    print(home, flush=True)
    sys.stdin.read()
"""
_SWEPT_READER = """
import importlib.util, subprocess, sys
spec = importlib.util.spec_from_file_location("reader", sys.argv[1])
reader = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reader)
moments = ["tempfile.mkdtemp", sys.argv[2]]  # the second is the first of its kind after the first
def sweep(event, words):
    if event in moments[:1] and moments.pop(0) == sys.argv[2]:
        subprocess.run([sys.executable, "-c", sys.argv[3], sys.argv[1]], stdin=subprocess.DEVNULL, check=True)
sys.addaudithook(sweep)
with reader.temporary_home() as home:
    assert not moments and home.is_dir() and (home / ".permafrost-lock").is_file()
assert not home.exists()
"""
_PERMAFROST = "from permafrost.openpgp.home import temporary_home\nwith temporary_home(): pass"


@contextmanager
def held_home(script: str = _HOLDER, *words: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has a home with a secret key in it, until its stdin ends."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        yield holder, Path(holder.stdout.readline().strip())


def test_a_killed_process_leaves_its_home_to_the_next() -> None:
    """After kill -9 the home with the secret key lies there until the next home is made; a living one stays."""
    with held_home() as (killed, abandoned), held_home() as (living, held):
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert list((abandoned / "private-keys-v1.d").iterdir())
        with temporary_home() as own:
            assert not abandoned.exists()
            assert list((held / "private-keys-v1.d").iterdir())
            assert own.parent == held.parent
        assert living.poll() is None
    assert not held.exists()
    assert living.returncode == 0


def test_a_service_has_homes_of_its_own(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Homes lie in the folder that systemd makes for a service, if it is closed to others; leftovers go, there
    and where everybody else has them."""
    of_service = server_folder / "runtime"
    of_service.mkdir(mode=0o700)
    with held_home() as (killed, of_a_person):
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert of_a_person.is_dir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{of_service}:/run/another")
    with held_home() as (killed, abandoned):
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert abandoned.is_relative_to(of_service)
        with temporary_home() as own:
            assert own.is_relative_to(of_service)
            assert not abandoned.exists()
            assert not of_a_person.exists()
    assert list(of_service.iterdir()) == []
    of_service.chmod(0o755)
    with temporary_home() as own:
        assert not own.is_relative_to(of_service)
    of_service.rmdir()


def test_a_killed_reader_leaves_its_home_to_the_next(tmp_path: Path) -> None:
    """What a killed restore.py left is removed by the next restore.py, and by permafrost; a living one's stays."""
    (tmp_path / "restore.py").write_bytes(emergency_file("restore.py"))
    reader = (_READER, str(tmp_path / "restore.py"))
    for remover in (held_home(*reader), temporary_home()):
        with held_home(*reader) as (killed, abandoned), held_home(*reader) as (_, held):
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            assert abandoned.is_dir()
            with remover:
                assert not abandoned.exists()
                assert held.is_dir()
        assert not held.exists()


@pytest.mark.parametrize("moment", ["open", "fcntl.flock"])
@pytest.mark.parametrize("sweeper", [_READER, _PERMAFROST], ids=["restore.py", "permafrost"])
def test_a_new_readers_home_is_not_swept(moment: str, sweeper: str, tmp_path: Path) -> None:
    """What another run removes between the making of a home and its lock costs a restore.py nothing."""
    (tmp_path / "restore.py").write_bytes(emergency_file("restore.py"))
    words = (sys.executable, "-c", _SWEPT_READER, str(tmp_path / "restore.py"), moment, sweeper)
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_what_older_versions_left(tmp_path: Path) -> None:
    """Homes of older versions are removed if their lock is free or a day has passed; the rest stays, links included."""
    with temporary_home() as own:
        place = own.parent.parent
    names = ("abandoned", "held", "old", "young")
    abandoned, held, old, young = (place / f"permafrost-gpg-{name}-{os.getpid()}" for name in names)
    open_to_all, link = place / f"permafrost-gpg-open-{os.getpid()}", place / f"permafrost-gpg-link-{os.getpid()}"
    for home in (abandoned, held, old, young, open_to_all):
        (home / "private-keys-v1.d").mkdir(mode=0o700, parents=True)
        home.chmod(0o755 if home == open_to_all else 0o700)
    (tmp_path / "precious").touch()
    link.symlink_to(tmp_path)
    for home in (old, open_to_all, tmp_path):
        os.utime(home, (0, 0))
    try:
        (abandoned / "permafrost.lock").touch()
        with (held / "permafrost.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with temporary_home():
                assert [home.exists() for home in (abandoned, held, old, young)] == [False, True, False, True]
            assert open_to_all.is_dir()
            assert link.is_symlink()
            assert (tmp_path / "precious").exists()
        with temporary_home():
            assert not held.exists()
    finally:
        link.unlink()
        for home in (young, open_to_all):
            shutil.rmtree(home)


def test_homes_lie_in_one_private_folder() -> None:
    """Two homes lie in one folder that is closed to all others, and it goes with the last of them."""
    with temporary_home() as first, temporary_home() as second:
        assert first.parent == second.parent
        assert first.parent.stat().st_mode & 0o777 == 0o700
    assert not first.exists()
    assert not second.exists()


def test_what_is_no_home_of_ours_stays(tmp_path: Path) -> None:
    """A link under the name of the homes' folder, or of a home in it, is not followed, and stays."""
    with temporary_home() as own:
        place, parent = own.parent.parent, own.parent
        (tmp_path / "precious").touch()
        links = [place / "permafrost-homes-00000000", place / "permafrost-reader-00000000", parent / "gpg-linked01"]
        for link in links:
            link.symlink_to(tmp_path)
        try:
            with temporary_home() as other:
                assert other.is_dir()
            assert all(link.is_symlink() for link in links)
            assert (tmp_path / "precious").exists()
        finally:
            for link in links:
                link.unlink()


@as_root
def test_names_taken_by_another_user() -> None:
    """Another user who takes the names of our folders in /dev/shm neither stops us, nor sees us use theirs."""
    with temporary_home() as own:
        place = own.parent.parent
    names = [str(place / f"permafrost-{kind}-{number:08}") for kind in ("homes", "reader") for number in range(3)]
    as_other_user("import os, sys\nfor name in sys.argv[1:]: os.mkdir(name, 0o777)", *names)
    try:
        with temporary_home() as own:
            assert str(own.parent) not in names
        assert all(not any(Path(name).iterdir()) for name in names)
    finally:
        for name in names:
            Path(name).rmdir()
