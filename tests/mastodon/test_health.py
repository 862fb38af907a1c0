"""Health checks of a Mastodon database: a sound one has no finding, and each planted defect is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest

from permafrost.events import ignore_events
from permafrost.mastodon.dotenv import parse_dotenv
from permafrost.mastodon.health.examine import examine
from permafrost.mastodon.health.releases import release_of
from permafrost.mastodon.health.report import Check, HealthReport
from permafrost.postgres.connection import connected
from permafrost.postgres.programs.scratch import ScratchCluster
from samples.encryption import encrypted, key_pair
from samples.environment import environment_file
from samples.media import expected_files, write_media
from samples.rows import LOCAL_DOMAIN
from tests.fixtures.hidden_rows import hide_a_duplicate
from tests.fixtures.postgresql import temporary_database

Environment = dict[str, str]
ANOTHER_PUBLIC_KEY = "BMJVUEe9DtNgF26KSvnzzpwfQm1DPiOrkKsK5lMbx5Y6T1bAf4xVy3c8_W-dCEdLDarSXcl0vVEz00jaaeItZd4="


@pytest.fixture
def environment() -> Environment:
    """What the sample server's `.env.production` sets."""
    return parse_dotenv(environment_file(LOCAL_DOMAIN, "mastodon_production", Path("/run/postgresql"), 5432))


@pytest.fixture(scope="module")
def untouched_database(cluster: ScratchCluster, mastodon_template: str) -> Iterator[str]:
    """The connection string of a database that the tests only read."""
    with temporary_database(cluster, mastodon_template) as conninfo:
        yield conninfo


@pytest.fixture
def live(mastodon_database: str) -> Iterator[psycopg.Connection]:
    """A connection that changes the sample database."""
    with psycopg.connect(mastodon_database, autocommit=True) as connection:
        yield connection


def look(conninfo: str, environment: Environment | None, media: Path | None = None, **words: object) -> HealthReport:
    """Examine the database."""
    with connected(conninfo) as connection:
        return examine(connection, environment, media, report=ignore_events, **words)  # type: ignore[arg-type]


def the_finding(report: HealthReport) -> Check:
    """Return the only finding."""
    (finding,) = report.findings
    return finding


def test_a_sound_server(untouched_database: str, environment: Environment, tmp_path: Path) -> None:
    """The sample server has no finding, everything is looked at, and secrets are proved by what they decrypt."""
    with psycopg.connect(untouched_database) as connection:
        write_media(connection, tmp_path)
    report = look(untouched_database, environment, tmp_path, local_domain=LOCAL_DOMAIN)
    outcomes = {check.code: check.outcome for check in report.checks}
    assert report.findings == ()
    assert {code for code, outcome in outcomes.items() if outcome == "skipped"} == {"keypairs"}
    assert report.release == "Mastodon 4.6.0"
    by_code = {check.code: check for check in report.checks}
    assert (by_code["second-factors"].count or 0) >= 1
    assert (by_code["account-keys"].count or 0) >= 3
    assert (by_code["media-files"].count or 0) > 10


def test_nothing_is_changed(untouched_database: str, environment: Environment) -> None:
    """The database is only read, in a transaction that could not write."""
    with connected(untouched_database) as connection:
        connection.execute("SET default_transaction_read_only = on")
        assert examine(connection, environment, None, report=ignore_events).findings == ()


def test_without_secrets(untouched_database: str) -> None:
    """Without secrets at hand, what they would prove is skipped and told, and is no finding."""
    report = look(untouched_database, None)
    assert report.findings == ()
    assert {check.code for check in report.checks if check.outcome == "skipped"} == {
        "secrets",
        "local-domain",
        "media-files",
    }


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", "another", "second-factors"),
        ("ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT", "another", "second-factors"),
        ("ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY", "", "secrets-present"),
        ("SECRET_KEY_BASE", "", "secrets-present"),
        ("VAPID_PUBLIC_KEY", ANOTHER_PUBLIC_KEY, "vapid"),
        ("VAPID_PRIVATE_KEY", "not base64!", "vapid"),
        ("SELF_DESTRUCT", "a signed value", "self-destruct"),
        ("LOCAL_DOMAIN", "other.example", "local-domain"),
        ("LOCAL_DOMAIN", "", "local-domain"),
    ],
)
def test_wrong_settings(untouched_database: str, environment: Environment, name: str, value: str, code: str) -> None:
    """One wrong setting is one finding."""
    assert the_finding(look(untouched_database, {**environment, name: value})).code == code


