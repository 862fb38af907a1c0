"""verify: every bit is looked at, nothing is believed, and missing is not corrupt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.events import Event, Progress, ignore_events
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.signing import export_public_key, generate_signing_key, sign_detached
from permafrost.operations.verify import VerifyResult, verify
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.snapshots import list_snapshots, remove_snapshots
from tests.fixtures.backups import make_backup
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import Server, SigningKey, copied, new_server

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def backed_up(
    cluster: ScratchCluster, mastodon_template: str, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with two snapshots of database and secrets."""
    folder = tmp_path_factory.mktemp("backed-up")
    secret = folder / ".env.production"
    secret.write_text("LOCAL_DOMAIN=example.social\nSECRET_KEY_BASE=0123\n")
    with temporary_database(cluster, mastodon_template) as database:
        made = new_server(folder / "server", signing_key, database, secret_files=(secret,))
        make_backup(made)
        make_backup(made)
        yield made


@pytest.fixture
def server(backed_up: Server, tmp_path: Path) -> Server:
    """A copy of that server."""
    return copied(backed_up, tmp_path / "server")


def look(server: Server, *, patience: timedelta = HOUR, later: timedelta = timedelta(0)) -> VerifyResult:
    """Verify the server's repository with the fingerprint of its configuration."""
    fingerprint = server.configuration.signing.fingerprint
    return verify(server.path, fingerprint, patience=patience, report=ignore_events, now=datetime.now(UTC) + later)


def test_all_good(server: Server) -> None:
    """A repository as it was made has no findings, and all of it was read."""
    result = look(server, patience=timedelta(0))
    assert result.findings == ()
    assert (result.snapshots, result.objects, result.in_flight, result.unreferenced) == (2, 4, 0, 0)
    assert result.size_bytes == sum(file.stat().st_size for file in server.repository.layout.objects.rglob("*.gpg"))


