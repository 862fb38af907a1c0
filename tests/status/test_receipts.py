"""Receipts: what a vault says that it holds reaches the server, signed; and what in it needs a human is told."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.config.models import Schedule
from permafrost.config.writing import effective_toml
from permafrost.errors import IntegrityError
from permafrost.findings import Finding, Severity
from permafrost.openpgp.signing import export_public_key, generate_signing_key, sign_detached
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.layout import SnapshotId
from permafrost.repository.snapshots import OBJECT_LIST, list_snapshots
from permafrost.runs import RunRecords
from permafrost.sharing.receipt_intake import take_in_receipts
from permafrost.status.vaults import receipt_findings
from permafrost.status.written import read_written
from permafrost.vault.receipt import (
    MAXIMUM_BYTES,
    MOST_FINDINGS,
    MOST_LETTERS,
    MOST_SNAPSHOTS,
    Receipt,
    ReceiptFinding,
    ReceivedSnapshot,
    SignedReceipt,
    parse_signed,
)
from permafrost.vault.receipt_files import RECEIPT_FILE
from permafrost.vault.report import VaultReport
from tests.fixtures.backups import make_backup
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import MakeServer, Server, SigningKey, copied, new_server
from tests.fixtures.syncthing import free_port, loopback_settings, wait_for

NOW = datetime.now(UTC).replace(microsecond=0)
OFF = Schedule(backup="off", audit="off", drill="off")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A vault's signing key: its GnuPG home and fingerprint."""
    home = tmp_path_factory.mktemp("key") / "signing"
    return home, generate_signing_key(home, "permafrost vault attic")


@pytest.fixture(scope="module")
def backed_up(
    cluster: ScratchCluster, mastodon_template: str, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with two snapshots, of which runs are recorded."""
    with temporary_database(cluster, mastodon_template) as database:
        made = new_server(tmp_path_factory.mktemp("backed-up") / "server", signing_key, database)
        make_backup(made)
        make_backup(made)
        yield made


@pytest.fixture
def server(backed_up: Server, tmp_path: Path) -> Server:
    """A copy of that server."""
    return copied(backed_up, tmp_path / "server")


def receipt_of(server: Server, **changes: object) -> Receipt:
    """Return the receipt of a vault that holds everything."""
    layout = server.repository.layout
    held = tuple(
        ReceivedSnapshot(
            snapshot=str(one),
            list_hash=hashlib.sha256((layout.snapshot(one) / OBJECT_LIST).read_bytes()).hexdigest(),
            arrived_at=NOW,
            objects=3,
            size_bytes=1000,
        )
        for one in list_snapshots(layout)
    )
    said = {
        "vault": "attic",
        "device_id": "DEVICE",
        "repository_id": server.repository.repository_id,
        "written_at": datetime.now(UTC),
        "snapshots": held,
        "history_snapshots": len(held),
        "history_bytes": 2000,
        "waiting": 0,
        "bad_objects": 0,
        "media_files": 0,
        "free_bytes": 500,
        "disk_bytes": 1000,
    }
    return Receipt.model_validate({**said, **changes})


def deliver(server: Server, key: tuple[Path, str], receipt: Receipt) -> Path:
    """Put a signed receipt where Syncthing would, and return its file."""
    return deliver_text(server, key, receipt.model_dump_json())


def deliver_text(server: Server, key: tuple[Path, str], content: str) -> Path:
    """Put a signed text where Syncthing would put a receipt, and return its file."""
    home, fingerprint = key
    signed = SignedReceipt(
        content=content,
        signature=sign_detached(home, fingerprint, content.encode()).decode(),
        key=export_public_key(home, fingerprint).decode(),
    )
    file = server.configuration.state.path / "receipts" / "attic" / RECEIPT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(signed.encode())
    return file


def look(server: Server) -> VaultReport:
    """Return what the only vault says."""
    receipts = server.configuration.state.path / "receipts"
    (report,) = take_in_receipts(receipts, server.repository.repository_id, (), datetime.now(UTC))
    return report


def kinds(server: Server, *, later: timedelta = timedelta(0)) -> list[str]:
    """Return the kinds of findings about the vault."""
    return [one.code for one in look_at_all(server, later=later)]


def look_at_all(server: Server, *, later: timedelta = timedelta(0)) -> list[Finding]:
    """Return the findings about the vault."""
    layout = server.repository.layout
    there = tuple(list_snapshots(layout))
    records = RunRecords(server.configuration.state.path)
    return list(receipt_findings((look(server),), layout, there, records, datetime.now(UTC) + later))


def test_a_receipt_is_checked_once(server: Server, key: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is not checked again, without gpg too; another receipt in its place is."""
    receipts = server.configuration.state.path / "receipts"
    repository_id = server.repository.repository_id
    file = deliver(server, key, receipt_of(server))
    known = take_in_receipts(receipts, repository_id, (), NOW)
    with monkeypatch.context() as without_programs:
        without_programs.setenv("PATH", "/nowhere")
        assert take_in_receipts(receipts, repository_id, known, NOW) == known
    file.write_bytes(file.read_bytes().replace(b"attic", b"atric"))
    (again,) = take_in_receipts(receipts, repository_id, known, NOW)
    assert "signature" in again.problem


def test_what_a_newer_vault_finds(server: Server, key: tuple[Path, str]) -> None:
    """A kind that is not known here is shown with its words; names bear vault- once, those of older vaults too."""
    said = [
        ReceiptFinding(kind=kind, subject="x", message=f"word of {kind}", first_at=NOW, last_at=NOW)
        for kind in ("from-the-future", "cannot-tool", "vault-clock", "rot")
    ]
    deliver(server, key, receipt_of(server, findings=said))
    found = {finding.code: finding for finding in look_at_all(server)}
    assert set(found) == {"vault-says", "vault-cannot-work", "vault-clock-jumped", "vault-rot"}
    assert found["vault-says"].message == "the vault attic says: word of from-the-future"
    assert found["vault-rot"].severity is Severity.ALARM


def test_a_vault_that_holds_everything(server: Server, key: tuple[Path, str]) -> None:
    """Its newest snapshot is told, and nothing needs a human."""
    deliver(server, key, receipt_of(server))
    assert look(server).newest == max(list_snapshots(server.repository.layout))
    assert kinds(server) == []


FINDING = ReceiptFinding(kind="removed", subject="x", message="gone", first_at=NOW, last_at=NOW)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"written_at": NOW - timedelta(hours=4)}, "vault-silent"),
        ({"written_at": NOW + timedelta(hours=1)}, "vault-clock"),
        ({"free_bytes": 10}, "vault-full"),
        ({"bad_objects": 1}, "vault-corrupt"),
        ({"all_verified_since": NOW - timedelta(days=20)}, "vault-unverified"),
        ({"findings": (FINDING,)}, "vault-removed"),
    ],
)
def test_what_needs_a_human(server: Server, key: tuple[Path, str], changes: dict[str, object], kind: str) -> None:
    """Each thing that is wrong with a vault is one finding."""
    deliver(server, key, receipt_of(server, **changes))
    assert kinds(server) == [kind]


