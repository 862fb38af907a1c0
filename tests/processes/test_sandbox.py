"""What a program in the sandbox can see, reach and leave behind: attacks from the inside."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from permafrost.errors import ToolError
from permafrost.processes.daemon import Daemon
from permafrost.processes.proc import descendants
from permafrost.processes.program import Finished, Program
from permafrost.processes.run import run
from permafrost.processes.sandbox import Sandbox, check_sandbox, enclosed_pid, explain_sandbox, sandboxed
from tests.fixtures.other_user import OTHER_USER, as_root
from tests.fixtures.syncthing import wait_for

CANARY = "canary-" + secrets.token_hex(8)
USER = "postgres" if os.geteuid() == 0 else None


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The one folder that the sandboxed program may write to."""
    folder = tmp_path / "own"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def inside(script: str, own: Path, *readable: Path, user: str | None = USER) -> Finished:
    """Run a shell script in the sandbox, to its end."""
    sandbox = Sandbox([path for path in readable if path.exists()], [own], user)
    return run(sandboxed(Program(("/bin/sh", "-c", script)), sandbox), timeout_s=60)


@pytest.fixture
def canaries(tmp_path: Path) -> Iterator[list[Path]]:
    """Files with a canary where secrets lie: in memory, in a temporary folder, at home, in the runtime folder."""
    places = [Path("/dev/shm"), Path("/var/tmp"), Path("/tmp"), Path("/run"), Path.home(), tmp_path]  # noqa: S108
    files = [place / f".permafrost-{CANARY}" for place in places if os.access(place, os.W_OK)]
    for file in files:
        file.write_text(CANARY)
        file.chmod(0o644)
    assert len(files) >= 4
    yield files
    for file in files:
        file.unlink()


def test_no_file_of_others_is_seen(canaries: list[Path], own: Path) -> None:
    """No file outside of the program's own folder can be read, by its name or by a search, even one open to all."""
    names = " ".join(str(file) for file in canaries)
    search = "find / -xdev -type f -name '.permafrost-*' 2>/dev/null"
    ended = inside(f"cat {names} 2>/dev/null; {search}; cat /etc/shadow /etc/permafrost/* 2>/dev/null; echo end", own)
    assert ended.stdout == b"end\n"


def test_only_its_own_folder_can_be_written(own: Path) -> None:
    """A program can write to its own folder and nowhere else."""
    places = "/ /dev /dev/shm /etc /usr /usr/bin /var /var/tmp /tmp /run"
    tries = f"for place in {places}; do (echo x > $place/written) 2>/dev/null && echo $place; done; echo x > {own}/file"
    assert inside(tries, own).stdout == b""
    assert (own / "file").read_text() == "x\n"


def test_its_own_folder_may_be_in_memory(canaries: list[Path]) -> None:
    """A folder of the program's own in /dev/shm is seen and can be written; nothing else is seen or written there."""
    with tempfile.TemporaryDirectory(prefix="pf-", dir="/dev/shm") as place:
        own = Path(place) / "own"
        own.mkdir()
        own.chmod(0o777)
        Path(place).chmod(0o711)
        tries = f"(echo x > /dev/shm/written) 2>/dev/null && echo written; cat {canaries[0]} 2>/dev/null"
        ended = inside(f"{tries}; find /dev/shm -mindepth 1; echo x > {own}/file", own)
        assert ended.stdout.decode().split() == [place, str(own)]
        assert (own / "file").read_text() == "x\n"


def test_no_other_process_is_seen(own: Path) -> None:
    """There is no /proc, so neither processes nor what they hold open can be found, and none can be signalled."""
    ended = inside(f"ls /proc 2>/dev/null; kill -0 {os.getpid()} 2>/dev/null && echo reached; echo $$", own)
    assert ended.stdout == b"2\n"  # the first is bubblewrap's own


def test_no_network(own: Path) -> None:
    """Neither a server on loopback, nor an abstract socket, nor the socket of the machine's PostgreSQL is reached."""
    with socket.socket() as listening, socket.socket(socket.AF_UNIX) as abstract:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        abstract.bind(f"\0{CANARY}")
        abstract.listen()
        script = (
            "import socket\n"
            f"for family, name in ((socket.AF_INET, {listening.getsockname()!r}), (socket.AF_UNIX, '\\0{CANARY}')):\n"
            "    try: socket.socket(family).connect(name); print('reached', name)\n"
            "    except OSError as error: print(error.errno)\n"
        )
        (own / "script.py").write_text(script)
        ended = inside(f"/usr/bin/python3 {own}/script.py; ls /run /var/run 2>/dev/null", own)
    assert b"reached" not in ended.stdout
    assert len(ended.stdout.split()) == 2, ended.stderr_tail


