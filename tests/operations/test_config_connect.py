"""permafrost config check --connect on a server that could list the blocks that have changed."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import make_conninfo

from permafrost.events import Event, Note
from permafrost.operations.config_connect import try_connections
from permafrost.postgres.programs.scratch import ScratchCluster
from tests.fixtures.replication import ask, wait_until
from tests.fixtures.server import MakeServer


def test_what_summaries_lack(newer_cluster: ScratchCluster, newer_database: str, make_server: MakeServer) -> None:
    """Each of the two lines that are missing is said, one after the other, and neither is a problem."""
    events: list[Event] = []
    server = make_server()

    def said(role: str) -> list[str]:
        events.clear()
        url = make_conninfo(newer_database, user=role)
        database = server.configuration.database.model_copy(update={"url": url, "engine": "log"})
        configuration = server.configuration.model_copy(update={"database": database})
        assert try_connections(configuration, events.append) == []
        return [event.message for event in events if isinstance(event, Note)]

    with psycopg.connect(newer_cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE looker LOGIN; CREATE ROLE keeper LOGIN; GRANT pg_checkpoint TO keeper")
        try:
            assert "ALTER SYSTEM SET summarize_wal = on" in said("looker")[0]
            connection.execute("ALTER SYSTEM SET summarize_wal = on")
            connection.execute("SELECT pg_reload_conf()")
            wait_until(lambda: ask(newer_cluster, "SHOW summarize_wal") == "on", "the setting")
            assert "GRANT pg_checkpoint TO looker" in said("looker")[0]
            assert said("keeper") == []
        finally:
            connection.execute("ALTER SYSTEM RESET summarize_wal")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP ROLE looker; DROP ROLE keeper")