def test_behind(server: Server, key: tuple[Path, str]) -> None:
    """A snapshot that a vault lacks is a finding once it has had two hours to come."""
    held = receipt_of(server)
    deliver(server, key, held.model_copy(update={"snapshots": held.snapshots[:1], "written_at": NOW}))
    assert kinds(server) == []
    assert "vault-behind" in kinds(server, later=timedelta(hours=2, minutes=5))


def test_disagreement(server: Server, key: tuple[Path, str]) -> None:
    """A snapshot of which the vault has another list is told."""
    held = receipt_of(server)
    other = held.snapshots[0].model_copy(update={"list_hash": "0" * 64})
    deliver(server, key, held.model_copy(update={"snapshots": (other, held.snapshots[1])}))
    assert kinds(server) == ["vault-disagrees"]


def test_deletions_that_no_prune_explains(server: Server, key: tuple[Path, str]) -> None:
    """A snapshot that is gone here and that a vault keeps is a finding, unless a prune has removed it."""
    held = receipt_of(server)
    gone = SnapshotId.new(datetime.now(UTC) + timedelta(seconds=5))
    lost = held.snapshots[0].model_copy(update={"snapshot": str(gone)})
    deliver(server, key, held.model_copy(update={"snapshots": (lost, *held.snapshots)}))
    assert kinds(server) == ["vault-unexplained"]
    with RunRecords(server.configuration.state.path).recorded("prune", datetime.now(UTC)) as record:
        record["removed"] = [str(gone)]
    assert kinds(server) == []


