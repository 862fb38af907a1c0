"""The runbook: real names, right order, no secret, whatever the snapshot knows."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest

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


WEB_AND_SIDEKIQ = {
    "nixos": ("start mastodon-web", "sudo systemctl start mastodon.target"),
    "docker": ("docker compose up -d web streaming", "docker compose up -d sidekiq"),
    "yunohost": ("start mastodon-web", "sudo systemctl start mastodon-sidekiq"),
}


@pytest.mark.parametrize("layout", WEB_AND_SIDEKIQ)
def test_layouts(layout: str) -> None:
    """However Mastodon was installed, secrets come back before anything starts, and no path is of another layout."""
    book = runbook(replace(FACTS, layout=layout))
    commands = [command for step in book.steps for command in step.commands]
    text = "\n".join(commands)
    web, sidekiq = WEB_AND_SIDEKIQ[layout]
    places = [text.index(mark) for mark in ("cp -p", "rsync", web, sidekiq, "tootctl feeds build")]
    assert places == sorted(places)
    assert "/home/mastodon/live" not in book.text()
    assert "git clone" not in text
    for command in commands:
        if not command.startswith("systemd.targets = "):
            subprocess.run(["sh", "-n", "-c", command], check=True)


def test_nixos() -> None:
    """On NixOS no code is changed, secrets are given to Mastodon's user, and no unit starts before they are."""
    secret = "/var/lib/mastodon/secrets/vapid-private-key"
    book = runbook(replace(FACTS, layout="nixos", secret_files=((f"/srv/out{secret}", secret),)))
    commands = [command for step in book.steps for command in step.commands]
    assert not [command for command in commands if command.startswith(("bin/", "cd "))]
    assert "sudo mastodon-tootctl feeds build" in commands
    start = commands.index("sudo systemctl start mastodon-web mastodon-streaming.target")
    assert commands[:start] == [
        *commands[:2],
        "sudo install -d -o mastodon -g mastodon -m 0700 /var/lib/mastodon/secrets",
        f"sudo cp -p /srv/out{secret} {secret}",
        "sudo chown -R mastodon:mastodon /var/lib/mastodon/secrets",
        "sudo rsync -a --exclude=/.stfolder --exclude=/.stignore COPY/media/ /var/lib/mastodon/public-system/",
        "sudo systemctl stop redis-mastodon",
        "sudo rm -f /var/lib/redis-mastodon/dump.rdb",
    ]
    assert commands[0].startswith('systemd.targets = lib.genAttrs [ "mastodon" "mastodon-streaming" ]')
    assert "services.mastodon.database.name must name mastodon_restored" in " ".join(book.text().split())


def test_media_that_were_laid_out() -> None:
    """Media that the restore has laid out are copied from there."""
    book = runbook(replace(FACTS, media="/srv/laid out"))
    commands = [command for step in book.steps for command in step.commands]
    assert "rsync -a '/srv/laid out'/ /home/mastodon/live/public/system/" in commands
    assert "Copy what was laid out, with the modes" in " ".join(book.text().split())


def test_another_folder() -> None:
    """A folder that is named in the configuration replaces the usual one, and a layout of the future is the guide's."""
    text = runbook(replace(FACTS, folder="/srv/my mastodon/", layout="of 2040")).text()
    assert "COPY/media/ '/srv/my mastodon'/public/system/" in text
    assert "https://github.com/mastodon/mastodon.git '/srv/my mastodon'" in text
    compose = runbook(replace(FACTS, folder="/srv/docker", layout="docker")).text()
    assert "in /srv/docker, as a user who may use docker" in " ".join(compose.split())
    rehearsal = runbook(replace(FACTS, layout="nixos", is_rehearsal=True)).text()
    assert "permafrost check mastodon_restored --env-file /var/lib/mastodon/.secrets_env" in rehearsal


@pytest.mark.parametrize(
    ("server", "on", "made_from"),
    [
        ("", "restored", "postgres"),
        ("postgresql:///mastodon_production", "restored", "mastodon_production"),
        (
            "host=db.example.net port=25060 dbname=defaultdb user=admin",
            "'user=admin dbname=restored host=db.example.net port=25060'",
            "'user=admin dbname=defaultdb host=db.example.net port=25060'",
        ),
    ],
)
def test_rehearsal_on_another_server(server: str, on: str, made_from: str) -> None:
    """The commands of a rehearsal reach the database where it was restored, by the role that restored it."""
    book = runbook(replace(FACTS, database="restored", is_rehearsal=True, server=server))
    count, check, drop = (command for step in book.steps for command in step.commands)
    assert count.startswith(f"psql -d {on} -c ")
    assert check.endswith(f" --server {on}" if "=" in on else "/.env.production")
    assert drop == f"""psql -d {made_from} -c 'DROP DATABASE "restored"'"""
