"""The parameters of a libpq connection string or URI.

libpq knows what they mean, but psycopg, through which we ask it, takes a quarter of the time in which `permafrost
status` starts. So plain strings, which most are, are read here: known parameters, each given once, without quotes,
escapes or lists. libpq reads all others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SECRETS = ("password", "sslpassword", "scram_client_key", "oauth_client_secret")
"""The parameters that must neither lie in a configuration nor be printed."""
_KNOWN = frozenset(
    ("application_name", "connect_timeout", "dbname", "host", "passfile", "port", "sslmode", "sslrootcert", "user")
)
_PLAIN = "[A-Za-z0-9_./~-]+"
_WORD = re.compile(rf"([a-z_]+)=({_PLAIN})")
_URI = re.compile(
    rf"postgres(?:ql)?://(?:(?P<user>[A-Za-z0-9_.-]+)@)?(?P<host>[A-Za-z0-9.-]+)?(?::(?P<port>[0-9]+))?"
    rf"(?:/(?P<dbname>[A-Za-z0-9_.-]+)?)?(?:\?(?P<rest>[a-z_]+={_PLAIN}(?:&[a-z_]+={_PLAIN})*))?"
)


def parameters_of(conninfo: str) -> dict[str, str]:
    """Return what a connection string or URI sets, by name; raise `ValueError` if it is neither."""
    plain = _plain_parameters(conninfo)
    if plain is not None:
        return plain
    from psycopg import ProgrammingError  # noqa: PLC0415 - see above
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        return {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    except ProgrammingError as error:
        raise ValueError(str(error)) from error


def _plain_parameters(conninfo: str) -> dict[str, str] | None:
    """Return the parameters of a plain string or URI, None if it is none."""
    if (uri := _URI.fullmatch(conninfo)) is not None:
        named = [(name, uri[name]) for name in ("user", "host", "port", "dbname") if uri[name]]
        return _as_known([*named, *_WORD.findall(uri["rest"] or "")])
    words = [_WORD.fullmatch(word) for word in conninfo.split(" ")]
    return _as_known([(word[1], word[2]) for word in words if word]) if all(words) else None


def _as_known(given: Sequence[tuple[str, str]]) -> dict[str, str] | None:
    names = [name for name, _ in given]
    return dict(given) if _KNOWN.issuperset(names) and len(set(names)) == len(names) else None
