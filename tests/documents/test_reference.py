"""The reference is made from the program, and is what the program is today."""

from __future__ import annotations

import pytest

from scripts.reference import FOLDER, documents

DOCUMENTS = documents()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_reference_is_up_to_date(name: str) -> None:
    """The committed file is what `make reference` writes; if this fails, run that."""
    assert (FOLDER / name).read_text(encoding="utf-8") == DOCUMENTS[name]


def test_every_command_is_there() -> None:
    """Commands in groups have their section, their options and their examples as code."""
    commands = DOCUMENTS["commands.md"]
    assert "## permafrost vault invite\n" in commands
    assert "- `--no-owner`: " in commands
    assert "permafrost restore latest --database mastodon_test" in commands


def test_every_key_is_there() -> None:
    """Keys have their type, default and meaning."""
    configuration = DOCUMENTS["configuration.md"]
    assert "- `jobs` (whole number, 1 to 64; default `2`): " in configuration
    assert "- `url` (text; required): " in configuration
    assert "`last = 6`, `hourly = 24`" in configuration
