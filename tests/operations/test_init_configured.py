"""A configuration that somebody else wrote: init makes what it names and the machine lacks, and nothing else."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from permafrost.config.checking import check_files
from permafrost.config.models import Configuration
from permafrost.errors import ConfigurationError, KeyFileError, RepositoryError, SpaceError
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import PassphraseSealing
from permafrost.openpgp.signing import sign_detached
from permafrost.operations.init_configured import InitConfigured, initialize_configured
from permafrost.repository.key_check import KeyVerdict, judge_key
from permafrost.repository.layout import FACTS_FILE, KEY_CHECK_FILE
from permafrost.repository.repository import Repository

NOW = datetime(2026, 11, 26, 4, 40, tzinfo=UTC)
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: gpg-agent's sockets go below it."""
    folder = Path(tempfile.mkdtemp(prefix="pf-"))
    yield folder
    shutil.rmtree(folder)


def declared(folder: Path, **sections: object) -> Configuration:
    """Return what a packager declares: everything below one folder, and no fingerprint, which nobody knows yet."""
    return Configuration.model_validate(
        {
            "server": {"name": "social.example"},
            "database": {"url": "postgresql:///mastodon?host=/run/postgresql"},
            "repository": {"path": folder / "var/repository"},
            "state": {"path": folder / "var/state"},
            "encryption": {"passphrase_file": folder / "var/keys/passphrase"},
            "signing": {"gnupg_home": folder / "var/keys/gnupg"},
            "secrets": {"files": (folder / "secret-key-base", folder / "vapid-private-key")},
            **sections,
        }
    )


def run(configuration: Configuration) -> InitConfigured:
    """Make what is missing."""
    return initialize_configured(configuration, Path("/nix/store/permafrost.toml"), now=NOW)


def names(made: InitConfigured) -> list[str]:
    """Return the last parts of what was made."""
    return [path.name for path in made.made]


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files below `folder`."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_made_once(folder: Path) -> None:
    """Key, passphrase, sheet, repository and state fit together; a second run makes and changes nothing."""
    configuration = declared(folder)
    made = run(configuration)
    assert names(made) == ["gnupg", "passphrase", "recovery-sheet.txt", "state", "repository"]
    assert [key for key, _ in check_files(configuration)] == ["secrets.files", "secrets.files"]
    passphrase = (folder / "var/keys/passphrase").read_text().strip()
    sheet = (folder / "var/keys/recovery-sheet.txt").read_text()
    assert passphrase in sheet
    assert made.repository_id in sheet
    assert "all files from secrets" in sheet
    assert stat.S_IMODE((folder / "var/keys").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder / "var/keys").glob("*.*")} == {0o600}
    assert Repository.open(folder / "var/repository").fingerprint == made.fingerprint
    assert sign_detached(folder / "var/keys/gnupg", made.fingerprint, b"data")

    before = tree(folder)
    again = run(configuration)
    assert again.made == []
    assert (again.repository_id, again.fingerprint) == (made.repository_id, made.fingerprint)
    assert tree(folder) == before


