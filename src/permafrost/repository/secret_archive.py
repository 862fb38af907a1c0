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

from permafrost.config.outside import MOST_SECRET_BYTES, SECRET_OVERHEAD_BYTES, TOO_LARGE
from permafrost.errors import IntegrityError, RestoreRefusedError
from permafrost.small_files import open_named

_LEVEL = 9
_REST_BYTES = 1 << 20  # the padding of a tar


@dataclass(frozen=True, slots=True)
class PackedSecrets:
    """The files that are in a compressed tar, those that are not with the reason, and the tar."""

    held: tuple[Path, ...]
    left_out: tuple[tuple[Path, str], ...]
    compressed: bytes


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


def pack_secrets(files: Sequence[Path]) -> PackedSecrets:
    """Return the compressed tar of `files`, as far as each can be read and all of them are small.

    A file that cannot be is left out: without it the rest is a backup all the same.
    """
    packed, left_out, held, left_bytes = io.BytesIO(), [], [], MOST_SECRET_BYTES
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            room_bytes = left_bytes - SECRET_OVERHEAD_BYTES
            try:
                with os.fdopen(open_named(file), "rb") as opened:
                    member = archive.gettarinfo(arcname=str(file).lstrip("/"), fileobj=opened)
                    content = opened.read(max(room_bytes, 0) + 1) if member.size <= room_bytes else b""
            except OSError as error:
                left_out.append((file, error.strerror or "cannot be read"))
                continue
            if max(member.size, len(content)) > room_bytes:
                left_out.append((file, TOO_LARGE))
                continue
            member.size = len(content)  # it may have grown since it was looked at
            archive.addfile(member, io.BytesIO(content))
            held.append(file)
            left_bytes = room_bytes - len(content)
    compressed = zstandard.ZstdCompressor(level=_LEVEL).compress(packed.getvalue())
    return PackedSecrets(tuple(held), tuple(left_out), compressed)


def unpack_secrets(compressed: bytes) -> tuple[SecretFile, ...]:
    """Return the files of an archive; raise `IntegrityError` if it is anything but small regular files."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(compressed) as reader:
            content = reader.read(MOST_SECRET_BYTES + _REST_BYTES)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            return tuple(_secret_file(archive, member) for member in archive)
    except (zstandard.ZstdError, tarfile.TarError, ValueError, OverflowError) as error:
        raise IntegrityError(f"the secrets object cannot be read: {error}") from error


def _secret_file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> SecretFile:
    name = PurePosixPath(member.name)
    is_plain = member.isreg() and not member.issparse()  # a sparse one may be larger than the memory
    opened = archive.extractfile(member) if is_plain else None
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
