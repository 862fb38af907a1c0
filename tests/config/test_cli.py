from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from permafrost.cli.config import config
from permafrost.cli.init import init
from permafrost.config.loading import load_configuration

BAD = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAA"
"""A device id whose last check letter is wrong."""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Commands set signal handlers; the test run's own come back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def call(command: click.Command, *words: str | Path) -> Result:
    """Run a command with its words, as from a shell."""
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The configuration file of a fresh init."""
    file = tmp_path / "etc/permafrost.toml"
    result = call(
        init,
        *("--config", file, "--database", "dbname=mastodon", "--repository", tmp_path / "var/repository"),
        *("--state", tmp_path / "var/state", "--json"),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["config"] == str(file)
    assert (tmp_path / "etc/passphrase").read_text().strip() not in result.output
    return file


def test_init_prints_no_sheet_where_nobody_looks_and_refuses_the_second_time(tmp_path: Path) -> None:
    """What is no terminal, like the journal, gets the sheet's place only; the second time the exit code is 10."""
    words = ("--config", tmp_path / "p.toml", "--database", "dbname=m", "--repository", tmp_path / "r")
    result = call(init, *words, "--state", tmp_path / "s/state")
    assert result.exit_code == 0
    assert (tmp_path / "passphrase").read_text().strip() not in result.output
    assert str(tmp_path / "recovery-sheet.txt") in result.stdout
    again = call(init, *words, "--state", tmp_path / "s/state")
    assert again.exit_code == 10
    assert "permafrost: error: already exists:" in again.stderr
    assert "permafrost: hint:" in again.stderr


def test_init_prints_the_sheet_on_a_terminal(tmp_path: Path) -> None:
    """Somebody who looks sees the recovery sheet, with the passphrase."""
    words = ("--config", tmp_path / "p.toml", "--database", "dbname=m", "--repository", tmp_path / "r")
    leader, follower = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "permafrost", "init", *map(str, words), "--state", str(tmp_path / "state")],
        stdout=follower,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    os.close(follower)
    assert ended.returncode == 0
    printed = b""
    with suppress(OSError):  # EIO: the last writer has closed it
        while piece := os.read(leader, 65536):
            printed += piece
    os.close(leader)
    assert (tmp_path / "recovery-sheet.txt").read_text() in printed.decode().replace("\r\n", "\n")


def test_init_completes_an_existing_configuration(made: Path) -> None:
    """With nothing but the configuration, it makes what is missing, without a word of the passphrase; then nothing."""
    assert call(init, "--config", made).output == ""
    for path in (made.with_name("passphrase"), made.with_name("recovery-sheet.txt")):
        path.unlink()
    made.with_name("gnupg").rename(made.with_name("old-gnupg"))
    (made.parent.parent / "var/repository").rename(made.parent.parent / "old")
    lines = [line for line in made.read_text().splitlines() if not line.startswith("fingerprint")]
    made.write_text("\n".join(lines))
    result = call(init, "--config", made)
    assert result.exit_code == 0, result.output
    assert [line.rpartition("/")[2] for line in result.stdout.splitlines()] == [
        "gnupg",
        "passphrase",
        "recovery-sheet.txt",
        "repository",
    ]
    assert made.with_name("passphrase").read_text().strip() not in result.output
    assert "recovery-sheet.txt, keep it away from this machine" in result.stderr
    assert call(init, "--config", made).output == ""
    assert call(init, "--config", made, "--name", "other").exit_code != 0


def test_check_accepts_what_init_made(made: Path) -> None:
    """A fresh configuration has no problems, in words and as JSON."""
    result = call(config, "check", "--config", made)
    assert (result.exit_code, result.stdout) == (0, f"{made}: no problems\n")
    as_json = call(config, "check", "--config", made, "--json")
    assert json.loads(as_json.stdout) == {"config": str(made), "problems": []}


def test_check_lists_problems_of_the_file(made: Path) -> None:
    """Every problem is told with line and key, and the exit code is 10."""
    made.write_text(made.read_text().replace("jobs = 2", "jbos = 2").replace("last = 6", "last = -1"))
    result = call(config, "check", "--config", made, "--json")
    assert result.exit_code == 10
    problems = json.loads(result.stdout)["problems"]
    assert [problem["key"] for problem in problems] == ["database.jbos", "retention.last"]
    lines = made.read_text().splitlines()
    assert [lines[problem["line"] - 1] for problem in problems] == ["jbos = 2", "last = -1"]


def test_check_looks_at_the_files(made: Path) -> None:
    """A passphrase that others can read is told with the line that names its file."""
    made.with_name("passphrase").chmod(0o644)
    result = call(config, "check", "--config", made)
    assert result.exit_code == 10
    line = made.read_text().splitlines().index(f'passphrase_file = "{made.with_name("passphrase")}"') + 1
    assert f"{made}, line {line}: encryption.passphrase_file: " in result.stdout
    assert f"{made}: 1 problem\n" in result.stdout


def test_check_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file is an error with exit code 10; $PERMAFROST_CONFIG names the file if --config does not."""
    monkeypatch.setenv("PERMAFROST_CONFIG", str(tmp_path / "none.toml"))
    result = call(config, "check", "--json")
    assert result.exit_code == 10
    assert "none.toml" in json.loads(result.stdout)["error"]["message"]


def test_show_gives_the_whole_configuration(made: Path, tmp_path: Path) -> None:
    """What show prints loads as the same configuration, and as JSON has the same sections."""
    shown = tmp_path / "shown.toml"
    shown.write_text(call(config, "show", "--config", made).stdout)
    assert load_configuration(shown) == load_configuration(made)
    as_json = json.loads(call(config, "show", "--config", made, "--json").stdout)
    assert as_json["retention"]["hourly"] == 24


def test_schema_is_the_same_with_and_without_json() -> None:
    """The schema is JSON in both forms."""
    plain, as_json = call(config, "schema"), call(config, "schema", "--json")
    assert json.loads(plain.stdout) == json.loads(as_json.stdout)


def test_check_of_the_text_alone(made: Path) -> None:
    """--text-only passes a configuration whose files are on another machine, and still finds what is wrong in it."""
    made.with_name("passphrase").unlink()
    assert call(config, "check", "--config", made).exit_code == 10
    passed = call(config, "check", "--text-only", "--config", made)
    assert (passed.exit_code, passed.stdout) == (0, f"{made}: no problems\n")
    made.write_text(
        made.read_text().replace("jobs = 2", "jobs = 200") + f"\n[[vaults]]\nname = 'a'\ndevice_id = '{BAD}'"
    )
    result = call(config, "check", "--text-only", "--config", made, "--json")
    assert result.exit_code == 10
    assert [problem["key"] for problem in json.loads(result.stdout)["problems"]] == [
        "database.jobs",
        "vaults[0].device_id",
    ]
    assert call(config, "check", "--text-only", "--connect", "--config", made).exit_code == 2
