from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from permafrost.errors import ConfigurationError
from permafrost.mastodon.environment import MastodonEnvironment, environment_of, read_environment
from permafrost.mastodon.secrets import read_version, secrets_needed
from permafrost.mastodon.settings import DatabaseSettings, FileSystemStorage, ObjectStorage
from permafrost.postgres.programs.scratch import ScratchCluster

LIVE = Path("/home/mastodon/live")


def environment(**values: str) -> MastodonEnvironment:
    """Return what these variables make of a Mastodon 4.6."""
    return environment_of(values, LIVE, (LIVE / ".env.production",), (4, 6, 0))


def test_nothing_set_means_mastodons_defaults() -> None:
    """Without any variable the settings are Mastodon's own defaults."""
    found = environment()
    assert found.database == DatabaseSettings("localhost", "5432", "mastodon_production", "mastodon", "prefer")
    assert found.storage == FileSystemStorage(LIVE / "public/system", "/system")
    assert found.replica is None
    assert [(server.host, server.port) for server in found.redis] == [("localhost", "6379")]
    assert found.database_notes() == ()


def test_database_variables_are_used() -> None:
    """DB_* make the connection, and a socket's folder becomes the URL's host parameter."""
    found = environment(DB_HOST="/var/run/postgresql", DB_NAME="m", DB_USER="u", DB_SSLMODE="disable")
    assert conninfo_to_dict(found.database.url()) == {
        "host": "/var/run/postgresql",
        "dbname": "m",
        "user": "u",
        "sslmode": "disable",
    }


def test_an_empty_host_is_libpqs_default() -> None:
    """DB_HOST set to nothing leaves the host to libpq, as in Mastodon."""
    assert conninfo_to_dict(environment(DB_HOST="").database.url()) == {
        "dbname": "mastodon_production",
        "user": "mastodon",
    }


def test_database_url_overrides() -> None:
    """DATABASE_URL overrides DB_*, DB_PASS fills a missing password, and Rails' own parameters are left out."""
    found = environment(
        DATABASE_URL="postgres://u%40x@db.example:5433/m%2Fx?pool=5&sslmode=require&connect_timeout=3",
        DB_HOST="elsewhere",
        DB_PASS="pa:ss\\word",
    ).database
    assert found == DatabaseSettings(
        "db.example", "5433", "m/x", "u@x", "require", "pa:ss\\word", (("connect_timeout", "3"),)
    )
    assert conninfo_to_dict(found.url(Path("/etc/pg pass"))) == {
        "host": "db.example",
        "port": "5433",
        "dbname": "m/x",
        "user": "u@x",
        "sslmode": "require",
        "connect_timeout": "3",
        "passfile": "/etc/pg pass",
    }
    assert found.pgpass_line() == "db.example:5433:*:u@x:pa\\:ss\\\\word"


@pytest.mark.parametrize("url", ["mysql://h/m", "postgresql://h:port/m", "just words"])
def test_a_database_url_of_another_kind_is_refused(url: str) -> None:
    """A DATABASE_URL that is not PostgreSQL's is an error that names the variable and not its value."""
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as caught:
        environment(DATABASE_URL=url)
    assert url not in str(caught.value)


names = st.text(alphabet="ab Z9:/?#[]@!$&'()*+,;=%\\é", min_size=1, max_size=8)
hosts = st.one_of(st.just(""), st.sampled_from(["db.example", "10.0.0.1", "::1"]), names.map(lambda one: f"/{one}"))


@given(hosts.filter(lambda one: "," not in one), st.sampled_from(["", "5432", "6000"]), names, names)
def test_any_setting_survives_as_a_url(host: str, port: str, name: str, user: str) -> None:
    """Whatever stands in the variables, libpq reads the same from the URL that is made of them."""
    url = DatabaseSettings(host, port, name, user, "prefer", "hush").url()
    found = conninfo_to_dict(url)
    assert found.get("host", "") == host
    assert found.get("port", "5432") == (port or "5432")
    assert (found["dbname"], found["user"]) == (name, user)
    assert "hush" not in url


