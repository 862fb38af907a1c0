"""Which of the installed client programs is chosen, and what becomes of those that do not work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from permafrost.errors import ToolError
from permafrost.postgres.programs.archive_header import archive_major
from permafrost.postgres.programs.clients import archive_reader, client_program
from tests.fixtures.newer_postgresql import binaries_or_skip


def test_a_wrapper_whose_programs_are_gone_does_not_stand_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pg_dump in PATH that only fails, as Debian's does for a cluster whose programs are gone, is passed over."""
    broken = tmp_path / "pg_dump"
    broken.write_text('#!/bin/sh\necho "Error: PostgreSQL version 15 is not installed" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert client_program("pg_dump", 14) != str(broken)


def test_what_is_missing_is_named_with_its_package() -> None:
    """Where no program is new enough, the error names the package that has it."""
    with pytest.raises(ToolError, match=r"pg_dump for PostgreSQL 99 is required, but installed only for 1\d") as caught:
        client_program("pg_dump", 99)
    assert caught.value.hint == "install it, on Debian: apt-get install postgresql-client-99"


@pytest.mark.parametrize("major", [17, 18])
def test_an_archive_is_read_by_the_newest_that_the_server_knows(major: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_restore is one that the server knows wherever one can read the archive, and otherwise a newer one."""
    folder = binaries_or_skip(major)
    own = archive_reader(12, 15)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert archive_reader(12, major).major == major
    assert archive_reader(12, 15) == own
    newer = archive_reader(17, 15)
    if own.major >= 17:  # as on Debian 13
        assert newer == own
    else:
        assert (newer.path, newer.major) == (str(folder / "pg_restore"), major)
    assert Path(newer.beside("psql").path).is_file()


def test_no_pg_restore_reads_an_archive_of_the_future() -> None:
    """An archive that needs a newer pg_restore than there is gives the package to install."""
    with pytest.raises(ToolError, match="pg_restore of PostgreSQL 99 or newer, whose pg_dump wrote the archive"):
        archive_reader(99, 99)


@pytest.mark.parametrize(("minor", "major"), [(14, 12), (15, 16), (16, 17), (99, 17)])
def test_an_archive_says_who_can_read_it(minor: int, major: int) -> None:
    """The format in an archive's first bytes says which version's pg_restore it needs."""
    assert archive_major(b"PGDMP" + bytes([1, minor, 0]) + bytes(56)) == major
