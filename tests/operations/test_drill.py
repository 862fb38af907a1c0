"""drill: a snapshot is restored into a throw-away server, compared, and nothing stays, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Mastodon
from permafrost.errors import DifferentRestoreError, IntegrityError, PermafrostError
from permafrost.events import Event, Note, Reporter, StepStarted, Warned, ignore_events
from permafrost.loading.scratch_server import ScratchPlace, scratch_server
from permafrost.loading.source import Source, opened
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import back_up
from permafrost.operations.drill import DrillRequest, DrillResult, drill, state_of_vault
from permafrost.operations.verify import verify
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.distrust import reason_for_distrust
from permafrost.runs import RunRecords
from permafrost.segments.known_segment import Body, KnownSegment
from permafrost.segments.state import SegmentState
from permafrost.status.document import status
from samples.environment import environment_file
from samples.rows import LOCAL_DOMAIN
from tests.fixtures.backups import make_backup
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.server import MakeServer, Server


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer) -> Server:
    """A server with an audited log snapshot."""
    made = make_server(mastodon_database, engine="log")
    make_backup(made, is_audited=True)
    return made


@pytest.fixture
def scratch(server_folder: Path) -> Iterator[Path]:
    """A folder that the server's user can reach, for throw-away servers."""
    folder = server_folder / "drills"
    folder.mkdir()
    folder.chmod(0o711)
    yield folder
    assert list(folder.iterdir()) == []
    folder.rmdir()


def run(server: Server, scratch: Path, report: Reporter = ignore_events) -> DrillResult:
    """Drill the newest snapshot, and record the verdict in the server's state."""
    source = Source(server.path, OpeningKey(server.passphrase_file), server.configuration.signing.fingerprint)
    request = DrillRequest(source, None, scratch, server.configuration.state.path)
    return drill(request, report=report, now=datetime.now(UTC))


def test_a_drill_proves_a_snapshot(server: Server, scratch: Path) -> None:
    """After a drill that passed, status names the snapshot as proven, and nothing of the server is left."""
    before = status(server.configuration, datetime.now(UTC))
    assert before.newest_proven is None
    result = run(server, scratch)
    after = status(server.configuration, datetime.now(UTC))
    assert after.newest_proven == result.snapshot == after.newest
    assert result.is_audited
    assert result.rows > 100
    assert after.findings == ()


def test_a_dump_snapshot(mastodon_database: str, make_server: MakeServer, scratch: Path) -> None:
    """Snapshots of the dump engine are drilled alike."""
    made = make_server(mastodon_database)
    make_backup(made)
    assert run(made, scratch).rows > 100


def test_nobody_else_can_connect(server: Server, scratch: Path) -> None:
    """The throw-away server listens on no network, and its socket's folder is closed to all but itself."""
    seen: list[tuple[str, int]] = []

    def look(event: Event) -> None:
        if isinstance(event, StepStarted) and event.number == 3:
            (own,) = (folder for folder in scratch.iterdir() if folder.is_dir())
            cluster = ScratchCluster(own)
            with psycopg.connect(cluster.conninfo("postgres")) as connection:
                (listening,) = connection.execute("SHOW listen_addresses").fetchone() or ("?",)
                (fsync,) = connection.execute("SHOW fsync").fetchone() or ("?",)
            assert fsync == "off"
            seen.append((str(listening), cluster.socket_folder.stat().st_mode & 0o077))

    run(server, scratch, look)
    assert seen == [("", 0)]