@pytest.mark.parametrize(
    ("port", "direct", "noted"), [("6432", "5432", True), ("5433", "5433", True), ("5432", "5432", False)]
)
def test_pgbouncers_port_is_noticed(port: str, direct: str, noted: bool) -> None:
    """PgBouncer's port is replaced by PostgreSQL's and noted; an unusual one is kept and noted."""
    found = environment(DB_PORT=port)
    assert found.direct_database().port == direct
    assert bool(found.database_notes()) is noted


def test_the_replica_falls_back_to_the_primary() -> None:
    """What is not set for the replica is as in DB_*."""
    found = environment(DB_USER="u", DB_PASS="p", REPLICA_DB_NAME="r", REPLICA_DB_HOST="second").replica
    assert found == DatabaseSettings("second", "5432", "r", "u", "prefer", "p")


def test_each_redis_is_found() -> None:
    """The cache's and Sidekiq's servers are told apart from the base where they have one of their own."""
    found = environment(
        REDIS_URL="redis://base", REDIS_PASSWORD="hush", CACHE_REDIS_HOST="cache", SIDEKIQ_REDIS_URL="redis://jobs"
    ).redis
    assert [(one.prefix, one.url, one.host, one.password) for one in found] == [
        ("", "redis://base", "localhost", "hush"),
        ("CACHE_", "", "cache", "hush"),
        ("SIDEKIQ_", "redis://jobs", "localhost", "hush"),
    ]


@pytest.mark.parametrize(
    ("values", "kind", "container"),
    [
        ({"S3_ENABLED": "true", "S3_BUCKET": "b", "AZURE_ENABLED": "true"}, "S3", "b"),
        ({"SWIFT_ENABLED": "true", "SWIFT_CONTAINER": "c", "AZURE_ENABLED": "true"}, "Swift", "c"),
        ({"AZURE_ENABLED": "true", "AZURE_CONTAINER_NAME": "d"}, "Azure", "d"),
    ],
)
def test_object_storage_is_told_and_noted(values: dict[str, str], kind: str, container: str) -> None:
    """The first enabled store counts, and a note says what becomes of its media."""
    found = environment(**values)
    assert isinstance(found.storage, ObjectStorage)
    assert (found.storage.kind, found.storage.container) == (kind, container)
    said = "vaults fetch them" if kind == "S3" else "are not copied"
    assert any(said in note for note in found.notes())


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "https://s3-us-east-1.amazonaws.com/b"),
        ({"S3_REGION": "eu-west-1"}, "https://s3-eu-west-1.amazonaws.com/b"),
        ({"S3_HOSTNAME": "s3.example", "S3_ENDPOINT": "https://inner.example"}, "https://s3.example/b"),
        ({"S3_HOSTNAME": "s3.example", "S3_OVERRIDE_PATH_STYLE": "true"}, "https://s3.example/b"),
        ({"S3_ALIAS_HOST": "files.example", "S3_HOSTNAME": "s3.example"}, "https://files.example"),
        ({"S3_CLOUDFRONT_HOST": "d1.cloudfront.example"}, "https://d1.cloudfront.example"),
        ({"S3_ALIAS_HOST": "files.example/b", "S3_KEY_PREFIX": "social"}, "https://files.example/b/social"),
        ({"S3_HOSTNAME": "minio:9000", "S3_PROTOCOL": "http"}, "http://minio:9000/b"),
    ],
)
def test_where_media_are_read(values: dict[str, str], url: str) -> None:
    """Mastodon's own rules say where everyone reads the files of a bucket: at its alias, or by its path."""
    storage = environment(S3_ENABLED="true", S3_BUCKET="b", **values).storage
    assert isinstance(storage, ObjectStorage)
    assert (storage.public_url, storage.acl) == (url, "public-read")
    closed = environment(S3_ENABLED="true", S3_BUCKET="b", S3_PERMISSION="").storage
    assert isinstance(closed, ObjectStorage)
    assert closed.acl == ""


@pytest.mark.parametrize("value", ["True", "1", "yes", "", "true "])
def test_only_the_word_true_enables(value: str) -> None:
    """Anything but the exact text `true` leaves media in the file system."""
    assert isinstance(environment(S3_ENABLED=value).storage, FileSystemStorage)


