"""The key of a repository: one that was exchanged is noticed, and one that is changed on purpose always leaves one."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from permafrost.config.models import Encryption
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import KeyFileError, UsageError
from permafrost.events import Event, Warned, ignore_events
from permafrost.loading.source import Source, opened
from permafrost.openpgp.sealing import OpeningKey
from permafrost.operations.backup import back_up
from permafrost.operations.own.key import next_passphrase_file
from permafrost.operations.rekey import Rekeyed, rekey
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import SnapshotId
from permafrost.repository.repository import Repository
from permafrost.repository.snapshots import list_snapshots
from permafrost.runs import RunRecords
from permafrost.status.document import status
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.commands import json_of, python
from tests.fixtures.recipients import Recipient
from tests.fixtures.server import PASSPHRASE, MakeServer, Server

OTHER = "SOMEBODY-ELSES-PASSPHRASE-98765"


@pytest.fixture
def server(database: str, make_server: MakeServer) -> Server:
    """A server with one table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE rows (id serial PRIMARY KEY); INSERT INTO rows DEFAULT VALUES")
    return make_server(database, engine="log")


def opens(server: Server, snapshot: SnapshotId, key: Path, secret_key: Path | None = None) -> bool:
    """Return whether a key opens a snapshot."""
    with opened(Source(server.path, OpeningKey(key, secret_key)), ignore_events) as repository:
        try:
            return repository.read(snapshot, datetime.now(UTC), ignore_events).id == snapshot
        except KeyFileError:
            return False


def warnings_of(server: Server) -> list[str]:
    """Back up, and return the warnings."""
    told: list[Event] = []
    back_up(server.configuration, report=told.append, now=datetime.now(UTC))
    return [event.message for event in told if isinstance(event, Warned)]


def changed(server: Server, *, as_configured: bool = False) -> Rekeyed:
    """Change the key as the command does."""
    return rekey(server.configuration, as_configured=as_configured, report=ignore_events, now=datetime.now(UTC))


def refused(server: Server) -> KeyFileError:
    """Back up what must be refused, and return the error: no snapshot appeared, and the refusal is recorded."""
    before = list_snapshots(server.repository.layout)
    with pytest.raises(KeyFileError) as caught:
        make_backup(server)
    assert list_snapshots(server.repository.layout) == before
    assert "no new one appeared" in caught.value.unchanged
    last = RunRecords(server.configuration.state.path).newest_settled("backup")
    assert (last and last.outcome) == "failed"
    return caught.value


def test_an_exchanged_passphrase(server: Server) -> None:
    """A backup with another passphrase than the repository's is refused, before and after there is a key check."""
    make_backup(server)
    assert server.repository.layout.key_check.is_file()
    server.passphrase_file.write_text(f"{OTHER}\n")
    error = refused(server)
    assert "rekey --as-configured" in error.hint
    server.repository.layout.key_check.unlink()  # as an older permafrost has left it
    refused(server)
    server.repository.layout.key_check.write_bytes(os.urandom(300))
    refused(server)
    server.passphrase_file.write_text(f"{PASSPHRASE}\n")
    make_backup(server)
    server.passphrase_file.write_text(f"{OTHER}\n")
    refused(server)


@pytest.mark.format("1.5")
def test_the_key_check_is_made_when_the_key_is_proven(server: Server) -> None:
    """A repository without a key check gets one from the next backup; a reader needs none."""
    first = make_backup(server).snapshot
    check = server.repository.layout.key_check
    check.unlink()
    assert opens(server, first, server.passphrase_file)
    make_backup(server)
    assert check.stat().st_mode & 0o777 == 0o444
    made = check.read_bytes()
    make_backup(server)
    assert check.read_bytes() == made


def test_what_proves_nothing_does_not_stop_a_backup(server: Server) -> None:
    """If no snapshot can be read any more, there is nothing to compare a passphrase with, and the backup is made."""
    damaged = make_backup(server).snapshot
    server.repository.layout.key_check.unlink()
    signature = server.repository.layout.snapshot(damaged) / "objects.sha256.sig"
    signature.chmod(0o600)
    signature.write_bytes(b"damaged")
    assert opens(server, make_backup(server).snapshot, server.passphrase_file)


def test_a_new_passphrase(server: Server, database: str) -> None:
    """After rekey, the new sheet's passphrase opens the newest snapshot, and the old one, kept, those before."""
    old = make_backup(server).snapshot
    config = str(server.write_configuration())
    document = json_of("rekey", "--config", config)
    new = SnapshotId(document["snapshot"])
    sheet, kept = Path(document["recovery_sheet"]), Path(document["former_passphrase_file"])
    passphrase = read_secret_file(server.passphrase_file)
    text = sheet.read_text()
    assert passphrase in text
    findings = status(server.configuration, datetime.now(UTC)).findings
    assert [one.subject for one in findings if one.code == "recovery-sheet"] == [str(sheet)]
    assert f"Snapshots up to {old} are sealed with another key" in text
    assert [line for line in text.splitlines() if len(line) > 80 and str(server.path) not in line] == []
    assert (sheet.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o600, 0o600)
    assert read_secret_file(kept) == PASSPHRASE != passphrase
    assert [opens(server, one, server.passphrase_file) for one in (old, new)] == [False, True]
    assert [opens(server, one, kept) for one in (old, new)] == [True, False]
    make_backup(server)
    name = "restored_rekeyed"
    make_restore(server, name)
    try:
        assert contents_of(conninfo_for(database, dbname=name)) == contents_of(database)
    finally:
        drop(database, name)


