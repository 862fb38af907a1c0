"""The model test with only changed blocks scanned: whatever happens, each run's rows are its snapshot's rows.

On every PostgreSQL that can summarize its WAL. Besides what `test_model` does: transactions that stay open over several
runs, prepared ones, many savepoints, files cut by VACUUM and filled again in one checkpoint cycle, COPY FREEZE, row
locks, checkpoints, orderly restarts, summaries that are removed or were never written, and runs that check the rule.

`pytest tests/segments/test_changed_model.py --model-examples 500` tries harder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.segments.logged_runs import use_small_segments
from tests.segments.test_model import TABLES, LoggedDatabase

SETTINGS = {
    "autovacuum": "off",
    "wal_writer_delay": "10ms",
    "commit_delay": "0",
    "max_prepared_transactions": "10",
}


class SummarizedDatabase(LoggedDatabase):
    """Things that happen to a database on a server that summarizes its WAL, and runs that rely on it."""

    scans_changed = True
    scopes: ClassVar[dict[str, int]] = {}

    @initialize()
    def make(self) -> None:
        """Start with a server that summarizes its WAL."""
        with psycopg.connect(self.cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET summarize_wal = on")
            connection.execute("SELECT pg_reload_conf()")
        super().make()

    def teardown(self) -> None:
        """Leave nothing prepared, and count how the runs scanned."""
        if hasattr(self, "runs"):
            for outcome in self.outcomes:
                kind = "idle" if outcome.scope.is_idle else outcome.scope.reason or "changed"
                self.scopes[kind] = self.scopes.get(kind, 0) + 1
            for (name,) in self.connection.execute("SELECT gid FROM pg_prepared_xacts").fetchall():
                self.connection.execute(f"ROLLBACK PREPARED '{name}'")
        super().teardown()

    @rule(table=st.sampled_from(TABLES), modulus=st.integers(2, 9), name=st.integers(0, 2))
    def prepare(self, table: str, modulus: int, name: int) -> None:
        """Prepare a transaction, to be ended some runs later."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            for statement in (
                "SET lock_timeout = '20ms'",
                "BEGIN",
                f"UPDATE {table} SET text = 'prepared' WHERE id % {modulus} = 0",
                f"INSERT INTO {table} (id, text) SELECT i, 'prepared' FROM generate_series({name + 6000}, 6030, 3) i",
                f"PREPARE TRANSACTION 'p{name}'",
            ):
                try:
                    connection.execute(statement)
                except psycopg.Error:
                    return

    @rule(name=st.integers(0, 2), how=st.sampled_from(("COMMIT", "ROLLBACK")))
    def end_prepared(self, name: int, how: str) -> None:
        """End it."""
        self.try_to(f"{how} PREPARED 'p{name}'")

    @rule(table=st.sampled_from(TABLES), count=st.integers(1, 90))
    def many_savepoints(self, table: str, count: int) -> None:
        """Change rows in more subtransactions than a snapshot can list, each with a number of its own."""
        self.try_to(
            f"DO $$ BEGIN FOR n IN 1..{count} LOOP BEGIN UPDATE {table} SET text = 'sub ' || n WHERE id % 97 = n; "
            f"IF n % 3 = 0 THEN RAISE EXCEPTION 'undo'; END IF; "
            f"EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$"
        )

    @rule(table=st.sampled_from(TABLES), fills=st.booleans())
    def cut_the_file(self, table: str, fills: bool) -> None:
        """Delete the rows at the file's end, let VACUUM cut it, and perhaps fill it again."""
        self.try_to(f"DELETE FROM {table} WHERE ctid >= '(3,0)'::tid")
        self.try_to(f"VACUUM (TRUNCATE ON) {table}")
        if fills:
            self.insert_rows(table, 7000, 60, 300)

    @rule(table=st.sampled_from(TABLES))
    def truncate_and_copy_frozen(self, table: str) -> None:
        """Fill a table with rows that are frozen at once."""
        self.try_to(
            f"BEGIN; TRUNCATE {table}; COPY {table} (id, text) FROM PROGRAM "
            "'for n in 1 2 3 4 5; do echo $n,frozen; done' (FORMAT csv, FREEZE); COMMIT"
        )
        self.try_to("ROLLBACK")

    @rule(table=st.sampled_from(TABLES), strength=st.sampled_from(("UPDATE", "KEY SHARE")))
    def lock_rows(self, table: str, strength: str) -> None:
        """Lock rows, which leaves a transaction's number in them and changes nothing."""
        self.try_to(f"SELECT count(*) FROM (SELECT FROM {table} WHERE id % 5 = 1 FOR {strength}) l")

    @rule(table=st.sampled_from(TABLES), ids=st.lists(st.integers(0, 399), min_size=2, max_size=6))
    def change_a_row_between_runs(self, table: str, ids: list[int]) -> None:
        """Change single rows, each on some page, with a run after each: deltas merge that no look has in common."""
        for number in ids:
            self.try_to(f"UPDATE {table} SET text = 'one' WHERE id = {number}")
            self.run_now()

    @rule()
    def checkpoint(self) -> None:
        """A checkpoint comes by itself."""
        self.try_to("CHECKPOINT")

    @rule()
    def check_the_rule(self) -> None:
        """A run that scans everything, as one does each day, finds nothing that the list of changed blocks lacks."""
        outcome = self.runs.run(why_check="once a day")
        assert not outcome.wrong
        assert not outcome.overlooked
        self.outcomes.append(outcome)

    @rule(dice=st.integers(0, 9))
    def restart_the_server(self, dice: int) -> None:
        """Stop the server in an orderly way and start it, one time in ten, since that takes long."""
        if dice != 7:
            return
        self.connection.close()
        if self.open is not None:
            self.open.close()
            self.open = None
        self.cluster.restart()
        self.connection = psycopg.connect(self.conninfo, autocommit=True)
        self.connection.execute("SET lock_timeout = '20ms'")

    @rule(dice=st.integers(0, 5))
    def lose_summaries(self, dice: int) -> None:
        """Summaries are removed, or not written for a while."""
        if dice == 1:
            for file in (self.cluster.data_folder / "pg_wal" / "summaries").glob("*.summary"):
                file.unlink(missing_ok=True)
        else:
            self.try_to(f"ALTER SYSTEM SET summarize_wal = {'off' if dice == 2 else 'on'}")
            self.try_to("SELECT pg_reload_conf()")


@pytest.fixture(scope="module", params=NEWER_MAJORS)
def summarizing_cluster(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[ScratchCluster]:
    """A server of the test's own, to crash, that summarizes its WAL."""
    folder = server_folder / f"changed-{request.param}"
    with ScratchCluster(folder, binaries=binaries_or_skip(request.param), settings=SETTINGS) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE model")
            connection.execute("ALTER SYSTEM SET summarize_wal = on")  # not as an option, which could not be changed
            connection.execute("SELECT pg_reload_conf()")
        yield cluster


@pytest.mark.timeout(36_000)
def test_changed_model(
    summarizing_cluster: ScratchCluster,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever happens between runs that scan only changed blocks, each run's stored rows are its snapshot's rows."""
    use_small_segments(monkeypatch)
    SummarizedDatabase.cluster = summarizing_cluster
    SummarizedDatabase.folder = tmp_path
    SummarizedDatabase.scopes.clear()
    run_state_machine_as_test(
        SummarizedDatabase,
        settings=settings(
            max_examples=max(1, request.config.getoption("--model-examples") // 3),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert SummarizedDatabase.scopes["changed"] > 0
    print(SummarizedDatabase.scopes)  # noqa: T201 - how often each way was taken, with pytest -s
