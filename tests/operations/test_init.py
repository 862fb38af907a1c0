from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from permafrost.config.checking import check_files
from permafrost.config.loading import load_configuration
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import (
    ConfigurationError,
    InterruptedRunError,
    KeyFileError,
    ReportedError,
    ToolError,
    UsageError,
)
from permafrost.events import Event, Warned, ignore_events
from permafrost.mastodon.initial_settings import InitRequest
from permafrost.openpgp.fingerprints import in_groups
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.passphrase import ALPHABET, new_passphrase
from permafrost.openpgp.sealing import PassphraseSealing
from permafrost.openpgp.signing import Verifier, sign_detached
from permafrost.operations.init import Initialized, initialize
from permafrost.repository.key_check import KeyVerdict, judge_key
from permafrost.repository.repository import Repository
from tests.fixtures.commands import json_with
from tests.fixtures.recipients import Recipient, new_recipient

NOW = datetime(2026, 11, 22, 23, 40, tzinfo=UTC)
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
ENV = """\
LOCAL_DOMAIN=social.example
DB_HOST=/var/run/postgresql
DB_PASS='pa:ss'
SECRET_KEY_BASE=a
VAPID_PRIVATE_KEY=b
VAPID_PUBLIC_KEY=c
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: gpg-agent's sockets go below it."""
    folder = Path(tempfile.mkdtemp(prefix="pf-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def mastodon(folder: Path) -> Path:
    """A Mastodon with an environment file and a media folder."""
    live = folder / "live"
    (live / "public/system").mkdir(parents=True)
    (live / ".env.production").write_text(ENV)
    return live


@pytest.fixture
def asked(folder: Path, mastodon: Path) -> InitRequest:
    """What an admin asks for who gives Mastodon's folder."""
    return InitRequest(
        config_file=folder / "etc/permafrost.toml",
        mastodon=mastodon,
        repository=folder / "var/repository",
        state=folder / "var/state",
    )


def run(
    asked: InitRequest,
    report: Callable[[Event], None] = ignore_events,
    make_passphrase: Callable[[], str] = new_passphrase,
) -> Initialized:
    """Run init at a fixed time."""
    return initialize(asked, now=NOW, report=report, make_passphrase=make_passphrase)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return everything below `folder`: modes of folders, modes and contents of files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def test_everything_is_made(asked: InitRequest, folder: Path) -> None:
    """Configuration, passphrase, pgpass, key, repository and sheet are there, with their modes, and fit together."""
    made = run(asked)
    configuration = load_configuration(asked.config_file)
    assert configuration == made.configuration
    assert check_files(configuration) == []
    assert configuration.server.name == "social.example"
    assert configuration.secrets.files == (folder / "live/.env.production",)
    assert configuration.media is not None
    assert configuration.media.path == folder / "live/public/system"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "etc").iterdir()}
    assert modes == {
        "gnupg": 0o700,
        "passphrase": 0o600,
        "pgpass": 0o600,
        "permafrost.toml": 0o640,
        "recovery-sheet.txt": 0o600,
    }
    assert {path.name for path in (folder / "var").iterdir()} == {"repository", "state"}
    repository = Repository.open(folder / "var/repository")
    assert repository.repository_id == made.repository_id
    assert repository.fingerprint == configuration.signing.fingerprint == made.fingerprint


def test_the_sheet_is_enough(asked: InitRequest, folder: Path) -> None:
    """The recovery sheet names id, fingerprint, passphrase and commands, and fits on paper."""
    made = run(asked)
    sheet = (folder / "etc/recovery-sheet.txt").read_text()
    assert sheet == made.recovery_sheet
    assert made.repository_id in sheet
    assert made.fingerprint in sheet.replace(" ", "")
    assert made.fingerprint not in sheet
    assert read_secret_file(folder / "etc/passphrase") in sheet
    assert "permafrost restore latest --repository" in sheet
    assert "pa:ss" not in sheet
    assert max(map(len, sheet.splitlines())) <= 80


