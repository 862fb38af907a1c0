"""The secrets object: a tar of the secret files with modes and owners, compressed with zstd, built only in memory.

docs/format.md, section 5.4. Names in it are the files' absolute paths without the leading slash. Unpacking
accepts regular files alone, under names that stay in the folder, and overwrites nothing.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import zstandard

from permafrost.errors import ConfigurationError, IntegrityError, RestoreRefusedError
from permafrost.small_files import open_named

MAXIMUM_BYTES = 64 << 20
_LEVEL = 9


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file out of the archive: its relative name, permission bits, numeric and named owner, and content."""

    name: PurePosixPath
    mode: int
    uid: int
    gid: int
    owner: str
    group: str
    content: bytes


def pack_secrets(files: Sequence[Path]) -> bytes:
    """Return the compressed tar of `files`; raise `ConfigurationError` if one cannot be read whole."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            try:
                with os.fdopen(open_named(file), "rb") as opened:
                    member = archive.gettarinfo(arcname=str(file).lstrip("/"), fileobj=opened)
                    if not member.isreg():
                        raise ConfigurationError(f"the secret file {file} is not a regular file", hint=_HINT)
                    if packed.tell() + member.size > MAXIMUM_BYTES:
                        raise ConfigurationError(_TOO_LARGE, hint=_HINT)
                    archive.addfile(member, opened)
            except OSError as error:
                raise ConfigurationError(
                    f"the secret file {file} cannot be read: {error.strerror}",
                    unchanged="all existing snapshots; none was made without the secrets",
                    hint=_HINT,
                ) from error
    if packed.tell() > MAXIMUM_BYTES:
        raise ConfigurationError(_TOO_LARGE, hint=_HINT)
    return zstandard.ZstdCompressor(level=_LEVEL).compress(packed.getvalue())


_TOO_LARGE = f"the secret files contain more than {MAXIMUM_BYTES} bytes"
_HINT = "see [secrets] files; each must be a small file that permafrost's user can read"


def unpack_secrets(compressed: bytes) -> tuple[SecretFile, ...]:
    """Return the files of an archive; raise `IntegrityError` if it is anything but small regular files."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(compressed) as reader:
            content = reader.read(MAXIMUM_BYTES + (1 << 20))
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            return tuple(_secret_file(archive, member) for member in archive)
    except (zstandard.ZstdError, tarfile.TarError) as error:
        raise IntegrityError(f"the secrets object cannot be read: {error}") from error


def _secret_file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> SecretFile:
    name = PurePosixPath(member.name)
    opened = archive.extractfile(member) if member.isreg() else None
    if opened is None or name.is_absolute() or ".." in name.parts or not name.parts or "\0" in member.name:
        raise IntegrityError(f"the secrets object contains {member.name!r}, which is not a regular file")
    return SecretFile(name, member.mode & 0o777, member.uid, member.gid, member.uname, member.gname, opened.read())


def check_places(files: Sequence[SecretFile], folder: Path) -> None:
    """Raise `RestoreRefusedError` if one of `files` would overwrite something in `folder`."""
    for file in files:
        if os.path.lexists(folder / file.name):
            raise RestoreRefusedError(
                f"{folder / file.name} already exists", unchanged="everything", hint="give an empty folder"
            )


def _make_private(folder: Path) -> None:
    """Make `folder` and its missing parents, all with mode 0700 (mkdir's `parents` would not)."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700)


def write_secrets(files: Sequence[SecretFile], folder: Path) -> tuple[Path, ...]:
    """Write `files` into `folder` with their modes, and as root with their owners; return where they lie.

    Folders are made with mode 0700. No file is readable by others for even a moment.
    """
    check_places(files, folder)
    written = []
    for file in files:
        place = folder / file.name
        _make_private(place.parent)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.content)
            if os.geteuid() == 0:
                os.fchown(opened.fileno(), file.uid, file.gid)
            os.fchmod(opened.fileno(), file.mode)
            os.fsync(opened.fileno())
        written.append(place)
    return tuple(written)
