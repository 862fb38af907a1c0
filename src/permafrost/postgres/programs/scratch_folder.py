"""The folder of a scratch server: ours, closed to everybody but the server, and removed without following a link.

PostgreSQL refuses to run as root. When we are root it runs as the system user `postgres`; that user owns the data and
the socket's folder, but not the folder they lie in, so it can exchange neither the files that root writes there nor
those folders themselves. Root writes nothing inside what that user owns.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.private_folders import NotOwnFolderError, is_own_folder, open_own_folder, remove_own_folder, remove_tree

_SHORT_PLACE = Path("/tmp")  # noqa: S108 - a private folder is made in it; gettempdir() may be long itself
_SOCKET_PATH_BYTES = 107  # unix(7): sun_path is 108 bytes with its closing zero


class ScratchFolder:
    """The paths in a scratch server's folder `path`, and their owners; `server_user` is None if the server is us."""

    def __init__(self, path: Path, server_user: str | None) -> None:
        self.path = path
        self.data = path / "data"
        self.unfinished = path / "data.unfinished"
        self.log = path / "log"
        self.pass_file = path / "passfile"
        self.hba_file = path / "pg_hba.conf"
        self._socket = path / "socket"
        self._socket_elsewhere = path / "socket-folder"  # a file that names it, if the path is too long for a socket
        self._user = server_user

    @property
    def is_own(self) -> bool:
        """Whether there is a folder of ours, closed to others."""
        return is_own_folder(self.path)

    @property
    def socket(self) -> Path:
        """The folder of the server's unix socket."""
        with suppress(OSError):
            return Path(self._socket_elsewhere.read_text("utf-8"))
        return self._socket

    def claim(self) -> None:
        """Make the folder if it is absent; raise `ToolError` if there is anything else than a folder of our own."""
        with suppress(FileExistsError):
            self.path.mkdir(mode=0o700, parents=True)
        try:
            descriptor = open_own_folder(self.path)
        except NotOwnFolderError as error:
            raise ToolError(
                f"{self.path} is not a folder of permafrost's own that is closed to others, so no server is created in "
                "it",
                hint="choose another folder, or remove it if you know what it is",
                unchanged="everything in it",
            ) from error
        try:
            if self._user is not None:  # it may pass through, to its own folders
                os.fchown(descriptor, 0, system_user(self._user).pw_gid)
            os.fchmod(descriptor, 0o700 if self._user is None else 0o710)
        finally:
            os.close(descriptor)

    def make_for_server(self, folder: Path) -> None:
        """Make `folder`, which only the server may enter."""
        folder.mkdir(mode=0o700)
        if self._user is not None:
            entry = system_user(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid, follow_symlinks=False)

    def write(self, file: Path, text: str, *, for_server: bool) -> None:
        """Write `file` again, mode 0600; the server may read it too if it is `for_server`."""
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            if for_server and self._user is not None:
                os.fchown(descriptor, 0, system_user(self._user).pw_gid)
                os.fchmod(descriptor, 0o640)

    def make_socket(self, port: int) -> None:
        """Make the socket's folder, which only the server's user and root can enter."""
        longest = self._socket / f".s.PGSQL.{port}"
        if len(os.fsencode(longest)) <= _SOCKET_PATH_BYTES:
            self.make_for_server(self._socket)
            return
        short = Path(tempfile.mkdtemp(prefix="permafrost-socket-", dir=_SHORT_PLACE))
        if self._user is not None:
            os.chown(short, 0, system_user(self._user).pw_gid, follow_symlinks=False)
            short.chmod(0o710)
        self.make_for_server(short / "s")
        self._socket_elsewhere.write_text(str(short / "s"), "utf-8")

    def remove_socket(self) -> None:
        """Remove the socket's folder, wherever it is."""
        if self.socket != self._socket:
            remove_own_folder(self.socket.parent)
            self._socket_elsewhere.unlink(missing_ok=True)
        shutil.rmtree(self._socket, ignore_errors=True)

    def remove_unfinished(self) -> None:
        """Remove what an `initdb` left that was killed."""
        shutil.rmtree(self.unfinished, ignore_errors=True)

    def remove(self) -> None:
        """Remove all that the server left, the folder too unless other files lie in it; it has to be ours."""
        self.remove_socket()
        for part in (self.data, self.unfinished):
            remove_tree(part)
        for file in (self.log, self.pass_file, self.hba_file):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


def system_user(user: str) -> pwd.struct_passwd:
    """Return the system's entry of `user`; raise `ToolError` if there is none."""
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        raise ToolError(
            f"there is no system user {user}, and PostgreSQL does not run as root",
            hint="install PostgreSQL's server package, which creates that user, or run as another user",
        ) from error
