"""A database on a server that summarizes its WAL, and runs of the log on it that scan only changed blocks."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import psycopg

from permafrost.postgres.programs.scratch import ScratchCluster, StopMode
from tests.fixtures.replication import wait_until
from tests.segments.logged_runs import LoggedRuns

ROWS = "INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series({}, {}) i"


class History:
    """A database, sessions in it, and runs of the log."""

    def __init__(self, cluster: ScratchCluster, state_file: Path, stack: ExitStack) -> None:
        self.cluster = cluster
        self._sessions: list[psycopg.Connection] = []
        stack.callback(self.leave)
        self.enter()
        self.session.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int, text text)")
        self.session.execute(ROWS.format(1, 400))
        self.runs = LoggedRuns(cluster.conninfo("blocks"), state_file, scans_changed=True)
        stack.callback(self.runs.close)

    def connect(self) -> psycopg.Connection:
        """Return a session of its own."""
        self._sessions.append(psycopg.connect(self.cluster.conninfo("blocks"), autocommit=True))
        return self._sessions[-1]

    def enter(self) -> None:
        """Have a session."""
        self.session = self.connect()

    def leave(self) -> None:
        """End every session."""
        while self._sessions:
            self._sessions.pop().close()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server this way, start it, and have a session again."""
        self.leave()
        self.cluster.restart(mode)
        self.enter()

    def settle(self) -> None:
        """Run until the next run knows where to begin."""
        self.runs.run()
        self.session.execute("UPDATE t SET text = 'early' WHERE id = 1")
        outcome = self.runs.run()
        assert outcome.scope.files is not None, outcome.scope.reason
        assert not outcome.wrong


def wait_for_snapshots_to_end(history: History) -> None:
    """Return once no other session sees what was: VACUUM must be able to remove the rows of a run that has ended."""
    holders = "SELECT pid FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
    wait_until(lambda: not history.session.execute(holders).fetchall(), "the snapshots of ended runs")
