"""Facts of a database, read from its catalog under one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from permafrost.errors import DatabaseError
from permafrost.postgres.connection import database_errors
from permafrost.postgres.ownership.foreign_code import ForeignCode, foreign_code
from permafrost.postgres.ownership.roles import RoleFacts, read_roles
from permafrost.postgres.version import major_version

# what initdb or an extension made comes back by itself; everything else is the database's own
_OWN_SCHEMAS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege on the database; `grantee` is '' for PUBLIC."""

    grantee: str
    privilege: str
    is_grantable: bool
    grantor: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseDescription:
    """What a database is, apart from its contents: all that `pg_dump --create` writes about it, and more.

    Sizes in bytes; collations as the server names them. `connection_limit` is None without one. `tablespaces` are all
    that the database or something in it uses, except the default one; `security_labels` are providers and labels.
    `groups` are the roles that `roles` are members of, directly or not, and that are not among them.
    `excluded_schemas` and `excluded_tables` are what the configuration leaves out of the snapshot.
    """

    name: str
    owner: str
    server_version: int
    encoding: str
    collate: str
    ctype: str
    locale_provider: str
    locale: str | None
    collation_version: str | None
    size_bytes: int
    comment: str | None
    icu_rules: str | None
    connection_limit: int | None
    is_template: bool
    tablespace: str
    tablespaces: tuple[str, ...]
    security_labels: tuple[tuple[str, str], ...]
    grants: tuple[Grant, ...] | None
    settings: tuple[tuple[str, str, str], ...]
    extensions: tuple[tuple[str, str], ...]
    roles: tuple[RoleFacts, ...]
    groups: tuple[RoleFacts, ...] = ()
    foreign_code: tuple[ForeignCode, ...] = ()
    excluded_schemas: tuple[str, ...] = ()
    excluded_tables: tuple[TableName, ...] = ()

    @property
    def server_major(self) -> int:
        """The server's major version, as 15."""
        return major_version(self.server_version)


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table with rows of its own: an ordinary table or a leaf partition."""

    schema: str
    name: str

    def identifier(self) -> sql.Identifier:
        """Return it quoted for SQL."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def describe_database(
    connection: psycopg.Connection, excluded_schemas: Collection[str] = (), excluded: Collection[TableName] = ()
) -> DatabaseDescription:
    """Return the facts of the database that `connection` is connected to.

    Roles that have to do only with `excluded_schemas`, or with the tables and sequences `excluded`, are not among them.
    """
    with database_errors("cannot read the database's catalog"):
        version = connection.info.server_version
        # datlocprovider is new in 15; the ICU locale's column was renamed in 17 (release notes of 15 and 17)
        provider = "d.datlocprovider::text" if version >= 150000 else "'c'"
        locale = "d.datlocale" if version >= 170000 else "d.daticulocale" if version >= 150000 else "NULL"
        collation_version = "d.datcollversion" if version >= 150000 else "NULL"
        rules = "d.daticurules" if version >= 160000 else "NULL"
        row = connection.execute(
            f"""SELECT d.datname, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
                   {provider}, {locale}, {collation_version}, pg_database_size(d.oid),
                   shobj_description(d.oid, 'pg_database'), d.datacl IS NOT NULL, {rules}, d.datconnlimit,
                   d.datistemplate, t.spcname
            FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = current_database()"""  # noqa: S608 - constants of this function
        ).fetchone()
        if row is None:
            raise DatabaseError("the database has disappeared from its own catalog")
        names = _role_names(connection, excluded_schemas, excluded)
        roles = read_roles(connection, names)
        return DatabaseDescription(
            name=row[0],
            owner=row[1],
            server_version=version,
            encoding=row[2],
            collate=row[3],
            ctype=row[4],
            locale_provider=row[5],
            locale=row[6],
            collation_version=row[7],
            size_bytes=row[8],
            comment=row[9],
            icu_rules=row[11],
            connection_limit=row[12] if row[12] >= 0 else None,
            is_template=row[13],
            tablespace=row[14],
            tablespaces=_tablespaces(connection),
            security_labels=_security_labels(connection),
            grants=_database_grants(connection) if row[10] else None,
            settings=_database_settings(connection),
            extensions=_extensions(connection),
            roles=tuple(role for role in roles if role.name in names),
            groups=tuple(role for role in roles if role.name not in names),
            foreign_code=tuple(foreign_code(connection, excluded_schemas)),
            excluded_schemas=tuple(sorted(excluded_schemas)),
            excluded_tables=tuple(sorted(excluded)),
        )


def database_size_bytes(connection: psycopg.Connection) -> int:
    """Return the size of the database that `connection` is connected to."""
    with database_errors("cannot ask for the database's size"):
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return int(row[0])


def _database_grants(connection: psycopg.Connection) -> tuple[Grant, ...]:
    rows = connection.execute(
        """SELECT coalesce(r.rolname, ''), a.privilege_type, a.is_grantable, g.rolname
        FROM pg_database d,
            aclexplode(d.datacl) WITH ORDINALITY AS a (grantor, grantee, privilege_type, is_grantable, place)
        LEFT JOIN pg_roles r ON r.oid = a.grantee LEFT JOIN pg_roles g ON g.oid = a.grantor
        WHERE d.datname = current_database() ORDER BY a.place"""
    )
    return tuple(Grant(*row) for row in rows)


