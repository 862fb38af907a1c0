"""The managed Syncthing: one per home, started by its first user, stopped by its last.

`permafrost run` keeps it up for good; a single command joins one that is up, or starts it for its own duration.
So that they do not start two on one home, or end one that another still uses:

- `starting.lock` is held alone while somebody looks, starts or ends. Nothing is decided without it.
- `users.lock` is shared by everybody who uses the instance. Who leaves and can then have it alone, ends it.
- `instance.pid` is the id of the instance's session. A process that was killed leaves its Syncthing behind, which
  the next one finds by it, even when it does not answer.
- An instance that converts the database of an older version (`conversion`) is left to itself by everybody until it
  answers, or stands still.

Locks are flock(2), which the kernel lets go with the process that held them.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from permafrost.config.models import Syncthing
from permafrost.errors import ReplicationError
from permafrost.processes.daemon import Daemon
from permafrost.processes.proc import session_members
from permafrost.syncthing.client import Client
from permafrost.syncthing.conversion import conversion_mark, is_converting
from permafrost.syncthing.dialect import detect_dialect
from permafrost.syncthing.home import Home, prepare_home, read_home
from permafrost.syncthing.presence import home_exists

READY_S = 60.0
SHUTDOWN_S = 4.0
TERMINATE_S = 2.0
ANSWER_S = 3.0
LOG_BYTES = 10 << 20
_LOOK_S = 0.05


class StoppedError(ReplicationError):
    """Whoever asked for the instance no longer wants it."""


class ConvertingError(ReplicationError):
    """It does not answer yet, and must not be ended: it converts its database."""


class _SilentError(ReplicationError):
    """It runs, and does not answer."""


class Instance:
    """The Syncthing of one home, from the view of one user of it."""

    def __init__(
        self,
        settings: Syncthing,
        device_name: str,
        *,
        program: str = "syncthing",
        answer_s: float = ANSWER_S,
        ready_s: float = READY_S,
    ) -> None:
        self.settings = settings
        self._device_name = device_name
        self._program = program
        self._answer_s = answer_s
        self._ready_s = ready_s
        self._home = settings.home
        self._log = self._home / "syncthing.log"
        self._daemon: Daemon | None = None
        self._users: int | None = None
        self.stop_requested = threading.Event()
        """Set it from another thread to end any waiting here with `StoppedError`."""

    @contextmanager
    def running(self) -> Iterator[Client]:
        """Yield a client of the instance, which runs for as long as the block does."""
        self.acquire()
        try:
            with self.client() as client:
                yield client
        finally:
            self.release()

    def acquire(self) -> None:
        """Become a user of the instance, which then runs and answers.

        Raise `ReplicationError` if it cannot be brought to answer, `ToolError` if there is no Syncthing.
        """
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with self._deciding():
                self._users = self._open_lock("users.lock")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                self._ensure_running()
        except BaseException:
            self.release()
            raise

    def mend(self) -> None:
        """Bring the instance back if it died or hangs; a user of it may call this."""
        with self._deciding():
            self._ensure_running()

    def release(self) -> None:
        """Leave; the instance ends if nobody else uses it, unless it converts its database."""
        if self._users is None:
            return
        self.stop_requested.clear()  # it was for the waiting that led here
        with self._deciding():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # somebody else still uses it, and will end it
            else:
                if not self._converts():
                    self._end()
            finally:
                os.close(self._users)
                self._users = None

    def is_alive(self) -> bool:
        """Return whether its process is there; whether it answers is another question."""
        session = self.session
        if self._daemon is not None and self._daemon.pid == session:
            return self._daemon.returncode() is None
        return session in self._members()

    def is_answering(self) -> bool:
        """Return whether its API answers within a few seconds."""
        with self.client(self._answer_s) as client:
            return client.is_answering()

    def client(self, answer_s: float | None = None) -> Client:
        """Return a new client, by the address and key in its config.xml."""
        home = read_home(self._home)
        return Client(home.gui, home.api_key) if answer_s is None else Client(home.gui, home.api_key, answer_s=answer_s)

    @property
    def session(self) -> int | None:
        """The id of the instance's session, which is that of its first process."""
        with suppress(OSError, ValueError):
            return int((self._home / "instance.pid").read_text(encoding="ascii"))
        return None

    # --- everything below is called while starting.lock is held ---

    def _ensure_running(self) -> None:
        if home_exists(self._home) and self.is_alive():
            if self.is_answering():
                return
            if is_converting(self._home):
                self._wait_until_it_answers()
                return
        self._end()
        home = prepare_home(self.settings, detect_dialect(self._program), self._device_name)
        self._start(home)

    def _start(self, home: Home) -> None:
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        self._daemon = Daemon(detect_dialect(self._program).serve(home.path), self._log)
        (self._home / "instance.pid").write_text(str(self._daemon.pid), encoding="ascii")
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        """Return once it answers. Otherwise end it, unless it converts its database and gets on with that."""
        before = conversion_mark(self._home)
        try:
            self._wait_for_answer()
        except _SilentError as error:
            if not self._converts() or conversion_mark(self._home) == before:
                self._end()
                raise
            raise ConvertingError(
                "Syncthing is converting its database for its new version, and does not answer until that is done",
                unchanged="its keys, its settings and all backups; nothing is sent or received meanwhile",
                hint=f"it continues by itself, do not end it; {self._log} shows how far it is",
            ) from error
        except BaseException:
            if not self._converts():
                self._end()
            raise

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + self._ready_s
        with self.client(self._answer_s) as client:
            while not client.is_answering():
                if not self.is_alive():
                    code = f", with exit code {self._daemon.returncode()}" if self._daemon is not None else ""
                    raise ReplicationError(
                        f"Syncthing stopped at once{code}: {self._last_words()}",
                        hint=f"its full log is {self._log}; often another program uses its port",
                    )
                if time.monotonic() > deadline:
                    raise _SilentError(
                        f"Syncthing did not answer at {client.address} within {self._ready_s:.0f} s",
                        hint=f"see {self._log}; another program may listen there",
                    )
                self._pause()

    def _converts(self) -> bool:
        return is_converting(self._home) and self.is_alive() and not self.is_answering()

    def _end(self) -> None:
        """End the instance and whatever is left of its session: asked politely, then not."""
        if self.is_alive() and home_exists(self._home):
            with suppress(ReplicationError), self.client(self._answer_s) as client:
                client.shutdown()
                deadline = time.monotonic() + SHUTDOWN_S
                while self.is_alive() and time.monotonic() < deadline:
                    time.sleep(_LOOK_S)
        if self._daemon is not None:
            self._daemon.end(TERMINATE_S)
            self._daemon = None
        self._signal_members(signal.SIGTERM)
        deadline = time.monotonic() + TERMINATE_S
        while self._members() and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        self._signal_members(signal.SIGKILL)
        (self._home / "instance.pid").unlink(missing_ok=True)

    def _signal_members(self, number: signal.Signals) -> None:
        for pid in self._members():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _members(self) -> tuple[int, ...]:
        """Return the processes of the recorded session that serve this home; a number used again is not ours."""
        session = self.session
        if session is None:
            return ()
        return tuple(pid for pid in session_members(session) if str(self._home) in _arguments(pid))

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
            return " | ".join(line.strip() for line in lines[-4:])
        return "it printed nothing"

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        descriptor = self._open_lock("starting.lock")
        try:
            while not _try_alone(descriptor):
                self._pause()
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        return os.open(self._home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _pause(self) -> None:
        if self.stop_requested.wait(_LOOK_S):
            raise StoppedError("waiting for Syncthing was cancelled")


def _try_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _arguments(pid: int) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0"))
    return ()
