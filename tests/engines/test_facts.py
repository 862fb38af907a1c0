"""What a snapshot's manifest says of Mastodon, where it is not installed as its guide says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from permafrost.config.models import Mastodon
from permafrost.engines.facts import mastodon_facts
from permafrost.events import Event, Warned, ignore_events


def test_what_no_file_says_is_configured(tmp_path: Path) -> None:
    """On NixOS the names of secrets come from .secrets_env, and domain and version from the configuration."""
    single = tmp_path / "secret-key-base"
    single.write_bytes(b"\xff0123")
    together = tmp_path / ".secrets_env"
    together.write_text('SECRET_KEY_BASE="abc"\nVAPID_PRIVATE_KEY="d"\nDB_PASS="hush"\n')
    settings = Mastodon(layout="nixos", local_domain="social.example", version="4.5.2")
    facts = mastodon_facts((single, together), "20250101000000", settings, ignore_events)
    assert facts is not None
    assert (facts.local_domain, facts.web_domain, facts.version) == ("social.example", "social.example", "4.5.2")
    assert facts.secrets_present == ("SECRET_KEY_BASE", "VAPID_PRIVATE_KEY")
    assert (facts.layout, facts.folder) == ("nixos", None)
    assert "hush" not in facts.model_dump_json()


def test_without_anything_of_mastodon_there_are_no_facts(tmp_path: Path) -> None:
    """A database that is not Mastodon's has none; a missing .secrets_env does not fail the backup."""
    assert mastodon_facts((), None, Mastodon(), ignore_events) is None
    facts = mastodon_facts((tmp_path / ".secrets_env",), None, Mastodon(layout="nixos"), ignore_events)
    assert facts is not None
    assert facts.secrets_present == ()


def test_the_guides_layout_is_not_named(tmp_path: Path) -> None:
    """A Mastodon with an .env.production has what that says, and no layout of its own."""
    file = tmp_path / ".env.production"
    file.write_text("LOCAL_DOMAIN=social.example\nWEB_DOMAIN=web.example\nSECRET_KEY_BASE=x\n")
    facts = mastodon_facts((file,), "1", Mastodon(), ignore_events)
    assert facts is not None
    assert (facts.local_domain, facts.web_domain, facts.layout) == ("social.example", "web.example", None)


@pytest.mark.parametrize(
    "put",
    [
        lambda _: None,
        lambda folder: os.mkfifo(folder / ".env.production"),
        lambda folder: (folder / ".env.production").write_bytes(b"\xff\xfe\x00"),
    ],
    ids=["missing", "a pipe", "no text"],
)
def test_an_environment_file_that_cannot_be_read(tmp_path: Path, put: Callable[[Path], object]) -> None:
    """Nothing waits for it, and it is reported: the rows are backed up all the same."""
    put(tmp_path)
    events: list[Event] = []
    facts = mastodon_facts((tmp_path / ".env.production",), "1", Mastodon(), events.append)
    assert facts is not None
    assert (facts.schema_version, facts.local_domain) == ("1", None)
    (warning,) = events
    assert isinstance(warning, Warned)
    assert str(tmp_path) in warning.message