@pytest.mark.parametrize("step", ["starting a server", "restore into it", "load rows", "build indexes"])
def test_killed(server: Server, scratch: Path, step: str) -> None:
    """A drill that is killed with -9 leaves no verdict, and the next removes its server and its folder."""
    words = ("drill", f"--config={server.write_configuration()}", f"--scratch={scratch}", "--json")
    with subprocess.Popen(
        (sys.executable, "-m", "permafrost", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            event = json.loads(line)
            if str(event.get("title", event.get("message"))).startswith(step):
                break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert list(scratch.iterdir())
    notes: list[str] = []
    run(server, scratch, lambda event: notes.append(event.message) if isinstance(event, Note) else None)
    assert any("killed" in note for note in notes) or step == "starting a server"


def test_two_at_a_time(server: Server, scratch: Path) -> None:
    """A drill leaves the server of another one that is running alone."""
    with opened(Source(server.path, OpeningKey(server.passphrase_file)), ignore_events) as repository:
        facts = repository.read(None, datetime.now(UTC), ignore_events).manifest.database
    with scratch_server(facts, ScratchPlace(scratch), ignore_events) as other:
        run(server, scratch)
        with psycopg.connect(other.conninfo("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_one_bit_fails_it(server: Server, scratch: Path) -> None:
    """A damaged object fails the drill with exit code 14; status tells, and the snapshot counts as not proven."""
    flip_a_bit(max(server.repository.layout.objects.rglob("*.gpg"), key=lambda file: file.stat().st_size), 4000)
    with pytest.raises(IntegrityError) as caught:
        run(server, scratch)
    assert caught.value.exit_code == 14
    told = status(server.configuration, datetime.now(UTC))
    assert [finding.code for finding in told.findings] == ["drill-failed"]
    assert told.newest_proven is None


def test_a_row_that_was_missed_is_found_and_mended(
    mastodon_database: str, make_server: MakeServer, scratch: Path
) -> None:
    """If a run overlooked a change, the drill of the next audited snapshot tells, and then new bases mend it."""
    made = make_server(mastodon_database, engine="log")
    make_backup(made)
    before = _segments(made)
    with psycopg.connect(mastodon_database) as connection:
        connection.execute("UPDATE accounts SET note = note || 'x' WHERE id = (SELECT min(id) FROM accounts)")
    make_backup(made)
    after = _segments(made)
    with closing(SegmentState(_state_file(made))) as state, state.changing():
        for (table, number), segment in before.items():  # what was stored before, with the scan of after
            overlooked = replace(segment, scan_digest=after[table, number].scan_digest)
            state.set_segment(table, number, overlooked)
    make_backup(made, is_audited=True)
    with pytest.raises(DifferentRestoreError, match=r"public\.accounts has rows that differ"):
        run(made, scratch)
    assert "accounts" in (reason_for_distrust(made.configuration.state.path) or "")
    warnings: list[str] = []
    back_up(
        made.configuration,
        is_audited=True,
        report=lambda event: warnings.append(event.message) if isinstance(event, Warned) else None,
        now=datetime.now(UTC),
    )
    assert "public.accounts has rows that differ" in warnings[0]
    assert reason_for_distrust(made.configuration.state.path) is None
    assert run(made, scratch).is_audited


def test_verify_has_the_next_backup_mend(server: Server, scratch: Path) -> None:
    """After verify found an object of the server's own damaged, the next backup needs it no more, and comes back."""
    flip_a_bit(max(server.repository.layout.objects.rglob("*.gpg"), key=lambda file: file.stat().st_size), 4000)
    state = server.configuration.state.path
    now = datetime.now(UTC)
    assert verify(server.path, None, patience=timedelta(0), report=ignore_events, now=now, state=state).is_mended_next
    make_backup(server)
    run(server, scratch)


def test_with_repository_and_key_alone(server: Server, scratch: Path, tmp_path: Path) -> None:
    """A copy of the folder and the passphrase suffice; in a vault's folder the verdict is kept in the vault."""
    vault = tmp_path / "vault"
    copy = vault / "example.social" / "history"
    copy.parent.mkdir(parents=True)
    (vault / "vault.toml").touch()
    shutil.copytree(server.path, copy)
    words = ("drill", f"--repository={copy}", f"--passphrase-file={server.passphrase_file}", f"--scratch={scratch}")
    environment = {**os.environ, "PERMAFROST_CONFIG": str(tmp_path / "none"), "PGHOST": "/nowhere"}
    ended = subprocess.run(
        (sys.executable, "-m", "permafrost", *words, "--json"),
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    said = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert said["verdict"] == "passed"
    state = state_of_vault(copy)
    assert state == vault / "state"
    assert RunRecords(state).snapshots("drill", "done") == {said["snapshot"]}


def test_a_disk_without_room(server: Server, scratch: Path) -> None:
    """A disk that cannot hold the database is refused before anything is loaded, and nothing is left on it."""
    place = scratch / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m,mode=0711", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        place.rmdir()
        pytest.skip("mounting a tmpfs needs root")
    try:
        with pytest.raises(PermafrostError) as caught:
            run(server, place)
        assert list(place.iterdir()) == []
        assert "space" in str(caught.value) or "free" in str(caught.value)
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def _state_file(server: Server) -> Path:
    (file,) = server.configuration.state.path.glob("segments*.sqlite")
    return file


def _segments(server: Server) -> dict[tuple[int, int], KnownSegment]:
    with closing(SegmentState(_state_file(server))) as state:
        places = ((table, number) for table in state.signatures() for number in range(8))
        segments = {place: segment for place in places if (segment := state.segment(*place)) is not None}
        return {
            place: replace(segment, body=Body(partial(bytes, segment.body.packed())))
            for place, segment in segments.items()
        }


@pytest.mark.parametrize(("domain", "findings"), [(LOCAL_DOMAIN, 0), ("other.example", 1)])
def test_health_with_the_snapshots_own_secrets(
    mastodon_database: str, make_server: MakeServer, scratch: Path, tmp_path: Path, domain: str, findings: int
) -> None:
    """A Mastodon's drill proves the secrets in the snapshot; a finding is kept, and the snapshot is proven."""
    secret = tmp_path / "live" / ".env.production"
    secret.parent.mkdir()
    secret.touch(mode=0o600)
    secret.write_text(environment_file(domain, "mastodon_production", Path("/run/postgresql"), 5432))
    made = make_server(mastodon_database, engine="log", secret_files=(secret,))
    make_backup(made)
    result = run(made, scratch)
    assert result.health is not None
    outcomes = {check.code: check.outcome for check in result.health.checks}
    assert outcomes["second-factors"] == outcomes["account-keys"] == outcomes["vapid"] == "passed"
    assert len(result.health.findings) == findings
    drilled = RunRecords(made.configuration.state.path).newest("drill")
    assert drilled is not None
    assert (drilled.outcome, len(drilled.details["findings"])) == ("done", findings)
    shown = status(made.configuration, datetime.now(UTC))
    assert shown.newest_proven == result.snapshot
    assert [finding.code for finding in shown.findings] == ["drill-findings"] * findings


def test_health_with_the_secrets_of_nixos(
    mastodon_database: str, make_server: MakeServer, scratch: Path, tmp_path: Path
) -> None:
    """NixOS has the secrets as variables in a file without a domain, which is the configuration's: both are proven."""
    text = environment_file(LOCAL_DOMAIN, "mastodon", Path("/run/postgresql"), 5432)
    secret = tmp_path / ".secrets_env"
    secret.touch(mode=0o600)
    secret.write_text("\n".join(line for line in text.splitlines() if not line.startswith("LOCAL_DOMAIN")))
    made = make_server(mastodon_database, engine="log", secret_files=(secret,))
    told = Mastodon(layout="nixos", local_domain=LOCAL_DOMAIN)
    made = replace(made, configuration=made.configuration.model_copy(update={"mastodon": told}))
    make_backup(made)
    health = run(made, scratch).health
    assert health is not None
    outcomes = {check.code: check.outcome for check in health.checks}
    proven = {"second-factors", "account-keys", "vapid", "local-domain"}
    assert {code: outcome for code, outcome in outcomes.items() if code in proven} == dict.fromkeys(proven, "passed")