def _database_settings(connection: psycopg.Connection) -> tuple[tuple[str, str, str], ...]:
    rows = connection.execute(
        """SELECT coalesce(r.rolname, ''), split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
        FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
        LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) WITH ORDINALITY AS c (setting, place)
        WHERE d.datname = current_database() ORDER BY 1, place"""
    )
    return tuple((row[0], row[1], row[2]) for row in rows)


def _tablespaces(connection: psycopg.Connection) -> tuple[str, ...]:
    rows = connection.execute(
        # pg_global: of the shared catalogs alone, whose TOAST tables are not in pg_catalog
        """SELECT DISTINCT t.spcname FROM pg_tablespace t
        WHERE t.spcname NOT IN ('pg_default', 'pg_global') AND t.oid IN (
            SELECT reltablespace FROM pg_class WHERE relpersistence <> 't' AND reltablespace <> 0
                AND relnamespace <> 'pg_catalog'::regnamespace
            UNION SELECT dattablespace FROM pg_database WHERE datname = current_database())
        ORDER BY 1"""
    )
    return tuple(row[0] for row in rows)


def _security_labels(connection: psycopg.Connection) -> tuple[tuple[str, str], ...]:
    rows = connection.execute(
        """SELECT l.provider, l.label FROM pg_shseclabel l JOIN pg_database d ON d.oid = l.objoid
        WHERE l.classoid = 'pg_database'::regclass AND d.datname = current_database() ORDER BY 1"""
    )
    return tuple((row[0], row[1]) for row in rows)


def _extensions(connection: psycopg.Connection) -> tuple[tuple[str, str], ...]:
    rows = connection.execute("SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
    return tuple((row[0], row[1]) for row in rows)


def _role_names(
    connection: psycopg.Connection, excluded_schemas: Collection[str], excluded: Collection[TableName]
) -> Sequence[str]:
    # pg_shdepend has every role that something of this database (or the database itself) depends on: owners,
    # grantees, policies; predefined roles are pinned and do not appear. The bootstrap superuser does not either.
    rows = connection.execute(
        """WITH me AS (SELECT oid FROM pg_database WHERE datname = current_database())
        SELECT r.rolname FROM pg_roles r WHERE r.rolname !~ '^pg_' AND r.oid IN (
            SELECT s.refobjid FROM pg_shdepend s, me
            WHERE s.refclassid = 'pg_authid'::regclass
              AND (s.dbid = me.oid OR (s.classid = 'pg_database'::regclass AND s.objid = me.oid))
              AND NOT (s.dbid = me.oid AND EXISTS (SELECT FROM pg_identify_object(s.classid, s.objid, 0) o
                WHERE coalesce(o.schema, CASE o.type WHEN 'schema' THEN o.identity END)
                    IN (SELECT quote_ident(name) FROM unnest(%(schemas)s::text[]) name)
                OR (s.classid = 'pg_class'::regclass AND o.identity IN (SELECT format('%%I.%%I', schema, name)
                    FROM unnest(%(in_schemas)s::text[], %(names)s::text[]) AS excluded(schema, name)))))
            UNION SELECT datdba FROM pg_database d, me WHERE d.oid = me.oid
            UNION SELECT setrole FROM pg_db_role_setting s, me WHERE s.setdatabase = me.oid)""",
        {
            "schemas": list(excluded_schemas),
            "in_schemas": [name.schema for name in excluded],
            "names": [name.name for name in excluded],
        },
    )
    return [name for (name,) in rows]


def list_tables(connection: psycopg.Connection) -> tuple[TableName, ...]:
    """Return every table of the database's own, in order of name.

    Ordinary tables and leaf partitions; not what an extension made, since the extension makes it again, not
    materialized views, since a restore recomputes them, and on a standby not unlogged tables, which nobody
    can read there.
    """
    with database_errors("cannot list the tables"):
        rows = connection.execute(
            f"""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND {_OWN_SCHEMAS}
              AND (c.relpersistence = 'p' OR (c.relpersistence = 'u' AND NOT pg_is_in_recovery()))
              AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                              AND e.deptype = 'e')
            ORDER BY 1, 2"""  # noqa: S608 - a constant of this module
        )
        return tuple(TableName(*row) for row in rows)


def is_standby(connection: psycopg.Connection) -> bool:
    """Return whether the server is a standby."""
    with database_errors("cannot ask the server whether it is a standby"):
        row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    return bool(row and row[0])


def schema_migrations_version(connection: psycopg.Connection) -> str | None:
    """Return the newest migration that Rails has recorded in the database, None if there is no such table."""
    with database_errors("cannot read schema_migrations"):
        found = connection.execute("SELECT to_regclass('public.schema_migrations') IS NOT NULL").fetchone()
        if not found or not found[0]:
            return None
        row = connection.execute("SELECT max(version::text) FROM public.schema_migrations").fetchone()
        return row[0] if row else None
