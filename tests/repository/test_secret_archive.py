"""The secrets' archive holds what fits and can be read; what somebody made up as one is refused in bounded memory."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from permafrost.config.outside import MOST_SECRET_BYTES, SECRET_OVERHEAD_BYTES, secrets_left_out
from permafrost.errors import IntegrityError
from permafrost.repository.secret_archive import pack_secrets, unpack_secrets


def file_of(place: Path, size_bytes: int, byte: bytes = b"x") -> Path:
    """Return a file of that size."""
    place.write_bytes(byte * size_bytes)
    return place


def test_what_does_not_fit_is_left_out(tmp_path: Path) -> None:
    """A file that would make the archive too large is left out, and those after it that fit are in it."""
    most = MOST_SECRET_BYTES - 2 * SECRET_OVERHEAD_BYTES - 9
    files = (
        file_of(tmp_path / "first", 5),
        file_of(tmp_path / "giant", most + 10),
        file_of(tmp_path / "large", most),
        tmp_path / "gone",
        file_of(tmp_path / "last", 9),
    )
    packed = pack_secrets(files)
    assert packed.held == (files[0], files[2])
    assert packed.left_out == tuple(secrets_left_out(files))
    assert [len(file.content) for file in unpack_secrets(packed.compressed)] == [5, most]


def test_as_much_as_there_may_be_can_be_restored(tmp_path: Path) -> None:
    """An archive of files that cannot be compressed, with as long names as there are, is within a restore's limit."""
    folder = tmp_path
    while len(str(folder)) < 3500:
        folder = folder / ("n" * 200)
    folder.mkdir(parents=True)
    files = []
    for number in range(4):
        files.append(folder / f"{number}{'l' * 200}")
        files[-1].write_bytes(os.urandom(MOST_SECRET_BYTES // 4 - SECRET_OVERHEAD_BYTES))
    packed = pack_secrets(files)
    assert packed.held == tuple(files)
    assert len(packed.compressed) <= MOST_SECRET_BYTES
    assert len(unpack_secrets(packed.compressed)) == 4


def archive_of(change: Callable[[tarfile.TarInfo], None]) -> bytes:
    """Return a compressed tar of one file, changed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("etc/secret")
        change(member)
        archive.addfile(member, io.BytesIO(b"x" * member.size))
    return zstandard.ZstdCompressor().compress(packed.getvalue())


def sparse(member: tarfile.TarInfo) -> None:
    """Let it be a file of 8 TB with holes."""
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,0", "GNU.sparse.size": str(8 << 40)}


def odd_map(member: tarfile.TarInfo) -> None:
    """Let the map of its holes be words."""
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "here,there"}


def outside(member: tarfile.TarInfo) -> None:
    """Let its name lead out."""
    member.name = "../secret"


def linked(member: tarfile.TarInfo) -> None:
    """Let it be a link."""
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"


@pytest.mark.format("5.5")
@pytest.mark.parametrize("change", [sparse, odd_map, outside, linked], ids=lambda change: change.__name__)
def test_what_is_no_plain_file_is_refused(change: Callable[[tarfile.TarInfo], None]) -> None:
    """A file with holes, which may be larger than the memory, a link, and names that lead out are refused."""
    with pytest.raises(IntegrityError):
        unpack_secrets(archive_of(change))
