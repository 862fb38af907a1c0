"""Connection strings that are read without libpq mean what libpq says that they mean."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from permafrost.config.conninfo import _plain_parameters, parameters_of

PLAIN = [
    "postgresql:///mastodon_production",
    "postgresql:///mastodon_production?host=/var/run/postgresql",
    "postgres://mastodon@db.example.org:5433/mastodon?sslmode=verify-full&passfile=/etc/permafrost/pgpass",
    "postgresql://db.example.org",
    "postgresql://",
    "dbname=mastodon_production",
    "host=/var/run/postgresql port=5432 user=mastodon dbname=mastodon_production",
]
OTHER = [
    "",
    "dbname='my data'",
    "postgresql://a:secret@h/d",
    "postgresql://h1,h2/d",
    "postgresql://[::1]:5432/d",
    "postgresql:///d%20b",
    "host=a host=b",
    "postgresql:///d?dbname=e",
    "user=a password=b",
    "host=a  dbname=b",
    "host = a",
]


@pytest.mark.parametrize("conninfo", PLAIN)
def test_plain_ones_need_no_libpq(conninfo: str) -> None:
    """Usual strings and URIs are read without libpq, and as libpq reads them."""
    assert _plain_parameters(conninfo) == conninfo_to_dict(conninfo) == parameters_of(conninfo)


@pytest.mark.parametrize("conninfo", OTHER)
def test_others_are_left_to_libpq(conninfo: str) -> None:
    """What has quotes, escapes, lists, secrets, or anything twice is read by libpq."""
    assert _plain_parameters(conninfo) is None
    assert parameters_of(conninfo) == conninfo_to_dict(conninfo)


def test_what_is_none_is_an_error() -> None:
    """A text that libpq cannot read is an error."""
    with pytest.raises(ValueError, match="missing"):
        parameters_of("mastodon")


_KEYS = st.sampled_from(("host", "port", "user", "dbname", "passfile", "sslmode", "password", "ssl", "nothing", "HOST"))
_ODD = ("", "%41", "a,b", "'a'", "\\", "é", "a=b", "#", "@", "[::1]", "x ", "\n")
_VALUES = st.sampled_from(("a", "/run/postgresql", "5432", "~/x", "a.b-c")) | st.sampled_from(_ODD)
_WORDS = st.lists(st.builds("{}={}".format, _KEYS, _VALUES), max_size=3)
_PARTS = ("{}@", "{}:p@", "{}", ":{}", "/{}", "/", "?{}", "?{}=a")
_URIS = st.builds(
    lambda scheme, parts, words: scheme + "".join(parts) + ("?" + "&".join(words) if words else ""),
    st.sampled_from(("postgresql://", "postgres://", "postgresql:", "POSTGRES://")),
    st.lists(st.builds(str.format, st.sampled_from(_PARTS), _VALUES), max_size=3),
    _WORDS,
)


@settings(max_examples=500)
@given(st.one_of(_URIS, _WORDS.map(" ".join)))
def test_never_read_otherwise_than_by_libpq(conninfo: str) -> None:
    """Whatever is read here is read by libpq alike."""
    if (plain := _plain_parameters(conninfo)) is not None:
        try:
            assert plain == conninfo_to_dict(conninfo)
        except ProgrammingError as error:
            raise AssertionError(conninfo) from error