def test_no_receipt_yet(server: Server) -> None:
    """A vault that has just been paired owes nothing yet; after an hour it does."""
    (server.configuration.state.path / "receipts" / "attic").mkdir(parents=True)
    assert look(server).receipt is None
    assert kinds(server) == []
    assert kinds(server, later=timedelta(hours=2)) == ["vault-silent"]


def test_a_changed_text(server: Server, key: tuple[Path, str]) -> None:
    """A receipt of which one letter was changed is not believed."""
    file = deliver(server, key, receipt_of(server))
    signed = parse_signed(file.read_bytes())
    file.write_bytes(signed.model_copy(update={"content": signed.content.replace("1000", "1001")}).encode())
    assert "signature" in look(server).problem
    assert kinds(server) == ["vault-receipt"]


def test_another_key(server: Server, key: tuple[Path, str], tmp_path: Path) -> None:
    """Once a vault's key is known, a receipt signed with another one is not believed, and is told."""
    deliver(server, key, receipt_of(server))
    assert look(server).problem == ""
    other = tmp_path / "other"
    deliver(server, (other, generate_signing_key(other, "somebody else")), receipt_of(server))
    assert "another key" in look(server).problem
    deliver(server, key, receipt_of(server))
    assert look(server).problem == ""


def test_another_repositorys(server: Server, key: tuple[Path, str]) -> None:
    """A receipt about another server's repository is not believed."""
    deliver(server, key, receipt_of(server, repository_id="0" * 32))
    assert "another repository" in look(server).problem


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "junk", "huge"])
def test_what_a_hostile_vault_sends(server: Server, key: tuple[Path, str], tmp_path: Path, what: str) -> None:
    """A link, a pipe, a folder, junk or a giant in a receipt's place is told, and neither followed nor waited for."""
    file = deliver(server, key, receipt_of(server))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(file.read_bytes())
    file.unlink()
    if what == "link":
        file.symlink_to(elsewhere)
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    else:
        file.write_bytes(b"{}" if what == "junk" else b" " * (MAXIMUM_BYTES + 1))
    report = look(server)
    assert report.receipt is None
    assert report.problem


HOSTILE: tuple[dict[str, object], ...] = (
    {"free_bytes": 10**400, "disk_bytes": 10**400},
    {"written_at": "2026-11-24T10:00:00"},
    {"all_verified_since": "0001-01-01T00:00:00+14:00"},
    {"findings": [{**json.loads(FINDING.model_dump_json()), "last_at": "2026-11-24T10:00:00"}]},
    {"findings": [{**json.loads(FINDING.model_dump_json()), "kind": "receipt\n"}]},
    {"history_snapshots": "\x1b[2J"},
)


def test_what_a_hostile_vault_says(server: Server, key: tuple[Path, str]) -> None:
    """Numbers, times and names that no vault of ours would write make a receipt that is not believed, and no more."""
    honest = json.loads(receipt_of(server).model_dump_json())
    no_date: dict[str, object] = {"snapshots": [{**honest["snapshots"][0], "snapshot": "20261399T000000Z-00000000"}]}
    for changes in (*HOSTILE, no_date):
        deliver_text(server, key, json.dumps({**honest, **changes}))
        (finding,) = look_at_all(server)
        assert finding.code == "vault-receipt", changes
        assert finding.message.isprintable()


def test_what_would_move_a_terminals_cursor(server: Server, key: tuple[Path, str]) -> None:
    """Control characters in a vault's words are shown as question marks."""
    hostile = {**json.loads(FINDING.model_dump_json()), "message": "gone\x1b[2J\x9b1m\nfinding: all is well"}
    said = {**json.loads(receipt_of(server).model_dump_json()), "findings": [hostile]}
    deliver_text(server, key, json.dumps(said))
    (finding,) = look_at_all(server)
    assert finding.message == "the vault attic says: gone?[2J?1m?finding: all is well"


def test_an_old_receipt_played_back(server: Server, key: tuple[Path, str]) -> None:
    """A receipt older than one that was here before is told, until a newer one comes."""
    deliver(server, key, receipt_of(server))
    assert kinds(server) == []
    deliver(server, key, receipt_of(server, written_at=NOW - timedelta(minutes=30)))
    assert kinds(server) == ["vault-replayed"]
    deliver(server, key, receipt_of(server))
    assert kinds(server) == []


def test_a_clock_that_is_put_right(server: Server, key: tuple[Path, str]) -> None:
    """A vault whose clock was ahead, and is put right, is not taken for one that plays old receipts."""
    deliver(server, key, receipt_of(server, written_at=NOW + timedelta(days=400)))
    assert kinds(server) == ["vault-clock"]
    deliver(server, key, receipt_of(server))
    assert kinds(server) == []


