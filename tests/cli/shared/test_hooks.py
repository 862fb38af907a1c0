"""Commands before and after jobs, as real programs around real commands."""

from __future__ import annotations

import json
import os
import tracemalloc
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from permafrost.cli.shared.hooks import hooked
from permafrost.config.loading import load_configuration
from permafrost.events import ignore_events
from permafrost.repository.lock import repository_lock
from samples.environment import environment_file
from tests.fixtures.backups import make_backup
from tests.fixtures.commands import command
from tests.fixtures.server import MakeServer, Server


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server whose database is away."""
    made = make_server("postgresql:///nowhere?host=/nonexistent")
    made.configuration.state.path.mkdir()
    return made


def hook(when: str, *words: str, rest: str = "") -> str:
    """Return a hook for all jobs as it is written in a configuration."""
    jobs = '["backup", "audit", "drill", "prune"]'
    return f'[[hooks]]\nwhen = "{when}"\njobs = {jobs}\ncommand = {json.dumps(words)}\n{rest}\n'


def keeping(log: Path) -> tuple[str, ...]:
    """Return the words of a command that keeps what it gets on stdin, and its environment beside it."""
    return ("sh", "-c", 'cat >> "$1"; env > "$1.env"', "hook", str(log))


def configured(server: Server, *hooks: str) -> str:
    """Write the configuration with these hooks, and return its file."""
    file = server.write_configuration()
    file.write_text("\n".join([file.read_text(), *hooks]))
    return str(file)


def said(log: Path) -> list[dict[str, Any]]:
    """Return what hooks have got."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_job_that_is_done(server: Server, tmp_path: Path) -> None:
    """Hooks before and after a job get what it is and what it came to, without secrets; a dry run has none."""
    log = tmp_path / "log"
    file = configured(server, *(hook(when, *keeping(log)) for when in ("before", "after", "on-failure")))
    assert command("prune", "--dry-run", "--config", file).returncode == 0
    assert said(log) == []
    assert command("prune", "--config", file, environment={"PGPASSWORD": "secret"}).returncode == 0
    before, after = said(log)
    assert (before["when"], before["job"], before["server"]) == ("before", "prune", "mastodon")
    assert (after["when"], after["outcome"], after["result"]["removed"]) == ("after", "done", [])
    assert "PGPASSWORD" not in (tmp_path / "log.env").read_text()


def test_a_job_that_fails(server: Server, tmp_path: Path) -> None:
    """After a failure its hooks get the error; a hook that fails then changes nothing of the job's exit code."""
    log = tmp_path / "log"
    file = configured(
        server, hook("after", *keeping(log)), hook("on-failure", "false"), hook("on-failure", *keeping(log))
    )
    failed = command("backup", "--config", file)
    assert failed.returncode == 16
    assert "the hook false (on-failure) failed" in failed.stderr
    assert [(one["when"], one["job"], one["error"]["exit_code"]) for one in said(log)] == [
        ("on-failure", "backup", 16),
        ("after", "backup", 16),
    ]


@pytest.mark.parametrize(
    ("words", "rest", "complaint"),
    [
        (("sh", "-c", "echo not mounted >&2; exit 4"), "", "sh failed with exit code 4: not mounted"),
        (("sleep", "60"), "timeout_s = 1", "sleep did not finish within 1 s"),
        (("/nowhere/check",), "", "the program /nowhere/check is not on PATH"),
    ],
)
def test_a_hook_refuses_a_job(
    server: Server, tmp_path: Path, words: tuple[str, ...], rest: str, complaint: str
) -> None:
    """A hook that fails, hangs or is missing refuses the job before it begins, and what runs after it still runs."""
    log = tmp_path / "log"
    refusing = hook("before", *words, rest=rest)
    file = configured(server, refusing, hook("before", *keeping(log)), hook("after", *keeping(log)))
    refused = command("backup", "--audit", "--config", file)
    assert refused.returncode == 15
    assert f"a hook before the audit refused it: {complaint}" in refused.stderr
    assert "the audit was not begun" in refused.stderr
    assert [one["when"] for one in said(log)] == ["after"]


def test_another_run_at_work(server: Server, tmp_path: Path) -> None:
    """A run that finds the repository locked runs no hooks: they would undo what those of the other run have done."""
    log = tmp_path / "log"
    file = configured(server, *(hook(when, *keeping(log)) for when in ("before", "after", "on-failure")))
    with repository_lock(server.repository.layout, "backup", datetime.now(UTC)):
        locked = command("prune", "--config", file)
    assert locked.returncode == 11
    assert "another run holds the repository: backup" in locked.stderr
    assert said(log) == []


@pytest.mark.parametrize("meanwhile", ["a run with hooks", "a run without hooks"])
def test_a_run_that_begins_while_a_hook_runs(server: Server, tmp_path: Path, meanwhile: str) -> None:
    """While a hook runs before a job, another run with hooks is turned away; for one without, the job gives way, and
    what its hook has stopped is started again."""
    log, gate = tmp_path / "log", tmp_path / "gate"
    os.mkfifo(gate)
    waiting = ("sh", "-c", 'echo began > "$1"; read -r _ < "$1"', "hook", str(gate))
    file = configured(
        server, hook("before", *waiting), *(hook(when, *keeping(log)) for when in ("after", "on-failure"))
    )
    with ThreadPoolExecutor() as pool:
        first: Future[CompletedProcess[str]] = pool.submit(command, "prune", "--config", file)
        assert gate.read_text() == "began\n"
        is_plain = meanwhile == "a run without hooks"
        with repository_lock(server.repository.layout, "rekey", datetime.now(UTC)) if is_plain else nullcontext():
            second = None if is_plain else command("prune", "--config", file)
            gate.write_text("go on\n")
            finished = first.result(60)
    if second is not None:
        assert (second.returncode, finished.returncode) == (11, 0)
        assert "another run is at work between its hooks: prune" in second.stderr
        assert [(one["when"], one["outcome"]) for one in said(log)] == [("after", "done")]
    else:
        assert finished.returncode == 11
        assert [(one["when"], one["outcome"]) for one in said(log)] == [("after", "locked")]
        assert said(log)[0]["error"]["exit_code"] == 11


def test_a_drill_with_findings(mastodon_database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """A drill with findings (exit code 3) is no success for hooks: those on failure run, and get what it found."""
    log, secret = tmp_path / "log", tmp_path / ".env.production"
    secret.touch(mode=0o600)
    secret.write_text(environment_file("other.example", "mastodon_production", Path("/run/postgresql"), 5432))
    server = make_server(mastodon_database, engine="log", secret_files=(secret,))
    make_backup(server)
    file = configured(server, *(hook(when, *keeping(log)) for when in ("before", "after", "on-failure")))
    drilled = command("drill", "--config", file)
    assert drilled.returncode == 3, drilled.stderr
    begun, failure, after = said(log)
    assert (begun["when"], "outcome" in begun) == ("before", False)
    assert [(one["when"], one["outcome"]) for one in (failure, after)] == [
        ("on-failure", "findings"),
        ("after", "findings"),
    ]
    assert failure["result"]["verdict"] == "findings"


def test_a_hook_that_prints_without_end(server: Server) -> None:
    """What a hook prints takes none of the job's memory, however much it is."""
    file = configured(server, hook("before", "head", "--bytes=100MB", "/dev/zero"))
    configuration = load_configuration(Path(file))
    tracemalloc.start()
    try:
        with hooked(configuration, "backup", ignore_events):
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000_000
