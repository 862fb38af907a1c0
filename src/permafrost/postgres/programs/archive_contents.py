"""The table of contents of a pg_dump archive, cut into the steps that load it; pure.

Every entry belongs to exactly one step, and it is by its number (dump id) that a step names it: the text of an entry
may hold anything, a table named `t MATERIALIZED VIEW DATA u` too. Which section an entry is in is pg_restore's word
about the whole archive. `--section` is never used to load: pg_restore takes an entry without a section of its own, as
comments and grants are, for one of the section of the entry before it, which in a shorter list may be another one.

An entry's kind is its catalogue's number and the words that follow, as no kind of one catalogue begins with another of
the same (PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c, PrintTOCSummary).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from permafrost.errors import DatabaseError

_ENTRY = re.compile(r"(\d+); (\d+) (\d+) (.*)")
_DEPENDS = ";\tdepends on:"
_RELATION, CONSTRAINT, _EVENT_TRIGGER, _EXTENSION = 1259, 2606, 3466, 3079
_PUBLISHING = frozenset((6100, 6104, 6106, 6237))  # pg_subscription, pg_publication, pg_publication_rel and _namespace


class Step(Enum):
    """A step of loading, in the order of the steps."""

    DEFINITIONS = "types, functions and empty tables"
    DATA = "rows in the archive, large objects"
    INDEXES = "indexes and keys that need nothing but rows and each other"
    EARLY = "everything else that comes before the foreign keys"
    FOREIGN_KEYS = "foreign keys"
    LATE = "what follows the foreign keys"
    REFRESHES = "materialized views"
    GUARDED = "publications, subscriptions, security labels and comments on extensions, which may not be allowed"
    EVENT_TRIGGERS = "event triggers, which must see nothing of the restore"
    LEFT_OUT = "left out on purpose"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: its number, its catalogue's number (0 for what has none), its text, and the numbers it depends on."""

    dump_id: int
    catalogue: int
    text: str
    depends_on: frozenset[int]
    line: str

    def is_of(self, catalogue: int, *kinds: str) -> bool:
        """Return whether the entry is of this catalogue, and of one of `kinds` if any is given."""
        fits = not kinds or any(self.text.startswith(f"{kind} ") for kind in kinds)
        return self.catalogue == catalogue and fits


@dataclass(frozen=True, slots=True)
class Contents:
    """An archive's entries in the archive's order, with the step of each, by number."""

    entries: Sequence[Entry]
    steps: dict[int, Step]

    def listed(self, *steps: Step) -> str:
        """Return the entries of some steps as a list for `pg_restore --use-list`, "" if there are none."""
        return self.lines(self.ids(*steps))

    def of_kind(self, step: Step, catalogue: int, kind: str) -> dict[int, str]:
        """Return the numbers and texts of a step's entries of one kind."""
        return {
            entry.dump_id: entry.text
            for entry in self.entries
            if self.steps[entry.dump_id] is step and entry.is_of(catalogue, kind)
        }

    def lines(self, numbers: AbstractSet[int]) -> str:
        """Return the entries of these numbers as such a list."""
        return "".join(f"{entry.line}\n" for entry in self.entries if entry.dump_id in numbers)

    def ids(self, *steps: Step) -> frozenset[int]:
        """Return the numbers of the entries of some steps."""
        return frozenset(number for number, step in self.steps.items() if step in steps)


def read_contents(pre_data: str, data: str, post_data: str, verbose: str, without: Iterable[str] = ()) -> Contents:
    """Return the contents of an archive from what `pg_restore --list` writes of each section, and with --verbose.

    The extensions named in `without`, and all that depends on them, are left out; so then are the rows of extensions'
    own tables, as the archive does not tell whose they are. Raise `DatabaseError` if an entry
    is in two sections.
    """
    known = {entry.dump_id: entry for entry in _parsed(verbose)}
    sections = [[known[entry.dump_id] for entry in _parsed(listed)] for listed in (pre_data, data, post_data)]
    entries = [entry for section in sections for entry in section]
    if len({entry.dump_id for entry in entries}) != len(entries):
        raise DatabaseError("pg_restore lists an entry of the archive in two sections")
    steps = {entry.dump_id: step for entry, step in _assigned(*sections)}
    left_out = _left_out(entries, frozenset(without))
    return Contents(entries, steps | dict.fromkeys(left_out, Step.LEFT_OUT))


def _parsed(listed: str) -> list[Entry]:
    entries: list[Entry] = []
    for line in listed.splitlines():
        if line.startswith(_DEPENDS) and entries:
            last = entries.pop()
            numbers = frozenset(int(number) for number in line[len(_DEPENDS) :].split())
            entries.append(Entry(last.dump_id, last.catalogue, last.text, numbers, last.line))
        elif found := _ENTRY.fullmatch(line):
            number, catalogue, _, text = found.groups()
            entries.append(Entry(int(number), int(catalogue), text, frozenset(), line))
    return entries


