"""However the service was started, its jobs start the same way; one that could start none says so and is not ready."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import zipapp
from functools import partial
from pathlib import Path

import pytest

import permafrost
from tests.fixtures.server import MakeServer
from tests.fixtures.syncthing import wait_for

SOURCE = Path(permafrost.__file__).parent.parent
PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))
BARE_PYTHON = Path(sys.executable).resolve()  # the interpreter below the virtual environment: it has no dependencies


def _wrapped(folder: Path, *, knows_the_way: str = "True") -> tuple[str, ...]:
    """Return a launcher as Nix makes one: the interpreter knows no module, the script adds their folders."""
    script = folder / ".permafrost-wrapped"
    script.write_text(
        f"#!{BARE_PYTHON} -I\n"
        f"import os, sys\n"
        f"sys.argv[0] = {str(folder / 'permafrost')!r}\n"
        f"if {knows_the_way}: sys.path += [{str(SOURCE)!r}, {PACKAGES!r}]\n"
        "from permafrost.cli.main import run\nrun()\n"
    )
    launcher = folder / "permafrost"
    launcher.write_text(f'#!/bin/sh\nexport WRAPPED=$((WRAPPED + 1))\nexec {script} "$@"\n')
    for file in (script, launcher):
        file.chmod(0o755)
    return (str(launcher),)


def _zipped(folder: Path) -> tuple[str, ...]:
    """Return a zipapp's command; the dependencies have parts in C, which no zip file can hold."""
    code = folder / "code"
    code.mkdir()
    (code / "__main__.py").write_text(
        f"import sys\nsys.path += [{str(SOURCE)!r}, {PACKAGES!r}]\nfrom permafrost.cli.main import run\nrun()\n"
    )
    zipapp.create_archive(code, folder / "permafrost.pyz")
    return str(BARE_PYTHON), "-I", str(folder / "permafrost.pyz")


def _says(log: Path, text: str) -> bool:
    return text in log.read_text()


NO_DATABASE = "postgresql:///nowhere?host=/nowhere"  # a job that says that it is down has been started


def test_jobs_start_as_the_service_did(make_server: MakeServer, tmp_path: Path) -> None:
    """A job of a wrapped program, of a zipapp and of a virtual environment runs, from whatever folder."""
    installed = (str(Path(sys.executable).with_name("permafrost")),)
    logs: list[Path] = []
    services: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate((_wrapped(tmp_path), _zipped(tmp_path), installed)):
            logs.append(tmp_path / f"log-{number}")
            config = str(make_server(NO_DATABASE, name=f"server-{number}").write_configuration())
            with logs[-1].open("wb") as stderr:
                services.append(subprocess.Popen([*command, "run", "--config", config], stderr=stderr, cwd="/"))
        for log in logs:
            wait_for(partial(_says, log, "backup failed: cannot connect"), "a job has run", 30)
    finally:
        for service in services:
            service.terminate()
        codes = [service.wait(15) for service in services]
    assert codes == [0, 0, 0]
    assert not any("No module named" in log.read_text() for log in logs)


def test_a_service_that_cannot_start_jobs_is_not_ready(make_server: MakeServer, tmp_path: Path) -> None:
    """It ends with 15 and the reason, before it tells the service manager that it is ready."""
    launcher = _wrapped(tmp_path, knows_the_way="os.environ['WRAPPED'] == '1'")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(tmp_path / "notify"))
        ended = subprocess.run(
            [*launcher, "run", "--config", str(make_server(NO_DATABASE).write_configuration())],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 15, ended.stderr
        assert "the service cannot start its own jobs" in ended.stderr
        assert "No module named 'permafrost'" in ended.stderr
        inbox.setblocking(False)
        with pytest.raises(BlockingIOError):
            inbox.recv(100)
