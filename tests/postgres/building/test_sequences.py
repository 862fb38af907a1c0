"""Values of sequences, as they are read."""

from __future__ import annotations

from permafrost.postgres.building.sequences import SequenceValue, read_sequences
from permafrost.postgres.catalog import TableName
from permafrost.postgres.connection import connected


def test_called_and_not(database: str) -> None:
    """A sequence has its last value whether it was called or not, and whichever it was set to; in order of name."""
    with connected(database) as connection:
        for statement in (
            "CREATE SEQUENCE public.never START 5",
            "CREATE SEQUENCE public.called; SELECT nextval('public.called'), nextval('public.called')",
            "CREATE SEQUENCE public.set; SELECT setval('public.set', 41)",
            "CREATE SEQUENCE public.set_ahead; SELECT setval('public.set_ahead', 77, false)",
            'CREATE SEQUENCE public."Down" INCREMENT -1; SELECT nextval(\'public."Down"\')',
            "CREATE SEQUENCE public.left_out",
        ):
            connection.execute(statement)
        row = connection.execute("SELECT 'public.left_out'::regclass::oid::int8").fetchone()
        assert row is not None
        assert read_sequences(connection, row) == tuple(
            SequenceValue(TableName("public", name), value, is_called)
            for name, value, is_called in (
                ("Down", -1, True),
                ("called", 2, True),
                ("never", 5, False),
                ("set", 41, True),
                ("set_ahead", 77, False),
            )
        )


def test_there_is_none(database: str) -> None:
    """A database without sequences has no values."""
    with connected(database) as connection:
        assert read_sequences(connection) == ()
