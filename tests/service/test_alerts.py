"""Services that tell receivers what they see: a server's jobs and findings, and a vault whose server is gone."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.notify.looks import look_at_vault
from permafrost.notify.receiver import Receiver
from permafrost.repository.repository import Repository
from permafrost.runs import RunRecords
from permafrost.service.alerts import exit_code_of
from permafrost.service.job import Ended
from permafrost.status.vault_document import vault_status
from permafrost.vault.settings import VaultSyncthing
from tests.fixtures.delivery import make_stage
from tests.fixtures.receivers import TOKEN, Recorder, receiver_at
from tests.fixtures.server import MakeServer, SigningKey, free_port
from tests.fixtures.syncthing import wait_for


def entry(name: str, file: Path, kind: str = "message") -> str:
    """Return a receiver as it is written in a configuration."""
    return f'[[notify]]\nname = "{name}"\nkind = "{kind}"\nurl_file = "{file}"\n'


def test_a_servers_jobs_and_findings(make_server: MakeServer, tmp_path: Path, recorder: Recorder) -> None:
    """A service pings begin and failure of a job with its exit code, and sends what it finds; receivers that are away
    or hang keep neither its jobs nor its end waiting."""
    server = make_server("postgresql:///nowhere?host=/nonexistent")
    config = server.write_configuration()
    phone = receiver_at(recorder.ntfy, tmp_path)
    monitor = receiver_at(recorder.ping_url("/{job}"), tmp_path, name="monitor", kind="healthchecks")
    away = receiver_at(f"ntfy://127.0.0.1:{free_port()}/x", tmp_path, name="away")
    config.write_text(
        f'{config.read_text()}\n[schedule]\nbackup = "* * * * *"\naudit = "off"\ndrill = "off"\n'
        + entry("phone", phone.url_file)
        + entry("monitor", monitor.url_file, "healthchecks")
        + entry("away", away.url_file)
    )
    with RunRecords(server.configuration.state.path).recorded("prune", datetime.now(UTC) - timedelta(days=1)):
        pass  # so that a backup is due at once
    command = (sys.executable, "-m", "permafrost", "run", "--config", str(config))
    with (tmp_path / "said").open("w") as said, subprocess.Popen(command, stderr=said) as service:
        try:
            wait_for(lambda: _paths(recorder, "/backup/16"), "the failure is pinged", 110)
            wait_for(lambda: "alerts do not reach away" in (tmp_path / "said").read_text(), "an outage is reported")
            wait_for(lambda: _paths(recorder, "/"), "the findings are sent")
        finally:
            began = datetime.now(UTC)
            service.terminate()
            assert service.wait(20) == 0
    assert datetime.now(UTC) - began < timedelta(seconds=10)
    (start, failed) = _paths(recorder, f"/{TOKEN}/backup/")[:2]
    assert start.replace("/start?", "/16?") == failed
    assert any("no-snapshot" in request.body for request in recorder.requests)


def test_a_dead_server_is_told_by_its_vault(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, recorder: Recorder
) -> None:
    """A vault whose server sends nothing any more says so within the configured time, and when it comes back."""
    stage = make_stage(tmp_path / "vault", repository, signing_key)
    phone = receiver_at(recorder.ntfy, tmp_path)
    settings = stage.vault.settings.model_copy(update={"nothing_new_minutes": 60, "notify": (phone,)})
    stage.vault = stage.vault.model_copy(update={"settings": settings})
    stage.vault.save()
    receiver = Receiver(phone, "vault attic", stage.vault.root / "state", stage.told.append, on_a_vault=True)

    def titles(passed: timedelta) -> list[str]:
        stage.clock.pass_time(passed)
        stage.keep()
        receiver.saw(look_at_vault(vault_status(stage.vault.root, stage.clock.wall)))
        receiver.turn(stage.clock.wall)
        came = [request.title for request in recorder.requests]
        recorder.requests.clear()
        return came

    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    assert titles(timedelta()) == []
    assert titles(timedelta(minutes=60)) == []
    assert titles(timedelta(minutes=1)) == ["vault attic: alarm: nothing-new"]
    assert titles(timedelta(minutes=1)) == []
    stage.sender.snapshot(stage.clock.wall)
    stage.deliver()
    assert titles(timedelta(minutes=1)) == ["vault attic: ended: nothing-new"]


def test_a_vaults_service_pings(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, recorder: Recorder
) -> None:
    """`vault run` pings a monitor that all is well, and reads its receivers again when the settings change."""
    stage = make_stage(tmp_path / "vault", repository, signing_key)
    syncthing = VaultSyncthing(
        gui=f"127.0.0.1:{free_port()}", listen=(f"tcp://127.0.0.1:{free_port()}",), discovery=False
    )
    with_syncthing = stage.vault.settings.model_copy(update={"syncthing": syncthing})
    stage.vault.model_copy(update={"settings": with_syncthing}).save()
    command = (sys.executable, "-m", "permafrost", "vault", "run", f"--path={stage.vault.root}")
    with (tmp_path / "said").open("w") as said, subprocess.Popen(command, stderr=said) as service:
        try:
            wait_for(lambda: "is up" in (tmp_path / "said").read_text(), "the service is up", 60)
            monitor = receiver_at(recorder.ping_url(), tmp_path, kind="healthchecks")
            changed = with_syncthing.model_copy(update={"notify": (monitor,)})
            stage.vault.model_copy(update={"settings": changed}).save()
            wait_for(lambda: bool(recorder.requests), "it pings", 60)
        finally:
            service.terminate()
            assert service.wait(20) == 0
    assert recorder.requests[0].path.startswith(f"/{TOKEN}?rid=")


@pytest.mark.parametrize(("code", "pinged"), [(0, 0), (3, 0), (16, 16), (-9, 137)])
def test_exit_codes(code: int, pinged: int) -> None:
    """A job with findings is done; one that a signal ended has the exit code that a shell would show."""
    assert exit_code_of(Ended(code, {})) == pinged


def _paths(recorder: Recorder, part: str) -> list[str]:
    """Return the paths of requests that begin with the part, after a token if it has none."""
    begin = part if part == "/" or part.startswith(f"/{TOKEN}") else f"/{TOKEN}{part}"
    return [
        one.path
        for one in list(recorder.requests)
        if (one.path == begin if part == "/" else one.path.startswith(begin))
    ]
