"""A throw-away PostgreSQL cluster in its own folder, for drills, the demo, tests and benchmarks.

Who may connect: anyone who may enter the socket's folder (0700, the server's user) is the superuser without a
password, so nobody else on the machine can connect. There is no TCP unless asked for; then only 127.0.0.1,
with a password in a file (0600), because "trust" there would make every local user a superuser.
We never send it a password of another server: the connection string leaves none to be found.

A server whose databases hold somebody else's code runs in a sandbox (`is_sandboxed`, processes/sandbox.py): it sees its
own programs, its data and its socket, and ends with us. As root we need not share the scratch folder's path with it.

What a killed run left running is found by the server's `cluster_name`, which is made from the folder's path
and which every server process shows in its title (readable without rights that root may lack in a container).
It is ended before the folder is used again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from permafrost.errors import DatabaseError, ToolError
from permafrost.postgres.programs.binaries import installation, server_binaries
from permafrost.postgres.programs.scratch_folder import ScratchFolder, system_user
from permafrost.processes.daemon import Daemon
from permafrost.processes.program import Program, ProgramFailedError
from permafrost.processes.run import run
from permafrost.processes.sandbox import Sandbox, enclosed_pid, explain_sandbox, sandboxed

SERVER_USER = "postgres"
READY_S = 60.0
STOP_S = 60.0
POLL_S = 0.02

StopMode = Literal["fast", "immediate"]
_SIGNALS: dict[StopMode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_SETTINGS = {
    "shared_buffers": "64MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "50",
    "max_wal_size": "2GB",  # loading a database must not checkpoint every few seconds
    "checkpoint_timeout": "30min",
    "dynamic_shared_memory_type": "mmap",  # in the data folder, so that nothing stays in /dev/shm after a kill
    "autovacuum": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
}
_HBA = "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class NewCluster:
    """The name of a new cluster's superuser, and further options of initdb."""

    superuser: str = SERVER_USER
    initdb_options: Sequence[str] = ()


