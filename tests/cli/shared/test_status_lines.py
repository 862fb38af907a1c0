"""The status as it is printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from permafrost.cli.status import status_lines
from permafrost.findings import Finding, FindingKind
from permafrost.status.document import status
from samples.server_state import NOW, STATES, StateName, history_of, make_server_state


@pytest.mark.parametrize("state", STATES)
def test_it_fits(tmp_path: Path, state: StateName) -> None:
    """It begins with the verdict, and fits 80 columns and 40; with 80, places and jobs are tables."""
    found = status(make_server_state(tmp_path, history_of(state)), NOW)
    for columns in (40, 80):
        lines = status_lines(found, columns)
        assert max(map(len, lines)) <= columns
        assert lines[0].startswith(found.verdict.text[:20])
    wide = "\n".join(status_lines(found, 80))
    assert "\nplace  " in wide
    assert "\njob     last" in wide


def test_what_is_not_said_by_a_finding(tmp_path: Path) -> None:
    """Without findings, a verdict that is not yes is not contradicted; a sheet that nobody has proven is named."""

    def text(state: StateName) -> str:
        return "\n".join(status_lines(status(make_server_state(tmp_path / state, history_of(state)), NOW), 80))

    healthy = text("healthy")
    assert "\nnothing needs attention\n" in healthy
    assert "\nnothing needs attention besides what is said above\n" in text("no-vault")
    assert "recovery sheet" not in healthy
    assert "recovery sheet: not proven: nobody has shown that it opens a snapshot" in text("key-unproven")


def test_commands_stay_whole(tmp_path: Path) -> None:
    """A command in a remedy is never cut by a line's end, so that it can be copied."""
    found = status(make_server_state(tmp_path, history_of("drill-failed")), NOW)
    lines = status_lines(found, 40)
    for finding in found.findings:
        for command in finding.commands:
            assert any(f"`{command}`" in line for line in lines), command


def test_hostile_words(tmp_path: Path) -> None:
    """What would move a terminal's cursor, or turn its text round, is shown as question marks."""
    found = status(make_server_state(tmp_path, history_of("healthy")), NOW)
    hostile = Finding(FindingKind.BACKUP_FAILED, "backup", "no\x1b[2J\u202eevil\nYes: all is well\x9b1m")
    text = "\n".join(status_lines(replace(found, findings=(hostile,)), 80))
    assert "alarm: no?[2J?evil?Yes: all is well?1m" in text
    assert all(letter.isprintable() for letter in text.replace("\n", ""))