def test_nothing_of_ours_is_inherited(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our environment, nor our open files, nor our groups and rights come along."""
    for name in ("PATH", "HOME", "TMPDIR", "PGPASSWORD"):
        monkeypatch.setenv(name, f"/{CANARY}:{os.environ.get(name, '')}")
    held = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        ended = inside(
            f"env; id -u; id -G; for fd in 3 4 5 6 7 8 9 {held}; do (: <&$fd) 2>/dev/null && echo fd; done", own
        )
    finally:
        os.close(held)
    assert CANARY.encode() not in ended.stdout
    assert b"fd" not in ended.stdout
    if USER is not None:
        uid, *groups = ended.stdout.split()[-2:]
        assert b"0" not in (uid, *groups)


@as_root
def test_root_cannot_be_had_back(own: Path) -> None:
    """What root has started as another user gains no right by a program that is setuid."""
    script = "for program in su mount passwd; do $program --help >/dev/null 2>&1; done; unshare --mount true; id -u"
    ended = inside(script, own)
    assert ended.stdout.strip() != b"0"
    setuid = shutil.copy("/usr/bin/id", own / "id")
    os.chown(setuid, 0, 0)
    Path(setuid).chmod(0o4755)
    assert inside(f"{own}/id -u", own).stdout.strip() != b"0"


@as_root
def test_an_ordinary_user_has_the_same(canaries: list[Path], server_folder: Path) -> None:
    """An ordinary user is enclosed alike, by a user namespace."""
    own = server_folder / "ordinary"
    own.mkdir()
    own.chmod(0o777)
    script = (
        "import sys\nfrom pathlib import Path\nfrom permafrost.processes.program import Program\n"
        "from permafrost.processes.run import run\nfrom permafrost.processes.sandbox import Sandbox, sandboxed\n"
        "program = Program(('/bin/sh', '-c', sys.argv[2]))\n"
        "ended = run(sandboxed(program, Sandbox([], [Path(sys.argv[1])])))\n"
        "print(ended.stdout.decode(), ended.stderr_tail, end='')\n"
    )
    packages = [path for path in sys.path if path.endswith(("site-packages", "src"))]
    ended = subprocess.run(
        ["/usr/bin/python3", "-c", script, own, f"cat {' '.join(map(str, canaries))} 2>/dev/null; id -u; ls /proc / "],
        check=True,
        capture_output=True,
        text=True,
        user=OTHER_USER.pw_uid,
        group=OTHER_USER.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin", "PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert CANARY not in ended.stdout
    assert ended.stdout.split()[0] == str(OTHER_USER.pw_uid), ended.stdout
    assert "home" not in ended.stdout


def test_it_ends_with_us(own: Path, tmp_path: Path) -> None:
    """When the process that started it is killed, the kernel ends the sandbox and every program in it."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom permafrost.processes.program import Program\n"
        "from permafrost.processes.run import run\nfrom permafrost.processes.sandbox import Sandbox, sandboxed\n"
        "own = Path(sys.argv[1])\n"
        "program = Program(('/bin/sh', '-c', f'sleep 600 & echo x > {own}/started; exec sleep 600'))\n"
        "run(sandboxed(program, Sandbox([], [own], sys.argv[2] or None)))\n"
    )
    starter = Daemon(Program((sys.executable, "-c", script, str(own), USER or "")), tmp_path / "log")
    try:
        wait_for((own / "started").exists, "the program has started")
        enclosed = descendants(starter.pid)
        assert len(enclosed) >= 4
        assert enclosed_pid(enclosed[0]) == enclosed[2]
        os.kill(starter.pid, 9)
        starter.wait(10)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in enclosed), "the sandbox has ended")
    finally:
        starter.end()


def test_a_missing_bubblewrap_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without bubblewrap the error names the package, and the setting for machines where it cannot work."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="without a sandbox") as caught:
        check_sandbox()
    assert "apt-get install bubblewrap" in caught.value.hint
    assert 'sandbox = "off"' in caught.value.hint


def test_a_failure_of_the_sandbox_is_told_from_the_programs(own: Path) -> None:
    """A sandbox that cannot be made is named as such; a program that fails in one is not."""
    assert explain_sandbox(inside("exit 3", own)) is None
    broken = run(sandboxed(Program(("/bin/true",)), Sandbox([own / "none"], [])), timeout_s=60)
    explained = explain_sandbox(broken)
    assert explained is not None
    assert "no sandbox can be made here" in explained.message
