"""The index of decisions is complete."""

from __future__ import annotations

from scripts.decision_index import FILE, index, records, title


def test_the_index_is_up_to_date() -> None:
    """The committed index is what `make reference` writes; if this fails, run that."""
    assert FILE.read_text(encoding="utf-8") == index(records())


def test_every_record_bears_its_number() -> None:
    """The number in a record's title is the one in its file's name."""
    for number, file in records().items():
        assert title(file)[0] == number


def test_skipped_numbers_are_named() -> None:
    """A number without a record is named as skipped."""
    assert "nothing recorded under them: 21, 22" in index(records())