def test_recipients_are_changed(
    server: Server, tmp_path: Path, recipient: Recipient, other_recipient: Recipient
) -> None:
    """From a passphrase to public keys and back: refused until rekey, and then nothing but the new key opens."""
    make_backup(server)
    keys = tmp_path / "keys"
    secret = tmp_path / "secret"
    secret.write_bytes(other_recipient.secret)
    both = tuple(one.put_into(keys) for one in (recipient, other_recipient))
    empty = tmp_path / "empty"
    empty.touch(0o600)

    def with_key(encryption: Encryption) -> Server:
        return replace(server, configuration=server.configuration.model_copy(update={"encryption": encryption}))

    to_one = with_key(Encryption(recipients=both[:1], recipients_dir=keys))
    to_both = with_key(Encryption(recipients=both, recipients_dir=keys))
    for now_sealed in (to_one, to_both, server):
        refused(now_sealed)
        made = changed(now_sealed, as_configured=True)
        with pytest.raises(UsageError, match="already"):
            changed(now_sealed, as_configured=True)
        newest = make_backup(now_sealed).snapshot
        assert made.snapshot < newest
        if now_sealed is not server:
            with opened(Source(server.path, OpeningKey(None, secret)), ignore_events) as repository:
                can_open = now_sealed is to_both
                try:
                    assert repository.read(newest, datetime.now(UTC), ignore_events).id == newest
                    assert can_open
                except KeyFileError:
                    assert not can_open
            with pytest.raises(UsageError, match="sealed to public keys"):
                changed(now_sealed)
    assert Repository.open(server.path).facts.sealing == "passphrase"
    assert opens(server, newest, server.passphrase_file)


def test_an_exchanged_list_of_recipients(
    server: Server, tmp_path: Path, recipient: Recipient, other_recipient: Recipient
) -> None:
    """Sealed to public keys, recipients that the signing key has not signed are refused, whatever the folder says.

    An older permafrost let recipients change, and made no key check: those of its newest snapshot are the right ones.
    """
    keys = tmp_path / "keys"
    good, bad = (one.put_into(keys) for one in (recipient, other_recipient))
    own, exchanged = (
        replace(
            server,
            configuration=server.configuration.model_copy(
                update={"encryption": Encryption(recipients=(name,), recipients_dir=keys)}
            ),
        )
        for name in (good, bad)
    )
    changed(own, as_configured=True)
    refused(exchanged)
    facts = server.repository.layout.facts
    text = facts.read_text()
    facts.chmod(0o600)
    facts.write_text(text.replace(good, bad))
    assert "recipients are not those" in refused(exchanged).message
    server.repository.layout.key_check.unlink()
    facts.write_text(text)
    refused(exchanged)
    facts.write_text(text.replace(good, bad))
    refused(exchanged)
    make_backup(own)
    assert Repository.open(server.path).facts.recipients == (good,)
    assert own.repository.layout.key_check.is_file()
    refused(exchanged)


KILLED = """
import os, signal, sys
limit, seen = int(sys.argv[1]), 0
def hook(event, arguments):
    global seen
    if event in ("os.rename", "os.link") and "/objects/" not in str(arguments[1]):
        seen += 1
        if seen == limit:
            os.kill(os.getpid(), signal.SIGKILL)
import permafrost.cli.main as main
sys.argv = ["permafrost", "rekey", "--config", sys.argv[2]]
sys.addaudithook(hook)
main.run()
"""


def test_killed_at_any_moment(server: Server) -> None:
    """Killed before any rename but those of objects, rekey leaves a repository that a named key works with."""
    make_backup(server)
    config = str(server.write_configuration())
    waiting = next_passphrase_file(server.configuration.encryption)
    assert waiting is not None
    were_waiting, kills = [], 0
    while True:
        killed = python(KILLED, str(kills + 1), config)
        if killed.returncode != -signal.SIGKILL:
            break
        kills += 1
        were_waiting.append(waiting.exists())
        is_warned = any("a change of the passphrase was cut short" in warning for warning in warnings_of(server))
        assert is_warned == were_waiting[-1]
        assert opens(server, list_snapshots(server.repository.layout)[-1], server.passphrase_file)
    assert killed.returncode == 0, killed.stderr
    assert kills >= 6  # new passphrase, sheet, snapshot, old passphrase kept, exchanged, key check
    assert were_waiting[0] is False
    assert True in were_waiting
    assert not waiting.exists()
    assert read_secret_file(server.passphrase_file) != PASSPHRASE
    assert warnings_of(server) == []
