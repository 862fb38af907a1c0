from __future__ import annotations

import os
from pathlib import Path

import pytest

from permafrost.config.checking import check_files
from permafrost.config.models import Configuration, Encryption
from permafrost.config.secret_files import read_secret_file
from permafrost.errors import KeyFileError

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def secret_file(path: Path, content: str = "hush\n", mode: int = 0o600) -> Path:
    """Write a file with `mode`, whatever the umask says."""
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_secret_is_the_first_line(tmp_path: Path, mode: int) -> None:
    """A secret file's first line is the secret, blanks in it included, also through a link."""
    file = secret_file(tmp_path / "secret", " hush hush \nnot this\n", mode)
    link = tmp_path / "link"
    link.symlink_to(file)
    assert read_secret_file(file) == read_secret_file(link) == " hush hush "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644, 0o700, 0o4600])
def test_other_modes_are_refused(tmp_path: Path, mode: int) -> None:
    """A secret file with any mode but 0400 and 0600 is refused, with the command that mends it."""
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}") as caught:
        read_secret_file(secret_file(tmp_path / "secret", mode=mode))
    assert "chmod 0600" in caught.value.hint


@pytest.mark.parametrize("content", ["", "\n", "  \nsecond line\n"])
def test_an_empty_secret_is_refused(tmp_path: Path, content: str) -> None:
    """A secret file whose first line is empty is refused."""
    with pytest.raises(KeyFileError, match="is empty"):
        read_secret_file(secret_file(tmp_path / "secret", content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and a named pipe are refused, and none of them is waited for."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path / "none", tmp_path, pipe):
        with pytest.raises(KeyFileError):
            read_secret_file(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_file_is_refused(tmp_path: Path) -> None:
    """A secret file of another user, who could change it, is refused."""
    file = secret_file(tmp_path / "secret")
    os.chown(file, 12345, 12345)
    with pytest.raises(KeyFileError, match="belongs to user id 12345"):
        read_secret_file(file)


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service's credentials, which systemd closes once it has filled it."""
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


@pytest.mark.skipif(os.geteuid() != 0, reason="a credential of systemd 256 and newer is root's")
def test_a_credential_of_roots_may_be_open_to_its_service(credentials: Path, tmp_path: Path) -> None:
    """Mode 0440 is right for root's file in the folder of credentials, and only there, and only in a closed folder."""
    file = secret_file(credentials / "passphrase", mode=0o440)
    credentials.chmod(0o550)
    assert read_secret_file(file) == "hush"
    with pytest.raises(KeyFileError, match="mode 0440"):
        read_secret_file(secret_file(tmp_path / "elsewhere", mode=0o440))
    with pytest.raises(KeyFileError, match="mode 0444"):
        read_secret_file(secret_file(credentials / "open", mode=0o444))
    os.chown(file, 12345, 0)
    with pytest.raises(KeyFileError, match="mode 0440"):
        read_secret_file(file)
    os.chown(file, 0, 0)
    credentials.chmod(0o570)
    with pytest.raises(KeyFileError, match="mode 0440"):
        read_secret_file(file)


def test_a_credential_is_named_without_its_folder(credentials: Path, tmp_path: Path) -> None:
    """`credential:NAME` is the service's own credential, as systemd 252 passes it; other such names are errors."""
    secret_file(credentials / "passphrase", mode=0o400)
    named = configuration(tmp_path, encryption={"passphrase_file": "credential:passphrase"})
    assert named.encryption.passphrase_file == credentials / "passphrase"
    assert check_files(named) == []
    with pytest.raises(ValueError, match="must be credential:NAME"):
        Encryption.model_validate({"passphrase_file": "credential:../passphrase"})


def test_by_hand_a_credential_is_the_running_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a service the name means the credential of the running service, and the error says so."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    file = Encryption.model_validate({"passphrase_file": "credential:nobody-has-this"}).passphrase_file
    assert file == Path("/run/credentials/permafrost.service/nobody-has-this")
    with pytest.raises(KeyFileError) as caught:
        read_secret_file(file)
    assert "systemctl start permafrost.service" in caught.value.hint


def configuration(folder: Path, **sections: dict[str, object]) -> Configuration:
    """Return a configuration whose key home and passphrase file are there; `sections` replace its own."""
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    return Configuration.model_validate(
        {
            "database": {"url": "dbname=mastodon"},
            "encryption": {"passphrase_file": secret_file(folder / "passphrase")},
            "signing": {"fingerprint": FINGERPRINT, "gnupg_home": home},
            **sections,
        }
    )


def test_a_whole_set_of_files_has_no_problems(tmp_path: Path) -> None:
    """Nothing is found where every file is there with its mode."""
    checked = configuration(
        tmp_path,
        database={"url": f"dbname=m passfile={secret_file(tmp_path / 'pgpass')}"},
        secrets={"files": [secret_file(tmp_path / "env")]},
        media={"path": tmp_path},
    )
    assert check_files(checked) == []


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    """Each missing or open file is told with the key that names it."""
    checked = configuration(
        tmp_path,
        database={"url": f"dbname=m passfile={secret_file(tmp_path / 'pgpass', mode=0o644)}"},
        encryption={"recipients": [FINGERPRINT], "recipients_dir": tmp_path},
        secrets={"files": [tmp_path / "no-env"]},
        media={"path": tmp_path / "no-media"},
        syncthing={"managed": False, "url": "http://127.0.0.1:1", "api_key_file": tmp_path / "no-key"},
    )
    checked.signing.gnupg_home.chmod(0o755)
    assert [key for key, _ in check_files(checked)] == [
        "database.url",
        "encryption.recipients_dir",
        "signing.gnupg_home",
        "secrets.files",
        "media.path",
        "syncthing.api_key_file",
    ]
