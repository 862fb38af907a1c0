"""The table of contents of a pg_dump archive, in the parts that are loaded one after the other."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REFRESH = " MATERIALIZED VIEW DATA "
_FOREIGN_KEY = re.compile(r"\d+; \d+ \d+ FK CONSTRAINT ")
_COMMENT = re.compile(r"\d+; \d+ \d+ COMMENT ")
_INDEX = re.compile(r"\d+; \d+ \d+ (?:INDEX|CONSTRAINT) ")
_NO_INDEX_BUILT = re.compile(r"\d+; \d+ \d+ INDEX ATTACH ")


@dataclass(frozen=True, slots=True)
class Contents:
    """An archive's table of contents in parts, each a list for `pg_restore --use-list`, "" if there is nothing in it.

    `early` is everything up to the first foreign key, `late` what follows the last, `refreshes` the materialized
    views' data. `foreign_keys` is "" where something else lies among them, which they may depend on; they are then
    in `early`, with everything else.
    """

    early: str
    foreign_keys: str
    late: str
    refreshes: str

    @property
    def indexes(self) -> str:
        """What needs the rows of one table and nothing else that comes after rows."""
        return _lines([line for line in self.early.splitlines() if _builds_index(line)])

    @property
    def early_but_indexes(self) -> str:
        """What of `early` is left to do after `indexes`, all that comes before rows included."""
        return _lines([line for line in self.early.splitlines() if not _builds_index(line)])

    @property
    def all_but_refreshes(self) -> str:
        """Everything that can be loaded in the archive's order before ANALYZE."""
        return self.early + self.foreign_keys + self.late


def split_contents(listed: str) -> Contents:
    """Return the parts of a table of contents.

    A materialized view's data is a REFRESH, which PostgreSQL plans badly before ANALYZE (on busy Mastodon servers it
    took days), so it is run last. Foreign keys follow all tables, indexes and other constraints; comments on them
    come in between and can wait.
    """
    entries = [line for line in listed.splitlines() if line and not line.startswith(";")]
    refreshes = [line for line in entries if _REFRESH in line]
    others = [line for line in entries if _REFRESH not in line]
    keys = [place for place, line in enumerate(others) if _FOREIGN_KEY.match(line)]
    if not keys:
        return Contents(_lines(others), "", "", _lines(refreshes))
    among = [line for line in others[keys[0] : keys[-1]] if not _FOREIGN_KEY.match(line)]
    if any(not _COMMENT.match(line) for line in among):
        return Contents(_lines(others), "", "", _lines(refreshes))
    return Contents(
        _lines(others[: keys[0]]),
        _lines([others[place] for place in keys]),
        _lines([*among, *others[keys[-1] + 1 :]]),
        _lines(refreshes),
    )


def _builds_index(line: str) -> bool:
    return bool(_INDEX.match(line)) and not _NO_INDEX_BUILT.match(line)


def _lines(entries: list[str]) -> str:
    return "".join(f"{entry}\n" for entry in entries)