def test_the_sheet_asks_for_nothing_that_is_not_there(asked: InitRequest) -> None:
    """Without secrets and media, and a database of the superuser's, the sheet names none of them and makes no role."""
    url = "postgresql:///mastodon?host=/run/postgresql&user=postgres"
    sheet = run(replace(asked, mastodon=None, database_url=url)).recovery_sheet
    assert "--database mastodon" in sheet
    for word in ("--secrets-to", ".env.production", "media", "createuser", "--secret-key-file"):
        assert word not in sheet


def beside(asked: InitRequest, folder: Path) -> InitRequest:
    """Return the same asked for another folder."""
    return replace(asked, config_file=folder / "x.toml", repository=folder / "repository", state=folder / "state")


@contextmanager
def ordinary_user() -> Iterator[str]:
    """Be somebody whom file modes stop, within the block; yield the name."""
    if os.geteuid() != 0:
        yield pwd.getpwuid(os.geteuid()).pw_name
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield "nobody"
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("is_there", [False, True])
def test_folders_of_somebody_else(asked: InitRequest, folder: Path, *, is_there: bool) -> None:
    """Where the user may make nothing, the hint has the line that makes the folders, for that user."""
    run(beside(asked, folder / "warm"))  # Python's own modules that load late may be closed to the other user
    if is_there:
        for name in ("etc", "var"):
            (folder / name).mkdir(mode=0o500 if os.geteuid() else 0o700)
    folder.chmod(0o555)
    try:
        with ordinary_user() as user, pytest.raises(ConfigurationError, match="Permission denied") as caught:
            run(asked)
    finally:
        folder.chmod(0o755)
    assert f"as root: install -d -o {user} -m 0700 {folder}/etc {folder}/var;" in caught.value.hint


def test_the_signing_key_signs(asked: InitRequest, folder: Path) -> None:
    """The key in its place signs without a passphrase, and the repository's public key verifies it."""
    made = run(asked)
    signature = sign_detached(folder / "etc/gnupg", made.fingerprint, b"data")
    public_key = (folder / "var/repository/signing-key.asc").read_bytes()
    with temporary_home() as home:
        verifier = Verifier(home, public_key, made.fingerprint)
        assert verifier.is_valid(b"data", signature)
        assert not verifier.is_valid(b"other", signature)


def test_the_database_password_goes_into_a_file(asked: InitRequest, folder: Path) -> None:
    """The password of Mastodon's settings stands in pgpass, and nowhere in configuration and repository."""
    run(asked)
    url = load_configuration(asked.config_file).database.url
    assert conninfo_to_dict(url) == {
        "user": "mastodon",
        "dbname": "mastodon_production",
        "host": "/var/run/postgresql",
        "passfile": str(folder / "etc/pgpass"),
    }
    assert (folder / "etc/pgpass").read_text() == "*:5432:*:mastodon:pa\\:ss\n"
    assert "pa:ss" not in asked.config_file.read_text()


def test_a_given_url_is_used_instead(asked: InitRequest, folder: Path) -> None:
    """--database wins over Mastodon's settings; its password goes into pgpass too, and no port is remarked on."""
    (folder / "live/.env.production").write_text(ENV + "DB_PORT=6432\n")
    events: list[Event] = []
    run(replace(asked, database_url="postgresql://u:hush@db.example/m?sslmode=require"), events.append)
    assert conninfo_to_dict(load_configuration(asked.config_file).database.url) == {
        "user": "u",
        "dbname": "m",
        "host": "db.example",
        "sslmode": "require",
        "passfile": str(folder / "etc/pgpass"),
    }
    assert (folder / "etc/pgpass").read_text() == "db.example:*:*:u:hush\n"
    assert not [event for event in events if isinstance(event, Warned) and "port" in event.message]


