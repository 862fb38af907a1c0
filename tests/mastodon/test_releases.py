"""Mastodon's releases from 4.1 to 4.7 and glitch-soc: each is backed up, restored, recognized and found sound."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from permafrost.events import ignore_events
from permafrost.mastodon.dotenv import parse_dotenv
from permafrost.mastodon.health.examine import examine
from permafrost.mastodon.health.report import HealthReport
from permafrost.mastodon.secrets import KEYPAIRS_SINCE, SINCE_4_3
from permafrost.postgres.connection import connected, conninfo_for
from samples.environment import environment_file
from samples.media import write_media
from samples.releases import KEYPAIRS_MIGRATION, become_4_7, fill_4_1
from samples.rows import LOCAL_DOMAIN
from tests.fixtures.backups import contents_of, drop, make_backup, make_restore
from tests.fixtures.server import MakeServer

Environment = dict[str, str]
RESTORED = "restored_release"

# what glitch-soc adds to Mastodon's own tables
GLITCH_SOC = """
    ALTER TABLE statuses ADD COLUMN local_only boolean, ADD COLUMN content_type character varying;
    ALTER TABLE status_edits ADD COLUMN content_type character varying;
    UPDATE statuses SET content_type = 'text/markdown', local_only = id % 2 = 0"""


@pytest.fixture
def environment() -> Environment:
    """What the sample server's `.env.production` sets."""
    return parse_dotenv(environment_file(LOCAL_DOMAIN, "mastodon_production", Path("/run/postgresql"), 5432))


@pytest.fixture
def release(request: pytest.FixtureRequest, mastodon_database: str, database: str, environment: Environment) -> str:
    """The sample database as the release that the test names."""
    with psycopg.connect(mastodon_database) as connection:
        if request.param == "4.1":
            with psycopg.connect(database) as oldest:
                fill_4_1(oldest, connection, environment["OTP_SECRET"])
            return database
        if request.param == "4.7":
            become_4_7(connection)
        else:
            connection.execute(GLITCH_SOC)
    return mastodon_database


def look(conninfo: str, environment: Environment, media: Path | None = None) -> HealthReport:
    """Examine the database."""
    with connected(conninfo) as connection:
        return examine(connection, environment, media, report=ignore_events, local_domain=LOCAL_DOMAIN)


@pytest.mark.parametrize(
    ("release", "name", "proofs"),
    [
        ("4.1", "Mastodon 4.1", {"second-factors", "account-keys"}),
        ("glitch-soc", "Mastodon 4.6.0", {"second-factors", "account-keys"}),
        ("4.7", "newer than Mastodon 4.6.0", {"second-factors", "keypairs"}),
    ],
    indirect=["release"],
)
def test_a_restored_release_is_sound(
    release: str,
    name: str,
    proofs: set[str],
    mastodon_database: str,
    environment: Environment,
    make_server: MakeServer,
    tmp_path: Path,
) -> None:
    """Every row comes back, local media are expected where they are, and the secrets decrypt what they protect."""
    with psycopg.connect(mastodon_database) as connection:
        write_media(connection, tmp_path / "media")
    server = make_server(release, engine="log")
    make_backup(server, is_audited=True)
    try:
        make_restore(server, RESTORED)
        restored = conninfo_for(release, dbname=RESTORED)
        assert contents_of(restored) == contents_of(release)
        report = look(restored, environment, tmp_path / "media")
    finally:
        drop(release, RESTORED)
    assert report.findings == ()
    assert report.release.startswith(name)
    passed = {check.code for check in report.checks if check.outcome == "passed"}
    assert proofs | {"media-files", "media-modes", "secrets-present", "local-domain"} <= passed


@pytest.mark.parametrize("release", ["4.7"], indirect=True)
@pytest.mark.parametrize("name", SINCE_4_3)
def test_4_7_without_one_of_its_three_keys(release: str, environment: Environment, name: str) -> None:
    """Without any one of the three the check says so, and without the two that unlock the keys, what is lost."""
    report = look(release, {**environment, name: ""})
    assert "secrets-present" in {check.code for check in report.findings}
    lost = [check for check in report.findings if check.code == "keypairs"]
    assert all("identity in the fediverse is lost" in check.message for check in lost)
    assert KEYPAIRS_SINCE == KEYPAIRS_MIGRATION
    assert lost


@pytest.mark.parametrize("release", ["4.1"], indirect=True)
def test_4_1_with_another_otp_secret(release: str, environment: Environment) -> None:
    """Up to 4.2 OTP_SECRET is what second factors are tried with."""
    report = look(release, {**environment, "OTP_SECRET": "another"})
    assert [check.code for check in report.findings] == ["second-factors"]
