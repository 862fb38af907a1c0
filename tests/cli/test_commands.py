"""The command line as a person and a script meet it: words, exit codes, JSON, errors that help."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from permafrost.postgres.connection import conninfo_for
from tests.fixtures.backups import drop
from tests.fixtures.commands import command, json_of
from tests.fixtures.server import MakeServer, Server


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer) -> Server:
    """A server without a snapshot."""
    return make_server(mastodon_database)


def test_the_road_by_json(server: Server) -> None:
    """backup, snapshots, verify, status, prune and restore report what the contract promises."""
    config = str(server.write_configuration())
    backup = json_of("backup", "--audit", "--config", config)
    promised = {"snapshot", "engine", "duration_s", "bytes_new", "rows_new", "rows_gone", "tables", "segments"}
    assert promised | {"segments_changed", "audited"} <= backup.keys()
    assert backup["engine"] == "dump"
    assert backup["audited"] is True
    listed = json_of("snapshots", "--config", config)
    assert [one["snapshot"] for one in listed["snapshots"]] == [backup["snapshot"]]
    assert backup["bytes_new"] >= listed["snapshots"][0]["size_bytes"]
    verified = json_of("verify", "--repository", str(server.path))
    assert {"snapshots", "objects", "bytes", "findings"} <= verified.keys()
    assert (verified["snapshots"], verified["findings"]) == (1, [])
    status = json_of("status", "--config", config)
    assert {"snapshots", "newest", "newest_proven", "vaults", "findings"} <= status.keys()
    assert status["newest"] == backup["snapshot"]
    assert json_of("prune", "--config", config)["kept"] == [backup["snapshot"]]
    url = server.configuration.database.url
    try:
        restored = json_of(
            *("restore", backup["snapshot"], "--database", "restored_by_json", "--repository", str(server.path)),
            *("--runbook", str(server.path.with_name("runbook"))),
            *("--passphrase-file", str(server.passphrase_file), "--server", conninfo_for(url, dbname="postgres")),
        )
    finally:
        drop(url, "restored_by_json")
    assert {"snapshot", "database", "duration_s", "tables", "rows"} <= restored.keys()
    assert restored["rows"] == backup["rows_new"]


def test_steps_for_a_journal(server: Server) -> None:
    """Without a terminal the steps are numbered lines on stderr, without escape codes; stdout is the summary."""
    finished = command("backup", "--config", str(server.write_configuration()))
    assert finished.returncode == 0
    assert "3/5 dump the database" in finished.stderr
    assert "\x1b" not in finished.stderr + finished.stdout
    assert finished.stdout.startswith("snapshot 20")
    _, times = finished.stdout.splitlines()
    assert times.startswith("time by work, workers added up: ")


def test_on_a_terminal(server: Server) -> None:
    """On a terminal there is a progress bar, and none of it is left behind the summary."""
    leader, follower = pty.openpty()
    words = [sys.executable, "-m", "permafrost", "verify", "--repository", str(server.path)]
    finished = subprocess.run(words, stdout=subprocess.PIPE, stderr=follower, check=False, text=True)
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert finished.returncode == 0
    assert "1/2" in shown
    assert "all good" in finished.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("restore", "yesterday", "--database", "x"), 2, "permafrost snapshots lists them"),
        (("restore", "latest", "--database", "x", "--repository", "/nowhere"), 12, "no repository at /nowhere"),
        (("verify", "--repository", "/nowhere"), 12, "no repository at /nowhere"),
        (("backup", "--config", "/nowhere/permafrost.toml"), 10, "/nowhere/permafrost.toml"),
        (("backup", "--confg", "x"), 2, "--config"),
    ],
)
def test_mistakes(words: tuple[str, ...], code: int, said: str) -> None:
    """Mistakes have their exit code and an error that names what is wrong; nothing goes to stdout."""
    finished = command(*words)
    assert (finished.returncode, finished.stdout) == (code, "")
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr


def test_error_as_json() -> None:
    """With --json an error is a document on stdout with code, exit code, message and hint."""
    finished = command("verify", "--repository", "/nowhere", "--json")
    error = json.loads(finished.stdout)["error"]
    assert error["code"] == "repository"
    assert error["exit_code"] == finished.returncode == 12
    assert error["message"]
    assert error["hint"]


def test_the_journal_learns_how_bad_it_is(tmp_path: Path) -> None:
    """Where stderr is the journal, an error is marked as one (sd-daemon's <3>); elsewhere nothing is added."""
    said = tmp_path / "stderr"
    words = [sys.executable, "-m", "permafrost", "verify", "--repository", "/nowhere"]
    for is_journal in (True, False):
        with said.open("w") as stderr:
            status = os.fstat(stderr.fileno())
            stream = f"{status.st_dev}:{status.st_ino + (not is_journal)}"
            subprocess.run(words, stderr=stderr, check=False, env={**os.environ, "JOURNAL_STREAM": stream})
        assert said.read_text().startswith("<3>permafrost: error: " if is_journal else "permafrost: error: ")


def test_findings_have_their_exit_codes(server: Server) -> None:
    """Verify ends with 14 for a bad byte and with 3 for what is missing; status ends with 3 for no snapshot."""
    config = str(server.write_configuration())
    assert command("status", "--config", config).returncode == 3
    assert command("backup", "--config", config).returncode == 0
    assert command("status", "--config", config).returncode == 0
    (file,) = server.repository.layout.objects.rglob("*.gpg")
    good = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(good[:-1] + b"x")
    finished = command("verify", "--config", config)
    assert finished.returncode == 14
    assert file.stem in finished.stdout
    file.unlink()
    assert command("verify", "--config", config).returncode == 3
    assert command("verify", "--repository", str(server.path)).returncode == 0  # it may still be on its way there


def test_the_first_backup_warns_of_nothing(server: Server) -> None:
    """Before any vault was paired there is no Syncthing, which is a note and no warning."""
    finished = command("backup", "--config", str(server.write_configuration()))
    assert finished.returncode == 0
    assert "no vault is paired yet" in finished.stderr
    assert "warning" not in finished.stderr


def test_fingerprints_for_people_and_programs(server: Server) -> None:
    """People get fingerprints in groups of four, and may type them in small letters; JSON has them plain."""
    fingerprint = server.repository.fingerprint
    typed = " ".join(re.findall(".{4}", fingerprint)).lower()
    words = ("verify", "--repository", str(server.path), "--fingerprint", typed)
    finished = command(*words)
    assert finished.returncode == 0, finished.stderr
    assert f"signed by {typed.upper()} (the one given)" in finished.stdout
    assert json_of(*words)["fingerprint"] == fingerprint


def test_what_init_says_last(tmp_path: Path) -> None:
    """After the sheet, init says what to do with it, also with its blank lines, and what comes next."""
    words = ("init", "--config", str(tmp_path / "etc/permafrost.toml"), "--database", "postgresql:///nowhere")
    places = ("--repository", str(tmp_path / "repository"), "--state", str(tmp_path / "state"))
    finished = subprocess.run(
        [sys.executable, "-m", "permafrost", *words, *places],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    *_, printing, blanks, following = finished.stdout.splitlines()
    assert "print" in printing
    assert "recovery-sheet.txt" in printing
    assert "blank lines" in blanks
    assert "permafrost config check" in following


def test_configuration_by_environment(server: Server) -> None:
    """$PERMAFROST_CONFIG names the configuration where --config does not."""
    environment = {"PERMAFROST_CONFIG": str(server.write_configuration())}
    assert command("snapshots", environment=environment).returncode == 0


def test_backup_waits_for_no_vault(server: Server) -> None:
    """--wait without a paired vault is a replication error, 17, that says how to pair one; the snapshot stays."""
    config = str(server.write_configuration())
    finished = command("backup", "--wait", "--config", config)
    assert finished.returncode == 17
    assert "permafrost vault invite" in finished.stderr
    assert len(json_of("snapshots", "--config", config)["snapshots"]) == 1
