"""Which tables have to wait for the rows of others.

A CHECK constraint or a generated column should look at its own row only (manual, "Check Constraints"), but PostgreSQL
does not hold anyone to that: a function in it may read other tables, and then their rows have to be there first.
pg_dump loads tables in order of schema and name, so that is the order in which such databases are known to come back.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import database_errors


def tables_that_read_others(connection: psycopg.Connection) -> Sequence[TableName]:
    """Return the tables whose rows are checked or computed by functions that may read other tables, in pg_dump's order.

    Such a function is one that is not written in C, called by a CHECK constraint of the table, of a domain that one of
    its columns has, or by a generated column.
    """
    query = """
        WITH callers AS (
            SELECT d.classid, d.objid FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid
            JOIN pg_language l ON l.oid = p.prolang
            WHERE d.refclassid = 'pg_proc'::regclass AND l.lanname NOT IN ('c', 'internal')
                AND d.classid IN ('pg_constraint'::regclass, 'pg_attrdef'::regclass)),
        readers AS (
            SELECT k.conrelid AS oid FROM pg_constraint k JOIN callers c ON c.objid = k.oid
                AND c.classid = 'pg_constraint'::regclass WHERE k.contype = 'c' AND k.conrelid <> 0
            UNION SELECT a.attrelid FROM pg_constraint k JOIN callers c ON c.objid = k.oid
                AND c.classid = 'pg_constraint'::regclass JOIN pg_attribute a ON a.atttypid = k.contypid
            UNION SELECT e.adrelid FROM pg_attrdef e JOIN callers c ON c.objid = e.oid
                AND c.classid = 'pg_attrdef'::regclass
                JOIN pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum AND a.attgenerated = 's')
        SELECT n.nspname, c.relname FROM readers r JOIN pg_class c ON c.oid = r.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' ORDER BY n.nspname, c.relname"""
    with database_errors("cannot look at the constraints that have been loaded"):
        return [TableName(*row) for row in connection.execute(query)]