def test_another_domain_than_the_snapshots(untouched_database: str, environment: Environment) -> None:
    """A domain that differs from the recorded one is found."""
    report = look(untouched_database, environment, local_domain="elsewhere.example")
    assert "it was elsewhere.example" in the_finding(report).message


def test_duplicates_behind_a_lying_index(
    mastodon_database: str, live: psycopg.Connection, environment: Environment
) -> None:
    """Duplicates are found although an index says that there are none, and their ids are told."""
    live.execute("DROP INDEX index_accounts_on_username_and_domain_lower")
    live.execute("""CREATE UNIQUE INDEX index_accounts_on_username_and_domain_lower ON accounts (lower(username),
        coalesce(lower(domain), ''), id)""")
    (first, second) = (row[0] for row in live.execute("SELECT id FROM accounts WHERE domain <> '' ORDER BY id LIMIT 2"))
    live.execute(
        """UPDATE accounts SET username = upper(o.username), domain = o.domain FROM accounts o
        WHERE accounts.id = %s AND o.id = %s""",
        (second, first),
    )
    found = the_finding(look(mastodon_database, environment))
    assert found.code == "duplicates-accounts-username-domain"
    assert found.ids == (f"{first}={second}",)
    assert found.count == 1


@pytest.mark.parametrize(("table", "column"), [("tags", "name"), ("statuses", "uri"), ("users", "email")])
def test_duplicates_without_an_index(
    mastodon_database: str, live: psycopg.Connection, environment: Environment, table: str, column: str
) -> None:
    """Where a unique index was never made, as after a restore that failed half way, duplicates are found."""
    names = live.execute(
        "SELECT i.indexrelid::regclass::text FROM pg_index i WHERE i.indrelid = %s::regclass AND i.indisunique"
        " AND NOT i.indisprimary AND pg_get_indexdef(i.indexrelid) LIKE %s",
        (table, f"%{column}%"),
    ).fetchall()
    for (name,) in names:
        live.execute(f"DROP INDEX {name}")
    live.execute(
        f"UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY id LIMIT 1)"
        f" WHERE id = (SELECT id FROM {table} WHERE {column} IS NOT NULL ORDER BY id OFFSET 1 LIMIT 1)"
    )
    assert the_finding(look(mastodon_database, environment)).code == f"duplicates-{table}-{column}"


def test_an_index_that_is_not_valid(mastodon_database: str, live: psycopg.Connection, environment: Environment) -> None:
    """An index that CREATE INDEX CONCURRENTLY left unfinished is found by name."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        live.execute("CREATE UNIQUE INDEX CONCURRENTLY half_made ON statuses ((1))")
    assert the_finding(look(mastodon_database, environment)).ids == ("half_made",)


def test_keypairs_of_4_7(mastodon_database: str, live: psycopg.Connection, environment: Environment) -> None:
    """Encrypted signing keys are decrypted and tried; with other secrets the finding says so."""
    account = live.execute("SELECT id FROM accounts WHERE domain IS NULL AND id > 0 ORDER BY id LIMIT 1").fetchone()
    private, public = key_pair(7)
    insert = """INSERT INTO keypairs (account_id, uri, type, private_key, public_key, created_at, updated_at)
        VALUES (%s, 'https://local/key', 0, %s, %s, now(), now())"""
    live.execute(insert, (account and account[0], encrypted_with_seed(private), public))
    sound = look(mastodon_database, environment)
    assert sound.findings == ()
    assert {check.code: check.outcome for check in sound.checks}["keypairs"] == "passed"
    wrong = look(mastodon_database, {**environment, "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY": "another"})
    assert {check.code for check in wrong.findings} == {"second-factors", "keypairs"}
    live.execute("UPDATE keypairs SET public_key = %s WHERE uri = 'https://local/key'", (key_pair(8)[1],))
    assert the_finding(look(mastodon_database, environment)).code == "keypairs"


def encrypted_with_seed(text: str) -> str:
    """Return the text as Rails would store it."""
    return encrypted(Random(1), text.encode())


def test_account_keys_that_do_not_fit(
    mastodon_database: str, live: psycopg.Connection, environment: Environment
) -> None:
    """A local account whose public key is another's is found by its id."""
    live.execute("UPDATE accounts SET public_key = %s WHERE id = -99", (key_pair(9)[1],))
    found = the_finding(look(mastodon_database, environment))
    assert (found.code, found.ids) == ("account-keys", ("-99",))


