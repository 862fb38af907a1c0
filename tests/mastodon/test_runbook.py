"""The runbook: real names, right order, no secret, whatever the snapshot knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from permafrost.mastodon.runbook import RunbookFacts, runbook

FACTS = RunbookFacts(
    snapshot="20261122T130000Z-0a1b2c3d",
    made_at=datetime(2026, 11, 22, 13, tzinfo=UTC),
    source_database="mastodon_production",
    database="mastodon_restored",
    owner="mastodon",
    postgresql_major=15,
    mastodon_version="4.5.2",
    schema_version="20251023210145",
    local_domain="example.social",
    web_domain="social.example.social",
    secret_names=("SECRET_KEY_BASE", "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"),
    secret_files=(("/srv/out/home/m n/.env.production", "/home/m n/.env.production"),),
    has_secrets=True,
    kept_as="mastodon_restored_before_20261122T140000",
)


def test_real_names() -> None:
    """Version, migration, database, domains, keys and files of this snapshot are in the text."""
    text = runbook(FACTS).text()
    for name in (
        "20261122T130000Z-0a1b2c3d",
        "Install Mastodon 4.5.2",
        "--branch v4.5.2",
        "20251023210145",
        "mastodon_restored",
        "LOCAL_DOMAIN=example.social",
        "WEB_DOMAIN=social.example.social",
        "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
        "cp -p '/srv/out/home/m n/.env.production' '/home/m n/.env.production'",
        "mastodon_restored_before_20261122T140000",
    ):
        assert name in " ".join(text.split()), name


def test_order() -> None:
    """The old server is fenced off first; secrets come before any start, Sidekiq after web, feeds after Sidekiq."""
    text = runbook(FACTS).text()
    marks = ["never comes up again", "Install Mastodon", "cp -p", "public/system", "redis-cli flushall"]
    marks += ["mastodon-web", "start mastodon-sidekiq", "feeds build", "search deploy", "media remove --days=0"]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_warnings() -> None:
    """What must never be done comes before the steps."""
    text = " ".join(runbook(FACTS).text().split())
    before = text[: text.index("What to do")]
    for words in (
        "Never run two live copies",
        "Never restore an old Redis dump",
        "Never run tootctl media remove-orphans",
    ):
        assert words in before


def test_unknown_version_is_found_by_its_migration() -> None:
    """Where only the newest migration is known, a command finds the version that has it."""
    text = runbook(replace(FACTS, mastodon_version=None)).text()
    assert "git tag --contains $(git log --all --diff-filter=A --format=%H -- 'db/*migrate/20251023210145_*'" in text


def test_nothing_known() -> None:
    """A snapshot without facts of Mastodon gives a whole runbook that promises nothing."""
    bare = RunbookFacts("20261122T130000Z-0a1b2c3d", FACTS.made_at, "a", "b", "c", 15)
    text = " ".join(runbook(bare).text().split())
    assert "does not say which" in text
    assert "This snapshot has none" in text
    assert "None" not in text


def test_width() -> None:
    """No line of prose is wider than 80 columns."""
    wide = [line for line in runbook(FACTS).text().splitlines() if len(line) > 80 and not line.startswith("    ")]
    assert wide == []