def _assigned(
    pre_data: Sequence[Entry], data: Sequence[Entry], post_data: Sequence[Entry]
) -> Iterable[tuple[Entry, Step]]:
    """Yield every entry once, with its step."""
    yield from ((entry, _early_step(entry, Step.DEFINITIONS)) for entry in pre_data)
    yield from ((entry, _early_step(entry, Step.DATA)) for entry in data)
    special = _special(post_data)
    yield from ((entry, special[entry.dump_id]) for entry in post_data if entry.dump_id in special)
    ordinary = [entry for entry in post_data if entry.dump_id not in special]
    indexes = _indexes(ordinary, {entry.dump_id for entry in post_data})
    keys = {entry.dump_id for entry in ordinary if entry.is_of(CONSTRAINT, "FK CONSTRAINT")}
    of_keys = _dependents(ordinary, keys) - keys
    needed = _needed(ordinary, keys) - keys
    if needed & of_keys:  # something lies among the keys that others of them need
        keys, of_keys = set(), set()
    has_key_passed = False
    for entry in ordinary:
        has_key_passed |= entry.dump_id in keys
        if entry.dump_id in keys:
            yield entry, Step.FOREIGN_KEYS
        elif entry.dump_id in indexes:
            yield entry, Step.INDEXES
        elif entry.dump_id in of_keys or (has_key_passed and entry.dump_id not in needed):
            yield entry, Step.LATE
        else:
            yield entry, Step.EARLY


def _early_step(entry: Entry, step: Step) -> Step:
    return Step.GUARDED if _is_guarded(entry) else step


def _is_guarded(entry: Entry) -> bool:
    is_of_extension = entry.is_of(0, "COMMENT") and entry.text.startswith("COMMENT - EXTENSION ")
    return entry.catalogue in _PUBLISHING or entry.is_of(0, "SECURITY LABEL") or is_of_extension


def _special(post_data: Sequence[Entry]) -> dict[int, Step]:
    """Return the steps that an entry of the archive's last section takes with it all that depends on it."""
    found: dict[int, Step] = {}
    marked = (
        (Step.REFRESHES, {entry.dump_id for entry in post_data if entry.is_of(0, "MATERIALIZED VIEW DATA")}),
        (Step.GUARDED, {entry.dump_id for entry in post_data if _is_guarded(entry)}),
        (Step.EVENT_TRIGGERS, {entry.dump_id for entry in post_data if entry.is_of(_EVENT_TRIGGER)}),
    )
    for step, numbers in marked:
        found |= dict.fromkeys(_dependents(post_data, numbers), step)
    return found


def _indexes(ordinary: Sequence[Entry], post_data: AbstractSet[int]) -> set[int]:
    """Return the indexes, and constraints that are indexes, that need nothing after the rows but others of them."""
    indexes = {
        entry.dump_id: entry
        for entry in ordinary
        if entry.is_of(_RELATION, "INDEX") or entry.is_of(CONSTRAINT, "CONSTRAINT")
    }
    while True:
        bound = {number for number, entry in indexes.items() if entry.depends_on & post_data - indexes.keys()}
        if not bound:
            return set(indexes)
        for number in bound:
            del indexes[number]


def _dependents(entries: Sequence[Entry], numbers: AbstractSet[int]) -> set[int]:
    """Return `numbers` and all entries that depend on one of them, however far."""
    found = set(numbers)
    while more := {entry.dump_id for entry in entries if entry.depends_on & found} - found:
        found |= more
    return found


def _needed(entries: Sequence[Entry], numbers: AbstractSet[int]) -> set[int]:
    """Return `numbers` and all entries that one of them depends on, however far."""
    by_number = {entry.dump_id: entry for entry in entries}
    found: set[int] = set()
    waiting = list(numbers)
    while waiting:
        number = waiting.pop()
        if number in by_number and number not in found:
            found.add(number)
            waiting.extend(by_number[number].depends_on)
    return found


def _left_out(entries: Sequence[Entry], extensions: frozenset[str]) -> set[int]:
    roots = {
        entry.dump_id for entry in entries if any(entry.is_of(_EXTENSION, f"EXTENSION - {name}") for name in extensions)
    }
    if not roots:
        return set()
    there = {entry.dump_id for entry in entries}
    orphans = {entry.dump_id for entry in entries if entry.catalogue == 0 and entry.depends_on - there}
    return _dependents(entries, roots | orphans)
