"""What the README shows of permafrost is what permafrost prints."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.events import ignore_events
from permafrost.runs import RunRecords
from permafrost.vault.invitation import OfferedFolder
from permafrost.vault.receipt_files import RECEIPT_FILE
from permafrost.vault.settings import Vault
from permafrost.vault_keeping.keeper import Keeper
from permafrost.vault_keeping.receipts import ReceiptWriter
from tests.fixtures.backups import make_backup
from tests.fixtures.commands import command, json_with
from tests.fixtures.delivery import Clock, Stage, make_stage
from tests.fixtures.server import MakeServer, Server, SigningKey

README = Path(__file__).parents[2] / "README.md"
SHOWN = re.compile(r"^\$ permafrost status\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIABLE = (
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}"), "SNAPSHOT"),
    (re.compile(r"in /\S+"), "in PLACE"),
    (re.compile(r"[\d.]+ (?:ms|s|min|h|days)(?: \d+ (?:s|min))?\b"), "AGE"),
    (re.compile(r"[\d.]+ [kMGT]?B\b"), "SIZE"),
    (re.compile(r"\b\d\d:\d\d\b"), "CLOCK"),
    (re.compile(r"\b(?:yesterday|tomorrow|[A-Z][a-z]{2} \d+) CLOCK"), "CLOCK"),
    (re.compile(r"\b(?:today|yesterday|[A-Z][a-z]{2} \d+)\b"), "DAY"),
    (re.compile(r"\b\d+\b"), "COUNT"),
    (re.compile(r"\s+"), " "),
)


ROW = re.compile(r"^\| (?:An|A) .*\|$", re.MULTILINE)
AMOUNT = re.compile(r"[\d.]+ (?:s|kB|MB|GB)\b")


def shape(text: str) -> str:
    """Return the text without what differs from server to server: names, places, ages, sizes and counts."""
    for pattern, name in VARIABLE:
        text = pattern.sub(name, text)
    return text


def with_receipts(stage: Stage) -> Stage:
    """Return the stage with a vault that writes receipts to its server."""
    (server,) = stage.vault.settings.servers
    folders = (*server.folders, OfferedFolder(folder_id=f"{server.folders[0].folder_id}-receipts", kind="receipts"))
    servers = (server.model_copy(update={"folders": folders}),)
    settings = stage.vault.settings.model_copy(update={"servers": servers})
    return replace(stage, vault=Vault(root=stage.vault.root, settings=settings), clock=Clock(wall=datetime.now(UTC)))


def send_receipt(stage: Stage, server: Server) -> None:
    """Let the vault take in what it has received, and put its receipt where Syncthing would."""
    publish = ReceiptWriter(stage.vault, None, ignore_events)
    with Keeper(stage.vault, None, stage.told.append, moment=stage.clock.read, publish=publish) as keeper:
        for _ in range(3):
            keeper.turn()
    place = server.configuration.state.path / "receipts" / "attic"
    place.mkdir(parents=True)
    shutil.copyfile(stage.vault.root / stage.server.name / "receipts" / RECEIPT_FILE, place / RECEIPT_FILE)


def test_what_status_prints(
    mastodon_database: str, make_server: MakeServer, signing_key: SigningKey, tmp_path: Path
) -> None:
    """The status in the README has the lines of a server with a vault and a drill, but for names and amounts."""
    server = make_server(mastodon_database)
    config = f"--config={server.write_configuration()}"
    make_backup(server, is_audited=True)
    assert command("drill", config).returncode == 0
    stage = with_receipts(make_stage(tmp_path / "vault", server.repository, signing_key))
    stage.deliver()
    send_receipt(stage, server)
    make_backup(server)  # checks the receipt at its end
    (shown,) = SHOWN.findall(README.read_text(encoding="utf-8"))
    finished = command("status", config)
    assert finished.returncode == 0, finished.stdout
    assert shape(finished.stdout) == shape(shown)
    (measured,) = (part for part in json_with(0, "status", config)["forecast"] if part["duration_s"] is not None)
    assert measured["basis"].startswith("the drill ")
    (drilled,) = RunRecords(server.configuration.state.path).since(datetime.min.replace(tzinfo=UTC), "drill")
    assert drilled.details["size_bytes"] > 0
    assert sum(drilled.details["steps_s"].values()) == pytest.approx(drilled.details["restore_s"], abs=1)


def test_the_numbers_are_measured_ones() -> None:
    """Each time and amount in the README's table stands in the benchmarks."""
    amounts = [amount for row in ROW.findall(README.read_text(encoding="utf-8")) for amount in AMOUNT.findall(row)]
    assert len(amounts) >= 12
    measured = set(AMOUNT.findall((README.parent / "docs/benchmarks.md").read_text(encoding="utf-8")))
    assert set(amounts) <= measured
