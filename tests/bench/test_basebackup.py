from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.alternatives import Alternatives
from bench.basebackup import BaseBackup
from bench.hours import Servers, live_as_mastodon
from bench.pgbackrest import PgBackRest, backs_up_blocks
from bench.programs import BenchError, LeftOutError
from bench.results import Facts, SystemRuns
from bench.sections import _not_carried, make_mastodon, others_of_files, running_servers
from bench.texts import others_text
from permafrost.openpgp.home import temporary_home
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.own_postgresql import OWN_MAJOR

SUPPORTED = 17
"""The version that every pgBackRest of Debian 13 and newer knows."""


@pytest.mark.long
def test_files_are_backed_up_and_come_back(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full, then twice incremental: less is sent, and the newest state is restored, with every system that can."""
    monkeypatch.setenv("PATH", f"{binaries_or_skip(SUPPORTED)}{os.pathsep}{os.environ['PATH']}")
    folder = server_folder / "files"
    folder.mkdir(mode=0o711)
    told: list[str] = []
    with running_servers(folder) as servers, temporary_home() as gpg_home:
        make_mastodon(servers, 2_000_000, told.append)
        assert servers.summarize_wal()
        systems = others_of_files(folder, servers, gpg_home, told.append)
        others = Alternatives(servers, systems, told.append, _not_carried)
        others.back_up()
        others.restore()
        for number in range(2):
            live_as_mastodon(servers.conninfo, number, 0.05)
            others.after_an_hour()
        others.restore()
        measured = others.measured()
        (base_backup,) = (one for one in systems if isinstance(one, BaseBackup))
        left = sorted(str(file.relative_to(folder)) for file in (folder / "basebackup" / "work").rglob("*.*"))
    _check(measured, told)
    assert left == []
    assert [file.suffix for file in base_backup.stored.rglob("*") if file.is_file()] == [".gpg"] * 6


def _check(measured: Sequence[SystemRuns], told: Sequence[str]) -> None:
    assert measured[0].name == BaseBackup.name
    for one in measured:
        assert len(one.hours) == len(one.restores) == 2
        assert all(0 < hour.sent_bytes < one.first.sent_bytes / 2 for hour in one.hours)
        assert any(f"restore: {one.name}" in line and "rows in 115 tables equal" in line for line in told)


def test_a_server_that_is_too_old_leaves_pg_basebackup_out(cluster: ScratchCluster, tmp_path: Path) -> None:
    """Nothing is made, and the line says which version it needs."""
    if NEWER_MAJORS != (17, 18):
        pytest.skip("this machine's PostgreSQL is not too old")
    servers, told = Servers(cluster, cluster, "postgres"), list[str]()
    with pytest.raises(LeftOutError, match=f"need PostgreSQL 17 or newer, and this server is {OWN_MAJOR}"):
        BaseBackup(tmp_path / "base", cluster.conninfo("postgres"), servers.major, tmp_path)
    assert not (tmp_path / "base").exists()
    assert not servers.summarize_wal()
    assert told == []


def test_a_server_that_summarizes_nothing_leaves_pg_basebackup_out(
    newer_cluster: ScratchCluster, tmp_path: Path
) -> None:
    """An incremental backup would fail there, so none is begun."""
    with pytest.raises(LeftOutError, match="with summarize_wal on, which is off"):
        BaseBackup(tmp_path / "base", newer_cluster.conninfo("postgres"), 17, tmp_path)


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("unexpected control version = 1800\nHINT: is this version of PostgreSQL supported?", LeftOutError),
        ("unable to connect", BenchError),
    ],
)
def test_a_pgbackrest_that_does_not_know_the_server(
    says: str, error: type[BenchError], cluster: ScratchCluster, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out, and any other failure of its is an error as before."""
    program = server_folder / "old-pgbackrest" / "pgbackrest"
    program.parent.mkdir(mode=0o755, exist_ok=True)
    program.write_text(f"#!/bin/sh\n[ $1 = version ] && echo pgBackRest 2.45 && exit\necho '{says}' >&2\nexit 28\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BenchError) as raised:
        PgBackRest(server_folder / f"repository-of-{error.__name__}", cluster.conninfo("postgres"), cluster)
    assert type(raised.value) is error


def test_block_incremental_backups_since_2_46() -> None:
    """Versions are compared as numbers; one that is not known has none."""
    assert [backs_up_blocks(one) for one in ("2.45", "2.46", "2.55.1", "2.100", "")] == [False, True, True, True, False]


def test_the_document_says_how_files_are_backed_up() -> None:
    """What is said of pgBackRest depends on its version, and of pg_basebackup only where it was measured."""
    old, new = (Facts("", "", 2, 0.5, {"pgBackRest": version}) for version in ("2.45", "2.55.1"))
    assert "of files that have changed" in others_text(["restic", "pgBackRest"], old)
    assert "repo1-block" in others_text(["pgBackRest"], new)
    assert "pg_combinebackup" in others_text([BaseBackup.name], new)
    assert not any(words in others_text(["restic"], new) for words in ("pg_combinebackup", "pgBackRest is set up"))
    assert max(len(line) for line in others_text([BaseBackup.name], new).splitlines()) <= 120
