from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from permafrost.mastodon.dotenv import parse_dotenv

any_value = st.text(alphabet="abZ9 #=$\\{}()'\"\n\t:", max_size=15)
plain_value = st.text(alphabet="abZ9=:/@._-", max_size=15)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X=one", "one"),
        ("X = one", "one"),
        ("  export X=one", "one"),
        ("X: one", "one"),
        ("X=", ""),
        ("X=two words   ", "two words"),
        ("X=one # a comment", "one"),
        ("X=pass#word", "pass"),
        ("X='pass#word' # a comment", "pass#word"),
        ('X="pass#word"', "pass#word"),
        ("X='$HOST'", "$HOST"),
        ("X=$HOST", "db.example"),
        ("X=${HOST}:1", "db.example:1"),
        ('X="$HOST"', "db.example"),
        ('X="\\$HOST"', "$HOST"),
        ("X=\\$HOST", "$HOST"),
        ("X=a$UNKNOWN.b", "a.b"),
        ("X=5$", "5$"),
        ("X=\"a 'b'\"", "a 'b'"),
        ('X="say \\"hi\\""', 'say "hi"'),
        ('X="a\\nb"', "a\\nb"),
        ("X=a\\ b", "a b"),
        ("X=$(cat /etc/passwd)", "$(cat /etc/passwd)"),
        ("X='one\ntwo'", "one\ntwo"),
        ("X=one\nX=two", "two"),
        ("X=one\r\nY=two", "one"),
        ("X='it", "'it"),
        ("# Y=1\nX=one", "one"),
    ],
)
def test_a_value_is_what_mastodon_reads(line: str, value: str) -> None:
    """Quotes, comments, references and escapes mean what they mean to the Ruby gem dotenv."""
    assert parse_dotenv(f"HOST=db.example\n{line}\n")["X"] == value


@pytest.mark.parametrize("line", ["", "X", "export X", "no assignment = here", "=1", "$(rm)=1", "X:1"])
def test_other_lines_are_passed_over(line: str) -> None:
    """What is not an assignment sets nothing, and does not hide the line after it."""
    assert parse_dotenv(f"{line}\nZ=1\n") == {"Z": "1"}


def test_the_file_before_wins_in_references() -> None:
    """A name that an earlier file has set keeps that value where a later file refers to it."""
    found = parse_dotenv('A=late\nB=$A\nC="$A"\n', {"A": "early"})
    assert found == {"A": "late", "B": "early", "C": "early"}


@given(st.text(alphabet='abZ9 #=${}()"\n\t:', max_size=20))
def test_single_quotes_keep_everything(value: str) -> None:
    """Between single quotes any text without quote or backslash comes back as it is."""
    assert parse_dotenv(f"A=1\nX='{value}'\nB=2\n") == {"A": "1", "X": value, "B": "2"}


@given(any_value.filter(lambda text: "\\" not in text))
def test_double_quotes_keep_what_is_escaped(value: str) -> None:
    """Between double quotes any text comes back if its quotes and dollar signs are escaped."""
    escaped = value.replace('"', '\\"').replace("$", "\\$")
    assert parse_dotenv(f'A=1\nX="{escaped}"\nB=2\n') == {"A": "1", "X": value, "B": "2"}


@given(plain_value)
def test_plain_values_need_no_quotes(value: str) -> None:
    """Letters, digits and the signs of URLs come back without quotes."""
    assert parse_dotenv(f"X={value}\n")["X"] == value


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text at all is read without an error, and names are names."""
    assert all(name and "=" not in name for name in parse_dotenv(text))
