"""The model test: whatever happens to tables on a real server, the log gives exactly the snapshot's rows.

Random inserts, updates, deletes, savepoints rolled back, transactions left open across runs, truncates, ALTER TABLE
of every common kind, VACUUM in all its forms, CLUSTER, REINDEX, crashes of the server with synchronous_commit off,
enums relabelled, partitions attached and detached, runs that die before their state is committed. After each run
the rows rebuilt from what was stored equal the rows that the run's own snapshot sees.

`pytest tests/segments/test_model.py --model-examples 5000` tries harder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from permafrost.postgres.programs.scratch import ScratchCluster
from tests.segments.logged_runs import CrashError, LoggedRuns, RunOutcome, use_small_segments

TABLES = ("plain", "wide", "moody", "part_one", "part_two")
SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE plain (id int PRIMARY KEY, text text, extra int DEFAULT 7);
CREATE TABLE wide (id int PRIMARY KEY, text text, twice int GENERATED ALWAYS AS (id * 2) STORED) WITH (fillfactor = 60);
CREATE TABLE moody (id int PRIMARY KEY, text text, mood mood DEFAULT 'ok', moods mood[] DEFAULT '{sad,happy}');
CREATE TABLE parted (id int, text text) PARTITION BY RANGE (id);
CREATE TABLE part_one PARTITION OF parted FOR VALUES FROM (0) TO (500);
CREATE TABLE part_two (id int, text text);
CREATE INDEX wide_text ON wide (text);
"""
ALTERATIONS = (
    "ALTER TABLE {0} ADD COLUMN added_{1} int DEFAULT {1}",
    "ALTER TABLE {0} ADD COLUMN added_{1} text",
    "ALTER TABLE {0} ALTER COLUMN text TYPE varchar(2000)",
    'ALTER TABLE {0} ALTER COLUMN text TYPE text COLLATE "C"',
    "ALTER TABLE {0} ALTER COLUMN id TYPE bigint",
    "ALTER TABLE {0} ALTER COLUMN id TYPE int",
    "ALTER TABLE {0} DROP COLUMN IF EXISTS extra",
    "ALTER TABLE {0} RENAME COLUMN text TO text_{1}",
    "ALTER TABLE {0} ALTER COLUMN text SET STORAGE EXTERNAL",
    "ALTER TABLE {0} SET UNLOGGED",
    "ALTER TABLE {0} SET LOGGED",
    "ALTER TABLE {0} SET (fillfactor = 50)",
    "ALTER TABLE {0} CLUSTER ON {0}_pkey",
    "CLUSTER {0} USING {0}_pkey",
    "VACUUM {0}",
    "VACUUM FREEZE {0}",
    "VACUUM FULL {0}",
    "VACUUM (INDEX_CLEANUP ON, TRUNCATE ON) {0}",
    "REINDEX TABLE {0}",
    "ANALYZE {0}",
    "TRUNCATE {0}",
)
KINDS = (
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
    "ALTER TYPE mood RENAME VALUE 'fine' TO 'ok'",
    "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'meh' BEFORE 'happy'",
    "ALTER TABLE parted ATTACH PARTITION part_two FOR VALUES FROM (500) TO (2000)",
    "ALTER TABLE parted DETACH PARTITION part_two",
    "ALTER TABLE parted DETACH PARTITION part_one",
    "ALTER TABLE parted ATTACH PARTITION part_one FOR VALUES FROM (0) TO (500)",
    "ALTER TABLE plain RENAME TO plain_renamed",
    "ALTER TABLE plain_renamed RENAME TO plain",
    "DROP TABLE part_two",
    "CREATE TABLE part_two (id int, text text)",
    "CREATE TABLE plain (id int PRIMARY KEY, text text, extra int)",
)