def test_missing_media(
    mastodon_database: str, live: psycopg.Connection, environment: Environment, tmp_path: Path
) -> None:
    """Files of local accounts that are not there are counted, sampled and listed; cached ones are not missed."""
    write_media(live, tmp_path)
    local = [one for one in expected_files(live) if one.path.parts[0] != "cache"]
    for one in expected_files(live):
        if one.path.parts[0] == "cache":
            (tmp_path / one.path).unlink()
    assert look(mastodon_database, environment, tmp_path).findings == ()
    gone = next(one for one in local if one.path.parts[0] == "media_attachments")
    (tmp_path / gone.path).unlink()
    listed: list[str] = []
    found = the_finding(look(mastodon_database, environment, tmp_path, missing_to=listed.append))
    assert (found.code, found.count, listed) == ("media-files", 1, [str(gone.path)])


def test_modes_that_were_lost(
    mastodon_database: str, live: psycopg.Connection, environment: Environment, tmp_path: Path
) -> None:
    """Files of a suspended account that everybody can read are found."""
    write_media(live, tmp_path)
    closed = [one for one in expected_files(live) if one.mode == 0o600 and one.path.parts[0] != "cache"]
    (tmp_path / closed[0].path).chmod(0o644)
    found = the_finding(look(mastodon_database, environment, tmp_path))
    assert (found.code, found.ids) == ("media-modes", (str(closed[0].path),))


def test_names_that_leave_the_folder(
    mastodon_database: str, live: psycopg.Connection, environment: Environment, tmp_path: Path
) -> None:
    """A file name out of the database that leads elsewhere is not followed: it counts as missing."""
    write_media(live, tmp_path / "media")
    (tmp_path / "secret").touch()
    live.execute("UPDATE site_uploads SET file_file_name = '../../../../../../../secret' WHERE var = 'mascot'")
    live.execute("UPDATE custom_emojis SET image_file_name = '../../../../../../../secret' WHERE domain IS NULL")
    assert the_finding(look(mastodon_database, environment, tmp_path / "media")).code == "media-files"


def test_another_database(database: str) -> None:
    """Of a database that is no Mastodon's, what any database promises is looked at, and the rest told as skipped."""
    with psycopg.connect(database) as connection:
        hide_a_duplicate(connection)
    report = look(database, None)
    found = the_finding(report)
    assert found.code == "unique-index-public.accounts-accounts_by_name"
    assert found.ids == ("(user7) in 2 rows",)
    assert "SELECT" in found.sql
    assert [check.code for check in report.checks if check.outcome == "skipped"] == ["mastodon"]


@pytest.mark.parametrize(
    ("version", "tables", "release"),
    [
        ("20260611150940", 115, "Mastodon 4.6.0"),
        ("20221206114142", 91, "Mastodon 4.1"),
        ("20240909014637", 98, "between Mastodon 4.1 and 4.6.0; its 98 tables are those of 4.3"),
        ("20260702144128", 118, "newer than Mastodon 4.6.0; its 118 tables are those of 4.7"),
        ("20990101000000", 130, "newer than Mastodon 4.6.0"),
        ("20200101000000", 80, "older than Mastodon 4.1"),
    ],
)
def test_releases(version: str, tables: int, release: str) -> None:
    """A schema version is told as a release, or between which ones."""
    assert release_of(version, tables) == release