def test_an_existing_passphrase_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase that is there, in a file or as a credential, is on the sheet, and none is made."""
    own = folder / "own-passphrase"
    own.write_text("correct horse\n")
    own.chmod(0o400)
    made = run(declared(folder, encryption={"passphrase_file": own}))
    assert "passphrase" not in names(made)
    assert "correct horse" in made.sheet_file.read_text()

    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "passphrase").write_text("battery staple\n")
    (credentials / "passphrase").chmod(0o440 if os.geteuid() == 0 else 0o400)
    credentials.chmod(0o550)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    other = folder / "other"
    made = run(declared(other, encryption={"passphrase_file": "credential:passphrase"}))
    assert "battery staple" in made.sheet_file.read_text()
    with pytest.raises(KeyFileError):
        run(declared(folder / "third", encryption={"passphrase_file": "credential:missing"}))
    assert not (folder / "third").exists()


@pytest.mark.parametrize("is_exchanged", [False, True])
def test_the_first_backup_is_held_to_the_sheet(folder: Path, *, is_exchanged: bool) -> None:
    """A passphrase that is exchanged after the sheet was written seals nothing: the sheet would open no backup."""
    own = folder / "own-passphrase"
    own.write_text("correct horse\n")
    own.chmod(0o600)
    configuration = declared(folder, encryption={"passphrase_file": own})
    run(configuration)
    if is_exchanged:
        own.write_text("battery staple\n")
    with temporary_home() as home:
        repository = Repository.open(configuration.repository.path)
        verdict = judge_key(repository, PassphraseSealing(own), home, None)
    assert verdict is (KeyVerdict.OTHER if is_exchanged else KeyVerdict.SAME)


def test_a_repository_never_gets_other_keys(folder: Path) -> None:
    """Where the passphrase or the signing key of an existing repository is gone, nothing is made, and the hint says
    why."""
    configuration = declared(folder)
    run(configuration)
    keys = folder / "var/keys"
    for name, hint in (("passphrase", "the passphrase of the recovery sheet"), ("gnupg", "bring the folder back")):
        (keys / name).rename(keys / "away")
        before = tree(folder)
        with pytest.raises(ConfigurationError, match="exists, its") as caught:
            run(configuration)
        assert hint in caught.value.hint
        assert tree(folder) == before
        (keys / "away").rename(keys / name)


def test_a_run_that_was_killed_is_resumed(folder: Path) -> None:
    """Key and passphrase that a killed run left are used; its sheet, which is about no repository, is kept aside."""
    configuration = declared(folder)
    first = run(configuration)
    passphrase = (folder / "var/keys/passphrase").read_bytes()
    shutil.rmtree(folder / "var/repository")
    second = run(configuration)
    assert names(second) == ["recovery-sheet.txt", "repository"]
    assert second.fingerprint == first.fingerprint
    assert second.repository_id != first.repository_id
    assert (folder / "var/keys/passphrase").read_bytes() == passphrase
    assert second.repository_id in second.sheet_file.read_text()
    assert first.repository_id in (folder / "var/keys/recovery-sheet-before-20261126T044000Z.txt").read_text()


def test_a_folder_that_was_made_for_it_is_filled(folder: Path) -> None:
    """An empty folder, or one in which a creation broke off, becomes the repository; one with more in it does not."""
    place = folder / "var/repository"
    place.mkdir(parents=True)
    inode = place.stat().st_ino
    run(declared(folder))
    for last in (FACTS_FILE, KEY_CHECK_FILE):
        (place / last).unlink()
    assert names(run(declared(folder))) == ["recovery-sheet.txt", "repository"]
    assert place.stat().st_ino == inode
    for last in (FACTS_FILE, KEY_CHECK_FILE):
        (place / last).unlink()
    (place / "objects/ab").mkdir()
    before = tree(folder / "var/repository")
    with pytest.raises(RepositoryError, match="is not empty"):
        run(declared(folder))
    assert tree(folder / "var/repository") == before
    assert (folder / "var/keys/passphrase").exists()


def test_a_failure_leaves_nothing(folder: Path) -> None:
    """If a step fails, what the run had made is gone again; a key that is named and missing is not made up."""

    def fail() -> str:
        raise SpaceError("no space")

    with pytest.raises(SpaceError):
        initialize_configured(declared(folder), folder / "p.toml", now=NOW, make_passphrase=fail)
    with pytest.raises(ConfigurationError, match="names the signing key"):
        run(declared(folder, signing={"gnupg_home": folder / "var/keys/gnupg", "fingerprint": FINGERPRINT}))
    with pytest.raises(ConfigurationError, match=rf"{FINGERPRINT}\.asc"):
        run(declared(folder, encryption={"recipients": [FINGERPRINT], "recipients_dir": folder}))
    assert list(folder.iterdir()) == []
