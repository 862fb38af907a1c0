"""What PostgreSQL says about an error: the message alone does not name the duplicate key, or the line COPY refused.

Every part is bounded, since DETAIL may quote a whole row and a statement may be a function of a thousand lines. This is
the one place that decides how much of an error is shown.
"""

from __future__ import annotations

import psycopg

_MOST_CHARACTERS = 600
_CUT = " ..."


def error_text(error: psycopg.Error, statement: str | bytes = "") -> str:
    """Return PostgreSQL's message with its DETAIL and CONTEXT and the failing `statement`, each on a line of its own.

    An error that did not come from the server has its message alone. HINT is left to `error_hint`.
    """
    told = error.diag
    message = told.message_primary or first_line(error)
    if isinstance(statement, bytes):
        statement = statement.decode("utf-8", "replace")
    parts = (
        ("DETAIL", told.message_detail),
        ("QUERY", told.internal_query),
        ("CONTEXT", told.context),
        ("STATEMENT", statement),
    )
    return "\n".join([bounded(message), *(f"  {name}: {bounded(text)}" for name, text in parts if text)])


def error_hint(error: psycopg.Error) -> str:
    """Return PostgreSQL's own HINT, "" if it gave none."""
    return bounded(error.diag.message_hint or "")


def first_line(error: psycopg.Error) -> str:
    """Return the first line of the error's message; its class if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def bounded(text: str) -> str:
    """Return the text without what surrounds it, cut off where it is longer than what anybody reads of an error."""
    text = text.strip()
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + _CUT