def test_the_newest_of_a_backlog(server: Server, key: tuple[Path, str]) -> None:
    """The newest snapshot counts, though an older one arrived after it; the vault is not behind."""
    held = receipt_of(server)
    deliver(server, key, held.model_copy(update={"snapshots": held.snapshots[::-1], "written_at": NOW}))
    assert look(server).newest == max(list_snapshots(server.repository.layout))
    assert "vault-behind" not in kinds(server, later=timedelta(hours=2, minutes=5))


def test_a_state_folder_of_somebody_else(server: Server, key: tuple[Path, str]) -> None:
    """What is remembered of a vault and cannot be read is told, and stops nothing."""
    file = deliver(server, key, receipt_of(server))
    (file.parent.parent / "attic.vault-key").symlink_to("attic.vault-key")
    assert kinds(server) == ["vault-receipt"]


def test_the_largest_receipt_fits(server: Server, key: tuple[Path, str]) -> None:
    """A receipt with as much in it as a vault writes, of the letters that take the most room, is read."""
    held = receipt_of(server)
    letters = '"\\' * (MOST_LETTERS // 2)
    worst = FINDING.model_copy(update={"kind": "k" * 64, "subject": letters, "message": letters})
    full = {"snapshots": held.snapshots[:1] * MOST_SNAPSHOTS, "findings": (worst,) * MOST_FINDINGS}
    file = deliver(server, key, held.model_copy(update=full))
    assert file.stat().st_size < MAXIMUM_BYTES
    assert look(server).problem == ""


def test_size_is_bounded() -> None:
    """More than a receipt may hold is refused as such."""
    with pytest.raises(IntegrityError, match="larger"):
        parse_signed(b"x" * (MAXIMUM_BYTES + 1))


@pytest.fixture
def commands() -> Iterator[list[subprocess.Popen[str]]]:
    """The commands that a test has started; whatever still runs at its end is ended."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for command in running:
        if command.poll() is None:
            command.terminate()
        command.communicate(timeout=20)


def test_from_backup_to_receipt(
    mastodon_database: str, make_server: MakeServer, tmp_path: Path, commands: list[subprocess.Popen[str]]
) -> None:
    """Two commands pair a vault; then a backup's receipt is on the server within 20 seconds, and status tells it."""
    made = make_server(mastodon_database)
    changes = {"syncthing": loopback_settings(tmp_path / "syncthing"), "schedule": OFF}
    made = replace(made, configuration=made.configuration.model_copy(update=changes))
    config = tmp_path / "permafrost.toml"
    config.write_text(effective_toml(made.configuration))

    def start(*words: str) -> subprocess.Popen[str]:
        command = subprocess.Popen(
            (sys.executable, "-m", "permafrost", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        commands.append(command)
        return command

    def ask(*words: str) -> dict[str, object]:
        said = start(*words, "--json", f"--config={config}").communicate(timeout=60)[0]
        answer: dict[str, object] = json.loads(said)
        return answer

    start("run", f"--config={config}")
    wait_for((tmp_path / "syncthing" / "instance.pid").exists, "the service starts its Syncthing")
    line = start("vault", "invite", "attic", "--no-wait", f"--config={config}").communicate(timeout=60)[0].strip()
    own = ("--gui", f"127.0.0.1:{free_port()}", "--listen", f"tcp://127.0.0.1:{free_port()}", "--no-discovery")
    root = tmp_path / "vault"
    join = start("vault", "join", line.splitlines()[0], f"--path={root}", *own)
    assert join.wait(60) == 0
    start("vault", "run", f"--path={root}")
    receipt = made.configuration.state.path / "receipts" / "attic" / RECEIPT_FILE
    wait_for(receipt.exists, "the first receipt", 60)
    snapshot = ask("backup")["snapshot"]
    began = time.monotonic()

    def newest() -> object:
        written = read_written(made.configuration.state.path)
        return str(written.vaults[0].newest) if written is not None and written.vaults else None

    wait_for(lambda: newest() == snapshot, "the receipt of the new snapshot", 40)
    assert time.monotonic() - began < 20
    vaults = ask("status")["vaults"]
    assert isinstance(vaults, list)
    (vault,) = vaults
    assert vault["newest"] == snapshot
    assert vault["problem"] is None
