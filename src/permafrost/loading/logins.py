"""Which role the rows of each table are loaded as, so that code in the snapshot gains no right by being restored.

COPY runs what a table has in checks, domains and generated columns with the rights of the session. (Building an index,
REFRESH and ANALYZE become the table's owner by themselves.) To SET ROLE to the owner would not do: that code can RESET
it. So in a throw-away server, which has the snapshot's roles, permafrost logs in as each table's owner.

Reading runs code as well: planning a query evaluates constant parts of the indexes' predicates. So rows are compared
and the database is examined as a role that may read, and nothing else.

Where the owner may not write to its table, rows are loaded as a role that may insert into such tables and nothing else.
On a server with roles of its own everything is loaded as the restoring role: it cannot log in as another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected, conninfo_for, database_errors

ROWS_ROLE = "permafrost_rows"
READER_ROLE = "permafrost_reader"
"""One without a right, and a member of pg_read_all_data alone; `loading/scratch_server.py` makes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Login:
    """The connection string to load some tables with (None: all), and the role's name ("": whoever restores).

    `owners` are those tables with their owners. A role that `can_empty` them may load their rows frozen.
    """

    conninfo: str
    role: str = ""
    owners: Mapping[TableName, str] = field(default_factory=dict)
    can_empty: bool = True

    @property
    def is_only(self) -> bool:
        """Whether it loads all tables."""
        return not self.role

    def loads(self, table: TableName) -> bool:
        """Return whether the table's rows are to be loaded with this login."""
        return self.is_only or table in self.owners


@contextmanager
def owner_logins(conninfo: str) -> Iterator[Sequence[Login]]:
    """Yield the logins that together load each table of the database, which has its definitions, exactly once.

    The first is the role that can do nothing else, and superusers come last. What that role may do it may do during
    the block.
    """
    by_role: dict[str, dict[TableName, str]] = {ROWS_ROLE: {}}
    with connected(conninfo) as connection:
        for table, owner, may_write in _owners(connection):
            by_role.setdefault(owner if may_write else ROWS_ROLE, {})[table] = owner
        with _granted(connection, by_role[ROWS_ROLE]):
            yield [
                Login(conninfo_for(conninfo, user=role), role, owners, can_empty=role != ROWS_ROLE)
                for role, owners in by_role.items()
            ]


@contextmanager
def _granted(connection: psycopg.Connection, tables: Iterable[TableName]) -> Iterator[None]:
    """Let `ROWS_ROLE` insert into the tables during the block; afterwards all grants are as they were."""
    role = sql.Identifier(ROWS_ROLE)
    schemas = sql.SQL(", ").join(sql.Identifier(name) for name in sorted({table.schema for table in tables}))
    names = sql.SQL(", ").join(table.identifier() for table in tables)
    if not schemas.as_string(connection):
        yield
        return
    with database_errors("cannot grant the right to insert rows"):
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schemas, role))
        connection.execute(sql.SQL("GRANT INSERT ON {} TO {}").format(names, role))
    yield
    with database_errors("cannot take back the right to insert rows"):
        connection.execute(sql.SQL("REVOKE INSERT ON {} FROM {}").format(names, role))
        connection.execute(sql.SQL("REVOKE USAGE ON SCHEMA {} FROM {}").format(schemas, role))


def entries_by_login(
    kind: str, entries: Mapping[int, str], logins: Sequence[Login], *, unknown: Login | None = None
) -> dict[Login, frozenset[int]]:
    """Return which of an archive's entries, by number and text, each login loads: those of its tables.

    An entry's text names schema, table and owner, and a constraint's its own name too. One that fits no table is the
    `unknown` login's, if there is one.
    """
    found: dict[Login, set[int]] = {}
    for number, text in entries.items():
        fitting = (
            candidate for candidate in logins if any(_is_of(kind, text, *named) for named in candidate.owners.items())
        )
        login = next(fitting, unknown)
        if login is not None:
            found.setdefault(login, set()).add(number)
    return {login: frozenset(numbers) for login, numbers in found.items()}


def _is_of(kind: str, text: str, table: TableName, owner: str) -> bool:
    """Return whether an entry's text names this table and owner; pg_restore writes line breaks in names as blanks."""
    start, end = (_in_one_line(part) for part in (f"{kind} {table.schema} {table.name} ", owner))
    return text == start + end or (text.startswith(start) and text.endswith(f" {end}"))


def _in_one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


def _owners(connection: psycopg.Connection) -> Sequence[tuple[TableName, str, bool]]:
    """Return every table, its owner, and whether that owner may empty it and write to it."""
    with database_errors("cannot list the tables' owners"):
        rows = connection.execute(
            """SELECT n.nspname, c.relname, r.rolname, has_schema_privilege(r.oid, n.oid, 'USAGE')
                AND has_table_privilege(r.oid, c.oid, 'INSERT') AND has_table_privilege(r.oid, c.oid, 'TRUNCATE')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
            WHERE c.relkind IN ('r', 'p') ORDER BY r.rolsuper, r.rolname, n.nspname, c.relname"""
        )
        return [(TableName(schema, name), owner, may_write) for schema, name, owner, may_write in rows]
