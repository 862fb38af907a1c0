"""A human shows that the recovery sheet opens the backups: what is typed decides, and status reminds."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from permafrost.errors import KeyFileError
from permafrost.events import ignore_events
from permafrost.loading.source import Source
from permafrost.openpgp.passphrase import new_passphrase
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.rekey import rekey
from permafrost.operations.sheet_prove import Ask, prove_sheet
from permafrost.runs import SHEET, RunRecords
from permafrost.status.document import status
from tests.fixtures.backups import make_backup
from tests.fixtures.commands import command
from tests.fixtures.recipients import Recipient
from tests.fixtures.server import PASSPHRASE, MakeServer, Server

NOW = datetime.now(UTC)
YEAR = timedelta(days=366)


@pytest.fixture
def server(database: str, make_server: MakeServer) -> Server:
    """A server with a snapshot, sealed with a passphrase like those of init."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE rows (id int)")
    made = make_server(database)
    made.passphrase_file.write_text(f"{new_passphrase()}\n")
    make_backup(made)
    return made


def typing(passphrase: str, asked: list[str]) -> Ask:
    """Return a human who types the groups that are asked for, read from a sheet with this passphrase."""

    def ask(what: str) -> str:
        asked.append(what)
        numbers = [int(word) for word in what.replace(",", " ").split() if word.isdigit()]
        return " ".join(passphrase.split("-")[number - 1].upper() for number in numbers) or passphrase

    return ask


def prove(server: Server, ask: Ask, key: OpeningKey | None = None) -> str:
    """Prove the sheet, and return the snapshot that it opens."""
    source = Source(server.path, key or OpeningKey(server.passphrase_file), server.repository.fingerprint)
    proof = prove_sheet(source, server.configuration.state.path, ask=ask, report=ignore_events, now=NOW)
    return str(proof.snapshot)


def codes(server: Server, now: datetime) -> set[str]:
    """Return the codes of the findings."""
    return {finding.code for finding in status(server.configuration, now).findings}


def test_the_groups_that_are_asked_for(server: Server) -> None:
    """Two groups by chance, typed in any case, prove the newest snapshot; those of another sheet do not."""
    asked: list[str] = []
    passphrase = server.passphrase_file.read_text().strip()
    snapshots = {prove(server, typing(passphrase, asked)) for _ in range(4)}
    assert len(snapshots) == 1
    assert len(set(asked)) > 1
    with pytest.raises(KeyFileError, match="what was typed is not group"):
        prove(server, typing(new_passphrase(), asked))
    assert all(passphrase[:6] not in what for what in asked)


def test_status_reminds(server: Server) -> None:
    """After 180 days without it status reminds, until it is proven again; a failed try proves nothing; 0 is never."""
    assert "sheet-unproven" not in codes(server, NOW)
    with pytest.raises(KeyFileError):
        prove(server, lambda _: "nothing of the sheet")
    assert "sheet-unproven" in codes(server, NOW + YEAR)
    records = RunRecords(server.configuration.state.path)
    records.end(records.begin(SHEET, NOW + YEAR), NOW + YEAR, "done", details={})
    assert "sheet-unproven" not in codes(server, NOW + YEAR)
    assert "sheet-unproven" in codes(server, NOW + 2 * YEAR)
    never = server.configuration.encryption.model_copy(update={"prove_sheet_days": 0})
    configuration = server.configuration.model_copy(update={"encryption": never})
    assert "sheet-unproven" not in {finding.code for finding in status(configuration, NOW + 9 * YEAR).findings}


def test_an_exchanged_passphrase_does_not_prove_itself(server: Server) -> None:
    """If the passphrase file was exchanged, it does not open the newest snapshot, whatever is typed."""
    server.passphrase_file.write_text(f"{PASSPHRASE}\n")
    with pytest.raises(KeyFileError, match="does not open"):
        prove(server, typing(PASSPHRASE, []))


def test_a_passphrase_of_ones_own_and_a_secret_key(server: Server, tmp_path: Path, recipient: Recipient) -> None:
    """A passphrase of another form is typed whole; sealed to public keys, the secret key has to open the snapshot."""
    server.passphrase_file.write_text(f"{PASSPHRASE}\n")
    rekey(server.configuration, as_configured=True, report=ignore_events, now=NOW + timedelta(seconds=5))
    prove(server, lambda _: PASSPHRASE)
    with pytest.raises(KeyFileError):
        prove(server, lambda _: PASSPHRASE[:-1])
    encryption = {"passphrase_file": None, "recipients": (recipient.put_into(tmp_path),), "recipients_dir": tmp_path}
    sealed = server.configuration.model_copy(
        update={"encryption": server.configuration.encryption.model_copy(update=encryption)}
    )
    rekey(sealed, as_configured=True, report=ignore_events, now=NOW + timedelta(seconds=10))
    secret = tmp_path / "secret.asc"
    secret.write_bytes(recipient.secret)
    prove(server, lambda _: "", OpeningKey(None, secret))


def test_typed_on_the_command_line(server: Server) -> None:
    """--ask-passphrase reads the sheet's passphrase as it is typed, and nothing of it stays; another is refused."""
    words = ("restore", "latest", "--repository", str(server.path), "--database=x", "--server=host=/nowhere")

    def typed(line: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "permafrost", *words, "--ask-passphrase", *more],
            input=f"{line}\n",
            capture_output=True,
            text=True,
            check=False,
        )

    passphrase = server.passphrase_file.read_text().strip()
    opened = typed(passphrase.upper().replace("-", " "))
    assert (opened.returncode, passphrase in opened.stderr) == (16, False), opened.stderr  # there is no such PostgreSQL
    assert typed(new_passphrase()).returncode == 13
    assert typed("").returncode == 2
    assert typed(passphrase, f"--passphrase-file={server.passphrase_file}").returncode == 2
    proof = subprocess.run(
        [sys.executable, "-m", "permafrost", "sheet", "prove", f"--config={server.write_configuration()}"],
        input="nothing of the sheet\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert proof.returncode == 13
    assert "group" in proof.stderr


def test_a_weak_passphrase_is_warned_of(server: Server) -> None:
    """A passphrase that can be guessed is warned of by config check and by rekey, and is no problem otherwise."""
    config = server.write_configuration()
    server.passphrase_file.write_text("mastodon2026\n")
    for words in (("config", "check"), ("rekey", "--as-configured"), ("backup",)):
        ended = command(*words, f"--config={config}")
        assert ended.returncode == 0, ended.stderr
        assert "can be guessed in about 10^" in ended.stderr
    assert command("rekey", f"--config={config}").returncode == 0
    assert "can be guessed" not in command("backup", f"--config={config}").stderr