@pytest.mark.parametrize(
    ("root", "path"),
    [
        (":rails_root/public/media", "/home/mastodon/live/public/media"),
        ("/srv/media", "/srv/media"),
        ("public/other", "/home/mastodon/live/public/other"),
    ],
)
def test_the_media_folder_is_found(root: str, path: str) -> None:
    """PAPERCLIP_ROOT_PATH may stand for itself, hold `:rails_root`, or be relative to Mastodon's folder."""
    storage = environment(PAPERCLIP_ROOT_PATH=root).storage
    assert isinstance(storage, FileSystemStorage)
    assert storage.path == Path(path)


@pytest.mark.parametrize(
    ("version", "otp", "encryption"),
    [((4, 1, 1), True, False), ((4, 3, 0), True, True), ((4, 4, 0), False, True), ((4, 7, 0), False, True)],
)
def test_each_version_needs_its_secrets(version: tuple[int, int, int], otp: bool, encryption: bool) -> None:
    """OTP_SECRET is needed before 4.4, the three encryption keys since 4.3, the others always."""
    needed = secrets_needed(version)
    assert ("OTP_SECRET" in needed) is otp
    assert ("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY" in needed) is encryption
    assert "SECRET_KEY_BASE" in needed


def test_secrets_are_named_and_never_shown() -> None:
    """Present and missing secrets are known by name, and no text of the settings holds a secret."""
    found = environment(
        SECRET_KEY_BASE="hush1",
        VAPID_PRIVATE_KEY="",
        DB_PASS="hush2",
        REDIS_URL="redis://:hush3@h",
        REDIS_PASSWORD="hush4",
        REPLICA_DATABASE_URL="postgresql://u:hush5@h/m",
        SELF_DESTRUCT="hush6",
    )
    assert found.secrets_present == ("SECRET_KEY_BASE",)
    assert found.secrets_missing[:2] == ("VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY")
    assert found.self_destruct
    assert "hush" not in f"{found!r} {found} {found.notes()}"
    assert sum("SELF_DESTRUCT" in note for note in found.notes()) == 1


def test_all_files_of_production_are_read(tmp_path: Path) -> None:
    """The files are read in the gem's order of precedence, and those that are there are listed."""
    (tmp_path / ".env").write_text("LOCAL_DOMAIN=general.example\nDB_USER=general\n")
    (tmp_path / ".env.production").write_text("\ufeffLOCAL_DOMAIN=social.example\nWEB_DOMAIN=www.$LOCAL_DOMAIN\n")
    (tmp_path / ".env.production.local").write_text("DB_NAME=local\n")
    version = tmp_path / "lib/mastodon/version.rb"
    version.parent.mkdir(parents=True)
    version.write_text("module Version\n  def major\n    4\n  end\n  def minor\n    6\n  end\n")
    found = read_environment(tmp_path)
    assert (found.local_domain, found.web_domain) == ("social.example", "www.social.example")
    assert (found.database.name, found.database.user) == ("local", "general")
    assert [path.name for path in found.files] == [".env.production.local", ".env.production", ".env"]
    assert found.version == (4, 6, 0)


def test_the_production_file_must_be_there(tmp_path: Path) -> None:
    """A folder without .env.production is not Mastodon's, and its version is not known."""
    (tmp_path / ".env").write_text("DB_NAME=x\n")
    with pytest.raises(ConfigurationError, match=r"no .*/\.env\.production"):
        read_environment(tmp_path)
    assert read_version(tmp_path) is None


def test_postgresql_accepts_url_and_passfile(cluster: ScratchCluster, tmp_path: Path) -> None:
    """A real server is reached with the URL that is made, its pgpass file beside it."""
    parameters = conninfo_to_dict(cluster.conninfo("postgres"))
    settings = DatabaseSettings(
        host=str(parameters["host"]),
        port=str(parameters.get("port", "")),
        name="postgres",
        user=str(parameters["user"]),
        sslmode="prefer",
        password="not:asked\\for",
    )
    passfile = tmp_path / "pass"
    passfile.write_text(settings.pgpass_line() + "\n")
    passfile.chmod(0o600)
    with psycopg.connect(settings.url(passfile)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.info.password == "not:asked\\for"
    with psycopg.connect(replace(settings, password="").url()) as connection:
        assert connection.info.dbname == "postgres"