def test_init_without_mastodon(asked: InitRequest, folder: Path) -> None:
    """A database alone is enough: no media, no secrets, no pgpass, and the URL as it was given."""
    url = "postgresql:///mastodon?host=/run/postgresql"
    run(replace(asked, mastodon=None, database_url=url))
    configuration = load_configuration(asked.config_file)
    assert (configuration.database.url, configuration.media, configuration.secrets.files) == (url, None, ())
    assert not (folder / "etc/pgpass").exists()


def test_media_in_an_object_store_are_noted(asked: InitRequest, mastodon: Path) -> None:
    """With S3 vaults fetch the media from where Mastodon has them read; the file and a warning say so."""
    (mastodon / ".env.production").write_text(ENV + "S3_ENABLED=true\nS3_BUCKET=files\nS3_HOSTNAME=s3.example\n")
    events: list[Event] = []
    run(asked, events.append)
    media = load_configuration(asked.config_file).media
    assert media is not None
    assert (media.path, media.public_url) == (None, "https://s3.example/files")
    assert "vaults fetch them from https://s3.example/files" in asked.config_file.read_text()
    assert any("S3 (files)" in event.message for event in events if isinstance(event, Warned))


def test_recipients_need_no_passphrase(asked: InitRequest, folder: Path, recipient: Recipient) -> None:
    """Sealed to public keys, there is no passphrase anywhere, and the sheet names the keys instead."""
    fingerprint = recipient.put_into(folder / "keys")
    made = run(replace(asked, recipients=(fingerprint.lower(),), recipients_dir=folder / "keys"))
    assert made.configuration.encryption.recipients == (fingerprint,)
    assert not (folder / "etc/passphrase").exists()
    assert in_groups(fingerprint) in made.recovery_sheet
    assert "--secret-key-file secret-key.asc" in made.recovery_sheet
    assert Repository.open(asked.repository).facts.sealing == "recipients"


def test_the_first_backup_knows_its_passphrase(asked: InitRequest) -> None:
    """From init on the repository can tell its own passphrase from any other."""
    made = run(asked)
    file = made.configuration.encryption.passphrase_file
    assert file is not None

    def verdict() -> KeyVerdict:
        with temporary_home() as home:
            return judge_key(Repository.open(asked.repository), PassphraseSealing(file), home, made.fingerprint)

    assert verdict() is KeyVerdict.SAME
    file.write_text("another passphrase\n")
    assert verdict() is KeyVerdict.OTHER


def test_recipients_that_cannot_encrypt(asked: InitRequest, folder: Path) -> None:
    """A recipient's key that cannot encrypt is refused by init and by config check, and nothing is made."""
    fingerprint = new_recipient(("ed25519", "sign", "never")).put_into(folder / "keys")
    before = tree(folder)
    with pytest.raises(KeyFileError, match="no encryption subkey"):
        run(replace(asked, recipients=(fingerprint,), recipients_dir=folder / "keys"))
    assert tree(folder) == before
    config = folder / "permafrost.toml"
    sections = ('[database]\nurl = "dbname=nowhere"', f'[encryption]\nrecipients = ["{fingerprint}"]')
    config.write_text("\n".join((*sections, f'recipients_dir = "{folder / "keys"}"')))
    problems = json_with(10, "config", "check", f"--config={config}")["problems"]
    assert [one["line"] for one in problems if "no encryption subkey" in one["message"]] == [5]


@pytest.mark.parametrize(
    "existing",
    ["etc/permafrost.toml", "etc/passphrase", "etc/pgpass", "etc/gnupg", "etc/recovery-sheet.txt", "var/repository"],
)
def test_nothing_is_overwritten(asked: InitRequest, folder: Path, existing: str) -> None:
    """If any target exists, be it a broken link, it is named and nothing at all is made or changed."""
    place = folder / existing
    place.parent.mkdir()
    place.symlink_to("nowhere")
    before = tree(folder)
    with pytest.raises(ConfigurationError, match=f"already exists: {place}$"):
        run(asked)
    assert tree(folder) == before


