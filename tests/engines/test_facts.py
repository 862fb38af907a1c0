"""What a snapshot's manifest says of Mastodon, where it is not installed as its guide says."""

from __future__ import annotations

from pathlib import Path

from permafrost.config.models import Mastodon
from permafrost.engines.facts import mastodon_facts


def test_what_no_file_says_is_configured(tmp_path: Path) -> None:
    """On NixOS the names of secrets come from .secrets_env, and domain and version from the configuration."""
    single = tmp_path / "secret-key-base"
    single.write_bytes(b"\xff0123")
    together = tmp_path / ".secrets_env"
    together.write_text('SECRET_KEY_BASE="abc"\nVAPID_PRIVATE_KEY="d"\nDB_PASS="hush"\n')
    settings = Mastodon(layout="nixos", local_domain="social.example", version="4.5.2")
    facts = mastodon_facts((single, together), "20250101000000", settings)
    assert facts is not None
    assert (facts.local_domain, facts.web_domain, facts.version) == ("social.example", "social.example", "4.5.2")
    assert facts.secrets_present == ("SECRET_KEY_BASE", "VAPID_PRIVATE_KEY")
    assert (facts.layout, facts.folder) == ("nixos", None)
    assert "hush" not in facts.model_dump_json()


def test_without_anything_of_mastodon_there_are_no_facts(tmp_path: Path) -> None:
    """A database that is not Mastodon's has none; a missing .secrets_env does not fail the backup."""
    assert mastodon_facts((), None, Mastodon()) is None
    facts = mastodon_facts((tmp_path / ".secrets_env",), None, Mastodon(layout="nixos"))
    assert facts is not None
    assert facts.secrets_present == ()


def test_the_guides_layout_is_not_named(tmp_path: Path) -> None:
    """A Mastodon with an .env.production has what that says, and no layout of its own."""
    file = tmp_path / ".env.production"
    file.write_text("LOCAL_DOMAIN=social.example\nWEB_DOMAIN=web.example\nSECRET_KEY_BASE=x\n")
    facts = mastodon_facts((file,), "1", Mastodon())
    assert facts is not None
    assert (facts.local_domain, facts.web_domain, facts.layout) == ("social.example", "web.example", None)
