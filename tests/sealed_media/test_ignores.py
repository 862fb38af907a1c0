"""[media] ignore means for sealed media what it means to Syncthing."""

from __future__ import annotations

import pytest

from permafrost.sealed_media.ignores import Ignores


@pytest.mark.parametrize(
    ("patterns", "left_out", "kept"),
    [
        (("/cache",), ["cache/a/b.png", "cache"], ["a/cache/b.png", "cached/b.png", "cache.png"]),
        (("cache",), ["cache/a", "x/cache/b"], ["x/cached"]),
        (("*.tmp",), ["a.tmp", "x/y/a.tmp"], ["a.tmp.png"]),
        (("/x/*/z",), ["x/y/z", "x/y/z/a"], ["x/y/y/z"]),
        (("/x/**/z",), ["x/y/y/z"], ["y/y/z"]),
        (("!/cache/keep", "/cache"), ["cache/a"], ["cache/keep", "cache/keep/a"]),
        (("(?i)/CACHE",), ["cache/a", "Cache/a"], []),
        (("(?d)a?.png", "// a comment", ""), ["ab.png"], ["abc.png", "// a comment"]),
        (("[ab].png",), ["a.png"], ["c.png"]),
        (("/a.png",), [], ["aXpng"]),
    ],
)
def test_patterns(patterns: tuple[str, ...], left_out: list[str], kept: list[str]) -> None:
    """Paths are left out, or not, as Syncthing's manual says."""
    ignores = Ignores(patterns)
    assert [path for path in left_out if not ignores.leaves_out(path.encode())] == []
    assert [path for path in kept if ignores.leaves_out(path.encode())] == []


def test_folders_are_pruned_unless_something_in_them_is_kept() -> None:
    """A folder that is left out is not read, but where a pattern makes an exception."""
    assert Ignores(("/cache",)).prunes(b"cache")
    assert not Ignores(("/cache",)).prunes(b"accounts")
    assert not Ignores(("!/cache/keep", "/cache")).prunes(b"cache")


def test_any_bytes() -> None:
    """A name that is no text is matched all the same."""
    assert Ignores(("/cache",)).leaves_out(b"cache/\xff")
    assert not Ignores(("/cache",)).leaves_out(b"\xff")