def test_a_second_init_changes_nothing(asked: InitRequest, folder: Path) -> None:
    """A second run names all that is there and leaves every byte as it was."""
    run(asked)
    before = tree(folder)
    with pytest.raises(ConfigurationError) as caught:
        run(asked)
    assert all(name in str(caught.value) for name in ("passphrase", "gnupg", "repository", "pgpass", "sheet", "toml"))
    assert tree(folder) == before


@pytest.mark.parametrize("error", [InterruptedRunError(signal.SIGTERM), OSError(28, "No space left on device", "x")])
def test_a_failure_midway_leaves_nothing(asked: InitRequest, folder: Path, error: BaseException) -> None:
    """If a step fails or a signal ends the run, all that the run had made is gone again."""
    before = tree(folder)

    def fail() -> str:
        raise error

    with pytest.raises(ReportedError):
        run(asked, make_passphrase=fail)
    assert tree(folder) == before


def test_what_appears_meanwhile_is_not_overwritten(asked: InitRequest, folder: Path) -> None:
    """A target that appears during the run is kept, and all that the run had placed is gone again."""

    def intrude() -> str:
        asked.config_file.write_text("mine\n")
        return "passphrase"

    with pytest.raises(ConfigurationError, match="appeared in the meantime"):
        run(asked, make_passphrase=intrude)
    assert {path.name for path in folder.iterdir()} == {"live", "etc"}
    assert {path.name: path.read_text() for path in (folder / "etc").iterdir()} == {"permafrost.toml": "mine\n"}


def test_without_gpg_nothing_is_made(asked: InitRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing gpg is an error that names it, and nothing is left."""
    before = tree(folder)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(ToolError, match="gpg"):
        run(asked)
    assert tree(folder) == before


@pytest.mark.parametrize("repository", ["etc", ".", "var", "etc/gnupg"])
def test_secrets_never_go_into_the_repository(asked: InitRequest, folder: Path, repository: str) -> None:
    """A repository folder that would hold passphrase, sheet, key or state is refused, and nothing is made."""
    before = tree(folder)
    with pytest.raises(ConfigurationError, match="carries to the vaults"):
        run(replace(asked, repository=folder / repository))
    assert tree(folder) == before


def test_what_is_asked_must_fit_together(asked: InitRequest, folder: Path) -> None:
    """No database, recipients without their folder or without their keys, and a wrong name are errors."""
    before = tree(folder)
    with pytest.raises(UsageError, match="no database"):
        run(replace(asked, mastodon=None))
    with pytest.raises(UsageError, match="must be used together"):
        run(replace(asked, recipients=(FINGERPRINT,)))
    with pytest.raises(ConfigurationError, match=rf"{FINGERPRINT}\.asc"):
        run(replace(asked, recipients=(FINGERPRINT,), recipients_dir=folder))
    with pytest.raises(ConfigurationError, match=r"server\.name"):
        run(replace(asked, name="No Name"))
    with pytest.raises(ConfigurationError, match=r"no .*/\.env\.production"):
        run(replace(asked, mastodon=folder))
    assert tree(folder) == before


def test_passphrases_have_200_bits() -> None:
    """A passphrase has 40 letters chosen from 32 of which none look alike, and a check letter in each group."""
    passphrase = new_passphrase()
    groups = passphrase.split("-")
    assert [len(group) for group in groups] == [6] * 8
    assert len(set(ALPHABET)) == 32
    assert not set(ALPHABET) & set("01lo")
    assert set("".join(groups)) <= set(ALPHABET)
    letters = Counter(letter for _ in range(400) for group in new_passphrase().split("-") for letter in group[:5])
    assert len(letters) == 32
    assert max(letters.values()) < 2 * min(letters.values())  # 500 of each expected; by chance under 1 in 10^9


@given(st.lists(st.sampled_from(ALPHABET), min_size=40, max_size=40))
def test_every_letter_is_a_choice(letters: list[str]) -> None:
    """Less its check letters, a passphrase is nothing but the letters that were chosen, in their order."""
    choices = iter(letters)
    made = new_passphrase(lambda _: next(choices))
    assert "".join(group[:5] for group in made.split("-")) == "".join(letters)