def test_one_bit_in_each_object(server: Server) -> None:
    """One flipped bit in any object is found, and the finding names that object and its snapshot."""
    for file in sorted(server.repository.layout.objects.rglob("*.gpg")):
        good = file.read_bytes()
        for position in (0, len(good) // 3, len(good) - 1):
            flip_a_bit(file, position)
            result = look(server)
            assert {"corrupt-object", "corrupt-snapshot"} == {finding.code for finding in result.findings}
            (named,) = (one.subject for one in result.findings if one.code == "corrupt-object")
            assert named == file.stem
            assert result.is_corrupt
            file.chmod(0o644)
            file.write_bytes(good)
    assert look(server).findings == ()


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_several_at_a_time(server: Server, jobs: int) -> None:
    """However many objects are read at the same time, all are read once, and the same ones are found to be bad."""
    files = sorted(server.repository.layout.objects.rglob("*.gpg"))
    for file in files[1:3]:
        flip_a_bit(file, 0)
    seen: list[Progress] = []
    result = verify(
        server.path,
        server.configuration.signing.fingerprint,
        patience=timedelta(0),
        report=lambda event: seen.append(event) if isinstance(event, Progress) else None,
        now=datetime.now(UTC),
        jobs=jobs,
    )
    bad = [finding.subject for finding in result.findings if finding.code == "corrupt-object"]
    assert bad == [file.stem for file in files[1:3]]
    assert (result.objects, result.size_bytes) == (4, sum(file.stat().st_size for file in files))
    assert [event.done for event in seen] == sorted({event.done for event in seen})
    assert seen[-1].done == seen[-1].total == result.size_bytes


def test_a_prune_meanwhile(server: Server) -> None:
    """A snapshot that is removed while its objects are read is no finding, and neither are its objects."""
    layout = server.repository.layout
    events: list[Event] = []

    def prune_at_the_first_object(event: Event) -> None:
        if isinstance(event, Progress) and not any(isinstance(one, Progress) for one in events):
            remove_snapshots(layout, list_snapshots(layout))
        events.append(event)

    fingerprint = server.configuration.signing.fingerprint
    now = datetime.now(UTC)
    result = verify(server.path, fingerprint, patience=timedelta(0), report=prune_at_the_first_object, now=now, jobs=1)
    assert (result.findings, result.snapshots, result.objects) == ((), 0, 1)


@pytest.mark.format("4.3", "6.3")
@pytest.mark.parametrize("name", ["manifest.gpg", "objects.sha256", "objects.sha256.sig"])
def test_one_bit_in_a_snapshots_own_files(server: Server, name: str) -> None:
    """One flipped bit in a snapshot's own files makes that snapshot corrupt, and no other."""
    snapshot = list_snapshots(server.repository.layout)[0]
    file = server.repository.layout.snapshot(snapshot) / name
    flip_a_bit(file, file.stat().st_size // 2)
    result = look(server)
    assert {finding.subject for finding in result.findings} == {str(snapshot)}
    assert result.is_corrupt


@pytest.mark.format("3.2", "6.2")
def test_missing_object_is_in_flight_then_overdue(server: Server) -> None:
    """An object that is not there yet is no finding until the patience is over, and then it is not corrupt."""
    next(server.repository.layout.objects.rglob("*.gpg")).unlink()
    early, late = look(server), look(server, later=2 * HOUR)
    assert (early.findings, early.in_flight) == ((), 1)
    assert [finding.code for finding in late.findings] == ["overdue"]
    assert not late.is_corrupt


@pytest.mark.format("3.1", "1.3")
def test_foreign_files_are_passed_over(server: Server) -> None:
    """Folders with other names are no snapshots, and Syncthing's own files are no harm."""
    layout = server.repository.layout
    (layout.snapshots / "20261122T234000Z-0a1b2c3d.sync-conflict").mkdir()
    (layout.snapshots / "..hidden").mkdir()
    (layout.snapshots / "20261322T234000Z-0a1b2c3d").mkdir()  # no such month
    (layout.root / ".stfolder").mkdir()
    (layout.root / "tmp").mkdir(exist_ok=True)
    assert look(server).snapshots == 2


@pytest.mark.format("1.2", "4.3")
def test_somebody_elses_snapshot(server: Server) -> None:
    """A snapshot that somebody signed with another key is corrupt, even if he replaced the folder's key too."""
    snapshot = list_snapshots(server.repository.layout)[0]
    folder = server.repository.layout.snapshot(snapshot)
    with temporary_home() as home:
        fingerprint = generate_signing_key(home / "gnupg", "stranger")
        signature = sign_detached(home / "gnupg", fingerprint, (folder / "objects.sha256").read_bytes())
        stranger_key = export_public_key(home / "gnupg", fingerprint)
    (folder / "objects.sha256.sig").chmod(0o644)
    (folder / "objects.sha256.sig").write_bytes(signature)
    (finding,) = look(server).findings
    assert (finding.code, finding.subject) == ("bad-signature", str(snapshot))
    server.repository.layout.signing_key.chmod(0o644)
    server.repository.layout.signing_key.write_bytes(stranger_key)
    with pytest.raises(IntegrityError, match="signing key is not"):
        look(server)


@pytest.mark.format("4.2")
def test_renamed_snapshot(server: Server) -> None:
    """An old snapshot under a newer name is corrupt: its list says which one it is."""
    old = list_snapshots(server.repository.layout)[0]
    newer = server.repository.layout.snapshots / "20300101T000000Z-0a1b2c3d"
    shutil.copytree(server.repository.layout.snapshot(old), newer)
    (finding,) = look(server).findings
    assert finding.subject == newer.name


@pytest.mark.format("1.4")
def test_links_are_not_followed(server: Server, tmp_path: Path) -> None:
    """An object that is a link is corrupt although what it points to has the right bytes."""
    file = next(server.repository.layout.objects.rglob("*.gpg"))
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert file.stem in {finding.subject for finding in look(server).findings}


@pytest.mark.format("1.1")
def test_no_repository_and_unknown_format(server: Server, tmp_path: Path) -> None:
    """A folder that is none, and a format that is not known, are told as such, with exit code 12."""
    with pytest.raises(RepositoryError, match="no repository at"):
        verify(tmp_path, None, patience=HOUR, report=ignore_events, now=datetime.now(UTC))
    facts = server.repository.layout.facts
    facts.chmod(0o644)
    facts.write_text(facts.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(RepositoryError, match="has format 2, but this permafrost only knows format 1") as caught:
        look(server)
    assert caught.value.exit_code == 12