class LoggedDatabase(RuleBasedStateMachine):
    """Things that happen to a database between runs, and runs."""

    cluster: ClassVar[ScratchCluster]
    folder: ClassVar[Path]
    scans_changed: ClassVar[bool] = False

    @initialize()
    def make(self) -> None:
        """Start with the tables, empty, and a state that knows nothing."""
        self.conninfo = self.cluster.conninfo("model")
        self.connection = psycopg.connect(self.conninfo, autocommit=True)
        self.connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET lock_timeout = '20ms'")
        self.connection.execute(SCHEMA)
        self.open: psycopg.Connection | None = None
        for table in TABLES:
            self.insert_rows(table, 0, 400, 100)
        state_file = Path(tempfile.mkdtemp(dir=self.folder)) / "state"
        self.runs = LoggedRuns(self.conninfo, state_file, scans_changed=self.scans_changed)
        self.outcomes: list[RunOutcome] = []
        self.run_now()

    def teardown(self) -> None:
        """Run once more, and close what is open."""
        if hasattr(self, "runs"):
            self.run_now()
            self.connection.close()
            self.runs.close()
            if self.open is not None:
                self.open.close()

    def try_to(self, statement: str, connection: psycopg.Connection | None = None) -> None:
        """Do something that may be refused: a table that is not there, a lock that somebody holds, a full key."""
        try:
            (connection or self.connection).execute(statement)
        except psycopg.Error as error:
            note(f"refused: {statement}: {type(error).__name__}")
            if connection is not None:
                connection.execute("ROLLBACK")
                connection.close()
                self.open = None

    @rule(
        table=st.sampled_from(TABLES), start=st.integers(0, 1500), count=st.integers(1, 120), width=st.integers(0, 900)
    )
    def insert(self, table: str, start: int, count: int, width: int) -> None:
        """Insert some rows, all or none."""
        self.insert_rows(table, start, count, width)

    def insert_rows(self, table: str, start: int, count: int, width: int) -> None:
        """Insert rows with these ids, of about this width, each with what needs to be escaped."""
        self.try_to(
            f"INSERT INTO {table} (id, text) SELECT i, repeat(chr(65 + i % 26), {width}) || E'\\n\\t\\\\' || i "
            f"FROM generate_series({start}, {start + count - 1}) i"
        )

    @rule(table=st.sampled_from(TABLES), modulus=st.integers(1, 40), times=st.integers(1, 3))
    def update(self, table: str, modulus: int, times: int) -> None:
        """Update every so many-th row, some several times."""
        for _ in range(times):
            self.try_to(f"UPDATE {table} SET text = left(text || random()::text, 900) WHERE id % {modulus} = 0")

    @rule(table=st.sampled_from(TABLES), modulus=st.integers(1, 12))
    def delete(self, table: str, modulus: int) -> None:
        """Delete every so many-th row."""
        self.try_to(f"DELETE FROM {table} WHERE id % {modulus} = 0")

    @rule(table=st.sampled_from(TABLES), modulus=st.integers(2, 9))
    def roll_back_a_part(self, table: str, modulus: int) -> None:
        """Change rows in a transaction, roll a savepoint back, change them again, commit."""
        self.try_to(
            f"DO $$ BEGIN UPDATE {table} SET text = 'kept' WHERE id % {modulus} = 1; BEGIN "
            f"UPDATE {table} SET text = 'lost' WHERE id % {modulus} = 0; DELETE FROM {table} WHERE id % {modulus} = 1; "
            f"RAISE EXCEPTION 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END; "
            f"UPDATE {table} SET text = 'again' WHERE id % {modulus} = 0; END $$"
        )

    @rule(table=st.sampled_from(TABLES), modulus=st.integers(2, 9))
    def change_in_an_open_transaction(self, table: str, modulus: int) -> None:
        """Change rows in a transaction that stays open across runs."""
        if self.open is None:
            self.open = psycopg.connect(self.conninfo, autocommit=True)
            self.open.execute("SET lock_timeout = '20ms'; SET statement_timeout = '1s'")
            self.open.execute("BEGIN")
        self.try_to(f"UPDATE {table} SET text = 'open' WHERE id % {modulus} = 0", self.open)

    @rule(end=st.sampled_from(("COMMIT", "ROLLBACK")))
    def end_the_open_transaction(self, end: str) -> None:
        """End it, one way or the other."""
        if self.open is not None:
            self.open.execute(end)
            self.open.close()
            self.open = None

    @rule(statement=st.sampled_from(ALTERATIONS), table=st.sampled_from(TABLES), number=st.integers(0, 3))
    def alter(self, statement: str, table: str, number: int) -> None:
        """Do something to a whole table."""
        self.try_to(statement.format(table, number))

    @rule(table=st.sampled_from(TABLES), how=st.sampled_from(("VACUUM FULL {0}", "CLUSTER {0} USING {0}_pkey")))
    def move_rows(self, table: str, how: str) -> None:
        """Make gaps, see them, and move the rows that are left: same transaction, same place, another row."""
        self.try_to(f"DELETE FROM {table} WHERE id % 17 = 3")
        self.run_now()
        self.try_to(how.format(table))
        self.run_now()

    @rule(table=st.sampled_from(TABLES))
    def use_places_again(self, table: str) -> None:
        """Free places, and put other rows there before the next run: same place, another transaction."""
        self.try_to(f"DELETE FROM {table} WHERE id % 11 = 5")
        self.try_to(f"VACUUM {table}")
        self.insert_rows(table, 5000, 40, 100)
        self.run_now()

    @rule(statement=st.sampled_from(KINDS))
    def change_kinds(self, statement: str) -> None:
        """Do something to types, partitions and names."""
        self.try_to(statement)

    @rule(dice=st.integers(0, 9), commits=st.booleans(), table=st.sampled_from(TABLES))
    def crash_the_server(self, dice: int, commits: bool, table: str) -> None:
        """Commit without waiting for the disk, and crash the server; what a run has seen must survive or be noticed.

        One time in ten, since a restart takes as long as everything else together.
        """
        if dice != 7:
            return
        self.connection.execute("SET synchronous_commit = off")
        if commits:
            self.try_to(f"INSERT INTO {table} (id, text) SELECT i, 'late' FROM generate_series(3000, 3010) i")
            self.run_now()
        self.try_to(f"UPDATE {table} SET text = 'later' WHERE id % 3 = 0")
        self.connection.close()
        if self.open is not None:
            self.open.close()
            self.open = None
        self.cluster.stop("immediate")
        self.cluster.start()
        self.connection = psycopg.connect(self.conninfo, autocommit=True)
        self.connection.execute("SET lock_timeout = '20ms'")

    @rule()
    def run_that_dies(self) -> None:
        """A run stores everything and dies before its state is committed."""
        with pytest.raises(CrashError):
            self.run_now(dies=True)

    @rule()
    def run_that_succeeds(self) -> None:
        """A run."""
        self.run_now()

    @rule(table=st.sampled_from(TABLES), part=st.integers(0, 3))
    def small_change_and_run(self, table: str, part: int) -> None:
        """What most hours are: a few rows changed, a few gone, a few new, and a run."""
        self.try_to(f"UPDATE {table} SET text = 'small' WHERE id % 40 = {part}")
        self.try_to(f"DELETE FROM {table} WHERE id % 97 = {part}")
        self.insert_rows(table, 4000 + part * 50, 3, 40)
        self.run_now()

    def run_now(self, *, dies: bool = False) -> None:
        """Run the log as a backup does; what it stored is what its own snapshot sees."""
        outcome = self.runs.run(dies=dies)
        assert not outcome.wrong
        self.outcomes.append(outcome)


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few pages, and early merges of deltas."""
    use_small_segments(monkeypatch)


@pytest.fixture(scope="module")
def crashing_cluster(server_folder: Path) -> Iterator[ScratchCluster]:
    """A server of the test's own, to crash. Its WAL writer is slow enough for a crash to lose commits."""
    slow = {"wal_writer_delay": "10ms", "autovacuum": "off", "commit_delay": "0"}
    with ScratchCluster(server_folder / "model", settings=slow) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE model")
        yield cluster


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("small_segments")
def test_model(crashing_cluster: ScratchCluster, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Whatever happens between runs, each run's stored rows are its snapshot's rows."""
    LoggedDatabase.cluster = crashing_cluster
    LoggedDatabase.folder = tmp_path
    run_state_machine_as_test(
        LoggedDatabase,
        settings=settings(
            max_examples=request.config.getoption("--model-examples"),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
