"""The kinds of findings: each is whole, named once, and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from permafrost.findings import Finding, FindingKind, Severity, kind_of, vault_kind

SOURCES = Path(__file__).parents[1] / "src" / "permafrost"


@pytest.mark.parametrize("kind", FindingKind, ids=lambda kind: kind.code)
def test_a_kind_is_whole(kind: FindingKind) -> None:
    """Its name can be in a receipt, its meaning and remedy are sentences, and something reports it."""
    assert re.fullmatch(r"[a-z][a-z-]{0,57}", kind.code)
    assert kind_of(kind.code) is kind
    assert kind.meaning.endswith(".")
    assert kind.remedy.endswith(".")
    text = "".join(file.read_text() for file in SOURCES.rglob("*.py") if file.name != "findings.py")
    assert re.search(rf"FindingKind\.{kind.name}\b", text) or kind is FindingKind.VAULT_SAYS


def test_a_vaults_own() -> None:
    """What a vault reports about itself bears its prefix once, and is as severe as it is there."""
    finding = Finding(vault_kind("rot"), "attic", "rotten", vault="attic")
    assert finding.code == "vault-rot"
    assert finding.severity is Severity.ALARM
    assert finding.document().severity == "alarm"
    assert vault_kind("vault-clock") is FindingKind.CLOCK_JUMPED
    assert vault_kind("no-such-thing") is FindingKind.VAULT_SAYS


def test_severities_are_ordered() -> None:
    """An alarm is more than a warning, and that more than a notice."""
    assert Severity.NOTICE < Severity.WARNING < Severity.ALARM