class ScratchCluster:
    """A PostgreSQL cluster that lives in `folder` and that nobody else on the machine can connect to.

    As a context manager it is created and started, and at the end stopped and removed. `start`, `stop` and
    `restart` keep the data. `folder` belongs to the cluster alone: it is made if absent, and only one process
    may use it at a time. `binaries` is the folder of the server programs (by default the newest installed).
    `settings` are added to, and win over, the server settings chosen here. Without `durable` a crash of the
    machine, but not of the server, may lose the data. `is_sandboxed` needs bubblewrap, and ends with the thread that
    starts the server. `new` is how a new cluster is made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        tcp_port: int | None = None,
        durable: bool = False,
        locale: str = "C.UTF-8",
        settings: Mapping[str, str] | None = None,
        is_sandboxed: bool = False,
        new: NewCluster | None = None,
    ) -> None:
        self._user = SERVER_USER if os.geteuid() == 0 else None
        self._place = ScratchFolder(folder.absolute(), self._user)
        self.folder = self._place.path
        self.data_folder = self._place.data
        self.log_file = self._place.log
        self.pass_file = self._place.pass_file
        self.tcp_port = tcp_port
        self.binaries = binaries or server_binaries()
        self._locale = locale
        self._new = new or NewCluster()
        self._settings = {**_SETTINGS, **({} if durable else _NOT_DURABLE), **(settings or {})}
        self._name = f"scratch-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]}"
        self._is_sandboxed = is_sandboxed
        self._daemon: Daemon | None = None

    def __enter__(self) -> Self:
        self.destroy()
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's unix socket."""
        return self._place.socket

    @property
    def pid(self) -> int:
        """The server's process id; raise `DatabaseError` if it was not started here."""
        if self._daemon is None:
            raise DatabaseError(f"the scratch server in {self.folder} is not running")
        found = enclosed_pid(self._daemon.pid) if self._is_sandboxed else self._daemon.pid
        return self._daemon.pid if found is None else found

    def conninfo(self, database: str) -> str:
        """Return the libpq connection string for `database` by the unix socket, as the superuser.

        A sandboxed server may be in the hands of whoever owns its databases, so no password is left to be found for
        it: not in PGPASSWORD, and not in a pass file.
        """
        secretless = {"password": "", "passfile": str(self.pass_file)} if self._is_sandboxed else {}
        where = {"host": str(self.socket_folder), "port": str(self._port), "user": self._new.superuser}
        return make_conninfo("", **where, dbname=database, **secretless)

    def tcp_conninfo(self, database: str, *, port: int | None = None) -> str:
        """Return the libpq connection string for `database` by TCP; `port` may be a proxy's."""
        return make_conninfo(
            host="127.0.0.1",
            port=port or self._port,
            user=self._new.superuser,
            dbname=database,
            passfile=str(self.pass_file),
        )

    @property
    def _port(self) -> int:
        return self.tcp_port or 5432

    def start(self) -> None:
        """Make the server ready for connections, with existing data, or with a new cluster.

        Whatever an earlier, killed run left running in this folder is ended first. Raise `ToolError` if the
        server's user cannot reach the folder, `DatabaseError` with the end of the log if it does not start.
        """
        if self._daemon is not None and self._daemon.returncode() is None:
            return
        self._end_leftovers()
        self._place.claim()
        self._place.write(self._place.hba_file, _HBA, for_server=True)
        if not self.data_folder.exists():
            self._initialize()
        self._place.remove_socket()
        self._place.make_socket(self._port)
        (self.data_folder / "postmaster.pid").unlink(missing_ok=True)  # its process, if any, has been ended
        command = Program(self._server_command())
        server = self._enclosed(command, self.data_folder, self.socket_folder, has_programs=False)
        self._daemon = Daemon(server, self.log_file, folder=Path("/"))
        try:
            self._wait_until_ready(self._daemon)
            if self.tcp_port is not None:
                self._set_password()
        except BaseException:
            self.stop("immediate")
            raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server with all its processes: `fast` ends sessions cleanly, `immediate` is a crash."""
        if self._daemon is not None:
            if self._daemon.returncode() is None:
                os.kill(self.pid, _SIGNALS[mode])
                self._daemon.wait(STOP_S)
            self._daemon.end(grace_s=0)
            self._daemon = None
        self._end_leftovers()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start the server, keeping its data."""
        self.stop(mode)
        self.start()

    def destroy(self) -> None:
        """Stop the server and remove everything it left, the folder too unless foreign files lie in it.

        A folder that is not one of our own is left as it is.
        """
        self.stop("immediate")
        if self._place.is_own:
            self._place.remove()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the server's log."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text("utf-8", "replace").splitlines()[-lines:])

    def _initialize(self) -> None:
        unfinished = self._place.unfinished
        self._place.remove_unfinished()
        self._place.make_for_server(unfinished)
        if not self._is_sandboxed:
            self._check_reachable(unfinished)
        initdb = (
            *(str(self.binaries / "initdb"), f"--pgdata={unfinished}", f"--username={self._new.superuser}"),
            *("--auth=trust", "--encoding=UTF8", f"--locale={self._locale}", "--no-sync", "--no-instructions"),
            *self._new.initdb_options,
        )
        finished = run(self._enclosed(Program(initdb), unfinished), folder=Path("/"))
        if finished.returncode != 0:
            raise explain_sandbox(finished) or ProgramFailedError(finished)
        unfinished.rename(self.data_folder)

    def _check_reachable(self, folder: Path) -> None:
        reachable = run(Program(("test", "-w", str(folder)), user=self._user), folder=Path("/"))
        if reachable.returncode != 0:
            raise ToolError(
                f"the system user {self._user} cannot access the folder {self.folder}",
                hint="choose a folder whose parents every user may enter, such as one below /var/tmp",
                unchanged="nothing was started",
            )

    def _enclosed(self, program: Program, *writable: Path, has_programs: bool = True) -> Program:
        """Return a program of the server as it is to be started: as the server's user, in the sandbox if need be."""
        if not self._is_sandboxed:
            return replace(program, user=self._user)
        readable = [self._place.hba_file, *installation(self.binaries)]
        return sandboxed(program, Sandbox(readable, writable, self._user, has_programs))

    def _server_command(self) -> tuple[str, ...]:
        settings = {
            **self._settings,
            "cluster_name": self._name,
            "hba_file": str(self._place.hba_file),
            "listen_addresses": "" if self.tcp_port is None else "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self.socket_folder),
        }
        options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        return (str(self.binaries / "postgres"), "-D", str(self.data_folder), *options)

    def _wait_until_ready(self, daemon: Daemon) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                psycopg.connect(self.conninfo("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                ended = daemon.wait(POLL_S)
                if ended or time.monotonic() > deadline:
                    what = "ended" if ended else f"was not ready after {READY_S:.0f} s"
                    raise DatabaseError(
                        f"the scratch server in {self.folder} {what}: {error}; its log: {self.log_tail()}"
                    ) from error
            else:
                return

    def _set_password(self) -> None:
        password = secrets.token_hex(16)
        self._place.write(self.pass_file, f"*:*:*:*:{password}\n", for_server=False)
        with psycopg.connect(self.conninfo("postgres")) as connection:
            command = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(command.format(sql.Identifier(self._new.superuser), sql.Literal(password)))

    def _end_leftovers(self) -> None:
        for number in (signal.SIGQUIT, signal.SIGKILL):
            for pid in self._leftovers():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            deadline = time.monotonic() + 10
            while any(self._leftovers()):
                if time.monotonic() > deadline:
                    break
                time.sleep(POLL_S)
            else:
                return
        raise DatabaseError(f"an old server in {self.folder} does not stop", hint="look for a hanging disk")

    def _leftovers(self) -> Iterator[int]:
        """Yield the ids of the live processes of this folder's server, whoever started it."""
        owner = os.geteuid() if self._user is None else system_user(self._user).pw_uid
        name = self._name.encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if entry.stat().st_uid == owner and name in (entry / "cmdline").read_bytes():
                    yield int(entry.name)
            except OSError:
                continue  # it ended meanwhile
