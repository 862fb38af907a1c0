"""Which files are left out: Syncthing's patterns, as `[media] ignore` has them. Pure.

Syncthing's manual, "Ignoring Files": the first pattern that fits decides; `!` keeps what fits; a pattern that begins
with `/` fits at the top alone, any other at every depth; `*` and `?` stop at a slash, `**` does not. What lies in a
folder that fits is left out with it. `(?i)` lets case be; `(?d)` says nothing about what is sent; `//` is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PREFIXES = ("(?i)", "(?d)", "!")
_PART = re.compile(r"\*\*|\*|\?|\[[^\]]+\]|\\.|[^*?\[\\]+|.", re.DOTALL)
_WILD = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


class Ignores:
    """The patterns, for paths below the media folder."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = [rule for pattern in patterns if (rule := _rule(pattern)) is not None]
        self._has_exceptions = not all(leaves_out for _, leaves_out in self._rules)

    def leaves_out(self, path: bytes) -> bool:
        """Return whether a file is left out."""
        text = path.decode("utf-8", "surrogateescape")
        return next((leaves_out for fits, leaves_out in self._rules if fits.fullmatch(text)), False)

    def prunes(self, folder: bytes) -> bool:
        """Return whether all below a folder is left out, so that it need not be read."""
        return not self._has_exceptions and self.leaves_out(folder)


def _rule(pattern: str) -> tuple[re.Pattern[str], bool] | None:
    text, leaves_out, flags = pattern.strip(), True, re.DOTALL
    if not text or text.startswith(("//", "#include")):
        return None
    while (prefix := next((known for known in _PREFIXES if text.startswith(known)), "")) != "":
        leaves_out = leaves_out and prefix != "!"
        flags |= re.IGNORECASE if prefix == "(?i)" else 0
        text = text.removeprefix(prefix)
    is_rooted, text = text.startswith("/"), text.strip("/")
    if not text:
        return None
    expression = "".join(map(_expression, _PART.findall(text)))
    return re.compile(f"{'' if is_rooted else '(?:.*/)?'}{expression}(?:/.*)?", flags), leaves_out


def _expression(part: str) -> str:
    if part in _WILD:
        return _WILD[part]
    if part.startswith("[") and len(part) > 1:
        return f"[{re.escape(part[1:-1]).replace(chr(92) + '-', '-')}]"
    return re.escape(part[1:] if part.startswith("\\") and len(part) > 1 else part)
