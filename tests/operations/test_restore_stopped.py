"""A restore that is stopped leaves the living database as it was, and nothing of its own, at whatever step."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from permafrost.errors import InterruptedRunError
from permafrost.events import Event, Reporter, StepStarted
from permafrost.postgres.connection import conninfo_for
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.restores import NAME, databases
from tests.fixtures.server import MakeServer, Server


@pytest.fixture
def server(mastodon_database: str, make_server: MakeServer) -> Iterator[Server]:
    """A server with a log snapshot, and a living database under the name that is restored to."""
    made = make_server(mastodon_database, engine="log")
    make_backup(made)
    make_restore(made, NAME)
    yield made
    for name in databases(mastodon_database):
        if name.startswith(NAME):
            drop(mastodon_database, name)


def stop_at(step: str) -> tuple[list[str], Reporter]:
    """Return a list that fills with titles of steps, and a reporter that stops the run at the one given."""
    titles: list[str] = []

    def report(event: Event) -> None:
        if isinstance(event, StepStarted):
            titles.append(event.title)
            if event.title == step:
                raise InterruptedRunError(signal.SIGINT)

    return titles, report


def test_stopped_at_every_step(server: Server) -> None:
    """Whatever the step, the error says that the living database is as it was, and it is; nothing else is left."""
    url = server.configuration.database.url
    titles, report = stop_at("")
    make_restore(server, NAME, replaces=True, report=report)
    drop(url, NAME)
    with psycopg.connect(conninfo_for(url, dbname="postgres"), autocommit=True) as connection:
        kept = next(name for name in databases(url) if name.startswith(f"{NAME}_before"))
        connection.execute(f'ALTER DATABASE "{kept}" RENAME TO {NAME}')
    before, names = contents_of(conninfo_for(url, dbname=NAME)), databases(url)
    assert len(titles) == 12
    for title in titles:
        with pytest.raises(InterruptedRunError) as caught:
            make_restore(server, NAME, replaces=True, report=stop_at(title)[1])
        assert f"the database {NAME};" in caught.value.unchanged or "everything" in caught.value.unchanged, title
        assert databases(url) == names, title
    assert contents_of(conninfo_for(url, dbname=NAME)) == before


@pytest.mark.parametrize("step", [5, 7])
def test_ctrl_c_while_workers_work(server: Server, step: int) -> None:
    """Ctrl-C while rows are loaded or indexes built ends at once with 130, and says what is as it was."""
    url = server.configuration.database.url
    before = databases(url)
    words = (
        "restore",
        "latest",
        f"--config={server.write_configuration()}",
        f"--database={NAME}",
        "--replace",
        "--json",
    )
    with subprocess.Popen(
        (sys.executable, "-m", "permafrost", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line).get("number") == step:
                process.send_signal(signal.SIGINT)
                break
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(said)["error"]["unchanged"].startswith(f"the database {NAME};")
    assert databases(url) == before
