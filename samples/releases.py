"""The sample database as other releases of Mastodon have it: 4.1, and 4.7, which moved the local accounts' keys.

4.1's schema is that of its own list of columns. Of 4.7 only what matters to a backup is known, and made: each local
account's private key lies encrypted in `keypairs`, and two materialized views became tables.
"""

from __future__ import annotations

from random import Random

from psycopg import sql

from samples.encryption import encrypted, old_second_factor, second_factor
from samples.rows import LOCAL_DOMAIN, Connection
from samples.schema_from_facts import OLDEST

KEYPAIRS_MIGRATION = "20260702144128"
_VIEWS_TURNED_TABLES = ("account_summaries", "global_follow_recommendations")
_OF_THE_SCHEMA = ("schema_migrations", "ar_internal_metadata")


def become_4_7(connection: Connection) -> None:
    """Change a sample database as the migrations to 4.7 do."""
    rng = Random("4.7")
    local = connection.execute(
        """SELECT id, username, private_key, public_key FROM accounts
        WHERE domain IS NULL AND private_key <> '' ORDER BY id"""
    ).fetchall()
    for account, username, private_key, public_key in local:
        connection.execute(
            """INSERT INTO keypairs (account_id, uri, type, private_key, public_key, created_at, updated_at)
            VALUES (%s, %s, 0, %s, %s, now(), now())""",
            (
                account,
                f"https://{LOCAL_DOMAIN}/users/{username}#main-key",
                encrypted(rng, private_key.encode()),
                public_key,
            ),
        )
    connection.execute("UPDATE accounts SET private_key = NULL WHERE domain IS NULL")
    for name in _VIEWS_TURNED_TABLES:
        view, table = sql.Identifier(name), sql.Identifier(f"new_{name}")
        connection.execute(sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(table, view))
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (account_id)").format(table))
        connection.execute(sql.SQL("DROP MATERIALIZED VIEW {}").format(view))
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(table, view))
    connection.execute("INSERT INTO schema_migrations VALUES (%s)", (KEYPAIRS_MIGRATION,))


def fill_4_1(target: Connection, source: Connection, otp_secret: str) -> None:
    """Make 4.1's schema in an empty database, and fill it with a sample database's rows, as far as 4.1 has a place.

    Second factors are encrypted with `otp_secret`, as they were up to 4.2.
    """
    target.execute(OLDEST.pre_data.read_bytes())
    older, newer = _columns(target), _columns(source)
    for table in sorted(older.keys() & newer.keys() - set(_OF_THE_SCHEMA)):
        columns = sql.SQL(", ").join(map(sql.Identifier, sorted(older[table] & newer[table])))
        with (
            source.cursor().copy(sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table), columns)) as rows,
            target.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)) as copy,
        ):
            for chunk in rows:
                copy.write(chunk)
    rng = Random("4.1")
    for (user,) in target.execute("SELECT id FROM users WHERE otp_required_for_login ORDER BY id").fetchall():
        sealed, nonce, salt = old_second_factor(rng, second_factor(rng), otp_secret)
        target.execute(
            """UPDATE users SET encrypted_otp_secret = %s, encrypted_otp_secret_iv = %s, encrypted_otp_secret_salt = %s
            WHERE id = %s""",
            (sealed, nonce, salt, user),
        )
    target.execute(OLDEST.post_data.read_bytes())
    for (name,) in target.execute("SELECT matviewname FROM pg_matviews ORDER BY 1").fetchall():
        target.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(name)))


def _columns(connection: Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    query = """SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables
        USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"""
    for table, column in connection.execute(query):
        found.setdefault(table, set()).add(column)
    return found
