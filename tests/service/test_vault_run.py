"""permafrost vault run, as a service that goes on while the vault's settings change."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from permafrost.config.models import Web
from permafrost.repository.repository import Repository
from permafrost.vault.settings import SETTINGS_FILE, VaultSyncthing
from tests.fixtures.delivery import make_stage
from tests.fixtures.server import SigningKey
from tests.fixtures.syncthing import free_port, wait_for


def test_a_server_that_is_joined_meanwhile_is_kept(
    tmp_path: Path, repository: Repository, signing_key: SigningKey
) -> None:
    """A server, and a page, that are added while the service runs need no restart; broken settings do not end it."""
    stage = make_stage(tmp_path / "vault", repository, signing_key)
    folder = tmp_path / "www"
    folder.mkdir()
    syncthing = VaultSyncthing(
        gui=f"127.0.0.1:{free_port()}", listen=(f"tcp://127.0.0.1:{free_port()}",), discovery=False
    )
    with_server = stage.vault.settings.model_copy(update={"syncthing": syncthing, "web": Web(folder=folder)})
    without = stage.vault.model_copy(update={"settings": with_server.model_copy(update={"servers": (), "web": Web()})})
    without.save()
    command = (sys.executable, "-m", "permafrost", "vault", "run", f"--path={stage.vault.root}")
    with (tmp_path / "said").open("w") as said, subprocess.Popen(command, stderr=said) as service:
        try:
            told = tmp_path / "said"
            wait_for(lambda: "receives from nobody yet" in told.read_text(), "the service is up", 60)
            (stage.vault.root / SETTINGS_FILE).write_text("name =")
            wait_for(lambda: "continues with its previous settings" in told.read_text(), "it is told")
            stage.vault.model_copy(update={"settings": with_server}).save()
            snapshot = stage.sender.snapshot(datetime.now(UTC))
            stage.deliver()
            wait_for((stage.history / "snapshots" / str(snapshot)).exists, "it is kept", 30)
            page = folder / "index.html"
            wait_for(lambda: page.exists() and "from this vault" in page.read_text(), "its page says so", 90)
            metrics = folder / "permafrost.prom"  # the files of the page are replaced one after the other
            wait_for(lambda: metrics.exists() and 'answer="yes"} 1' in metrics.read_text(), "its metrics say so")
            assert service.poll() is None
        finally:
            service.terminate()
            assert service.wait(20) == 0
