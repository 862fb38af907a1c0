"""Lines of catalog and list say what was put into them, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from permafrost.errors import IntegrityError
from permafrost.sealed_media.lines import SealedFile, gone_line, listed_line, parse_line, parse_listed

_HASH = "ab" * 32
_PATHS = st.binary(min_size=1, max_size=80).filter(lambda path: b"\0" not in path)


@pytest.mark.format("10.5")
@given(
    _PATHS, st.integers(0, 1 << 50), st.integers(0, 1 << 50), st.integers(0, 0o777), st.integers(-(1 << 62), 1 << 62)
)
def test_a_file_of_any_name(path: bytes, offset: int, size_bytes: int, mode: int, mtime_ns: int) -> None:
    """Any path, size and time comes back from its line, which is printable ASCII; so does a path that is gone."""
    file = SealedFile(path, _HASH, offset, size_bytes, "cd" * 32, mode, mtime_ns)
    line, gone = file.line(), gone_line(path)
    for text in (line, gone):
        assert text.endswith(b"\n")
        assert text[:-1].replace(b"\t", b"").decode("ascii").isprintable()
    assert parse_line(line[:-1]) == file
    assert parse_line(gone[:-1]) == path


@pytest.mark.parametrize(
    "line", [b"", b"-", b"-\t", b"ab\t0\t1\tcd\t644\t0\tx", f"{_HASH}\t00\t1\t{_HASH}\t644\t0\tx".encode()]
)
def test_what_is_no_line(line: bytes) -> None:
    """Anything else is refused, with a message that says so."""
    with pytest.raises(IntegrityError, match="a line that is none"):
        parse_line(line)


@pytest.mark.format("10.3")
def test_the_list() -> None:
    """A line of the list names an object with its size, or one that is needed no more."""
    path = f"objects/ab/{_HASH}.gpg"
    row = parse_listed(listed_line(_HASH, 70000)[:-1])
    assert (row.folder, [(file.path, file.size_bytes) for file in row.files]) == (path, [(path, 70000)])
    assert parse_listed(listed_line(_HASH, None)[:-1]).files == ()
    for wrong in (b"", b"ab", f"{_HASH}\t-1".encode(), f"{_HASH}\t1\t1".encode(), b"../" + _HASH[3:].encode()):
        with pytest.raises(IntegrityError, match="a line that is none"):
            parse_listed(wrong)
