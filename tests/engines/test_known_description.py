"""What is remembered of a database's description, as long as its catalog is the same."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
from psycopg.conninfo import make_conninfo

from permafrost.engines.known_description import KnownDescription, fact_of
from permafrost.postgres.catalog import describe_database
from permafrost.postgres.connection import connected
from permafrost.postgres.left_out import NOTHING, LeftOut
from permafrost.postgres.programs.scratch import ScratchCluster

ROLES = ("described_owner", "described_group", "described_other")
EXCLUDED = LeftOut.named(["elsewhere"], ["public.secret"])


def test_it_is_the_same_again(cluster: ScratchCluster, database: str) -> None:
    """Through JSON and back it is what the catalog says, with roles, grants, settings, and code of others."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin, connected(database) as connection:
        for role in ROLES:
            admin.execute(f"CREATE ROLE {role}")
        try:
            for statement in (
                "CREATE EXTENSION pg_trgm",
                "GRANT described_group TO described_owner WITH ADMIN OPTION",
                "ALTER ROLE described_owner SET work_mem = '5MB'",
                "CREATE TABLE public.owned (n int); ALTER TABLE public.owned OWNER TO described_owner",
                "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
                "ALTER FUNCTION public.f() OWNER TO described_other",
                "CREATE TRIGGER t BEFORE INSERT ON public.owned FOR EACH ROW EXECUTE FUNCTION public.f()",
                f"""DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {ROLES[0]}', current_database());
                EXECUTE format('ALTER DATABASE %I SET work_mem = ''6MB''', current_database()); END $$""",
            ):
                connection.execute(statement)
            said = describe_database(connection, EXCLUDED.schemas, EXCLUDED.tables)
            assert said.foreign_code
            assert said.groups
            assert said.grants
            assert said.settings
            fact = json.loads(json.dumps(fact_of("a mark", replace(said, size_bytes=1), EXCLUDED, connection)))
            known = KnownDescription.of(fact, EXCLUDED, connection)
            assert known is not None
            assert (known.mark, known.now(connection)) == ("a mark", said)
        finally:
            connection.execute("DROP OWNED BY described_owner, described_other CASCADE")
            for role in ROLES:
                admin.execute(f"DROP ROLE {role}")


def test_what_is_not_believed(cluster: ScratchCluster, database: str) -> None:
    """Nothing is remembered without a mark; not what another version wrote, of permafrost or of the server, nor what
    another role read, nor of a run that left out other things."""
    with connected(database) as connection:
        said = describe_database(connection)
        assert fact_of(None, said, NOTHING, connection) is None
        fact = fact_of("a mark", said, NOTHING, connection)
        assert fact is not None
        assert KnownDescription.of(fact, NOTHING, connection) is not None
        assert KnownDescription.of(None, NOTHING, connection) is None
        assert KnownDescription.of(fact, EXCLUDED, connection) is None
        for other in ({"version": "0.0.1"}, {"server_version": 150001}):
            assert KnownDescription.of({**fact, "read": {**fact["read"], **other}}, NOTHING, connection) is None
        assert KnownDescription.of({**fact, "facts": {"name": said.name}}, NOTHING, connection) is None
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE described_reader LOGIN")
        try:
            with connected(make_conninfo(database, user="described_reader")) as connection:
                assert KnownDescription.of(fact, NOTHING, connection) is None
        finally:
            admin.execute("DROP ROLE described_reader")
