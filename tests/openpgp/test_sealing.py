"""Sealing and opening with the real gpg; every damage is an error with its own meaning."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from permafrost.errors import IntegrityError, KeyFileError, PermafrostError, ToolError
from permafrost.openpgp.home import gpg, stop_agent, temporary_home
from permafrost.openpgp.sealing import (
    OpeningKey,
    PassphraseSealing,
    RecipientSealing,
    import_secret_key,
    open_bytes,
)
from permafrost.processes.program import find_program
from permafrost.processes.run import run, run_checked
from permafrost.repository.sealed import seal_bytes
from tests.fixtures.recipients import new_recipient

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    """A passphrase."""
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery staple\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def home() -> Iterator[Path]:
    """A GnuPG home for the test."""
    with temporary_home() as home:
        yield home


@pytest.mark.format("2.4")
def test_round_trip(home: Path, passphrase_file: Path) -> None:
    """What was sealed is opened, is not readable in between, and no agent is left running."""
    sealed = seal_bytes(home, PassphraseSealing(passphrase_file), CONTENT)
    assert CONTENT[:256] not in sealed
    assert len(sealed) >= len(CONTENT)  # not compressed by gpg
    assert open_bytes(home, OpeningKey(passphrase_file), [sealed], limit_bytes=len(CONTENT)) == CONTENT
    assert not list(home.glob("S.gpg-agent*"))


@pytest.mark.format("2.4")
def test_how_it_is_sealed(home: Path, passphrase_file: Path) -> None:
    """AES-256 with an integrity check, an iterated S2K, and no OpenPGP compression."""
    sealed = seal_bytes(home, PassphraseSealing(passphrase_file), b"content")
    program = gpg(
        home,
        "--no-autostart",
        "--pinentry-mode",
        "loopback",
        "--passphrase-file",
        str(passphrase_file),
        "--list-packets",
    )
    packets = run_checked(program, stdin=sealed).decode()
    assert "cipher 9, " in packets
    assert "s2k 3, hash 10" in packets
    assert "mdc_method: 2" in packets
    assert "compressed packet" not in packets


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": lambda sealed: sealed[:9999] + bytes([sealed[9999] ^ 1]) + sealed[10000:],
    "cut off": lambda sealed: sealed[: len(sealed) // 2],
    "cut off by a byte": lambda sealed: sealed[:-1],
    "empty": lambda _: b"",
    "trailing": lambda sealed: sealed + b"x",
    "twice": lambda sealed: sealed + sealed,
    "nonsense": lambda _: b"this is no message at all, only text of some length",
}


@pytest.mark.format("2.4")
@pytest.mark.parametrize("how", DAMAGES)
def test_damage(home: Path, passphrase_file: Path, how: str) -> None:
    """A damaged message is an integrity error, whatever the damage; nothing of it counts as opened."""
    sealed = DAMAGES[how](seal_bytes(home, PassphraseSealing(passphrase_file), CONTENT))
    with pytest.raises(IntegrityError):
        open_bytes(home, OpeningKey(passphrase_file), [sealed], limit_bytes=10 * len(CONTENT))


def test_wrong_passphrase(home: Path, passphrase_file: Path) -> None:
    """A wrong passphrase is a key error with exit code 13, not damage."""
    sealed = seal_bytes(home, PassphraseSealing(passphrase_file), CONTENT)
    passphrase_file.write_text("correct horse battery stable\n")
    with pytest.raises(KeyFileError, match="does not open") as caught:
        open_bytes(home, OpeningKey(passphrase_file), [sealed], limit_bytes=len(CONTENT))
    assert caught.value.exit_code == 13


def test_gpg_missing(home: Path, passphrase_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without gpg the error names the package to install, with exit code 15."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="gpg is not on PATH") as caught:
        seal_bytes(home, PassphraseSealing(passphrase_file), CONTENT)
    assert "apt-get install gnupg" in caught.value.hint
    assert caught.value.exit_code == 15


def test_more_than_expected(home: Path, passphrase_file: Path) -> None:
    """A message that holds more than it can is cut off by an integrity error, before it fills memory."""
    sealed = seal_bytes(home, PassphraseSealing(passphrase_file), CONTENT)
    with pytest.raises(IntegrityError, match="more than 1000 bytes"):
        open_bytes(home, OpeningKey(passphrase_file), [sealed], limit_bytes=1000)


@pytest.fixture(scope="module")
def recipient(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A key pair with a passphrase: public key file, secret key file, its passphrase's file."""
    folder = tmp_path_factory.mktemp("recipient")
    passphrase = folder / "passphrase"
    passphrase.write_text("of the key\n")
    with temporary_home() as home:
        words = ("--pinentry-mode", "loopback", "--passphrase-file", str(passphrase))
        made = run(gpg(home, *words, "--quick-generate-key", "reader", "future-default", "default", "never"))
        assert made.returncode == 0, made.stderr_tail
        (folder / "public.asc").write_bytes(run_checked(gpg(home, "--armor", "--export", "reader")))
        secret = run_checked(gpg(home, *words, "--armor", "--export-secret-keys", "reader"))
        (folder / "secret.asc").write_bytes(secret)
        stop_agent(home)
    return folder / "public.asc", folder / "secret.asc", passphrase


@pytest.mark.format("2.4")
def test_recipient_round_trip(home: Path, recipient: tuple[Path, Path, Path]) -> None:
    """What is sealed to a public key is opened with the secret key and its passphrase, and with nothing else."""
    public, secret, passphrase = recipient
    sealed = seal_bytes(home, RecipientSealing((public,)), CONTENT)
    with pytest.raises(KeyFileError, match="secret key was not given"):
        open_bytes(home, OpeningKey(passphrase), [sealed], limit_bytes=len(CONTENT))
    with temporary_home() as reader:
        import_secret_key(reader, secret, passphrase)
        key = OpeningKey(passphrase, secret)
        assert open_bytes(reader, key, [sealed], limit_bytes=len(CONTENT)) == CONTENT


@pytest.mark.format("2.4")
def test_any_openpgp_program_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gpg that by itself would use a mode of GnuPG's own (2.3 and newer, as upstream builds it) uses OpenPGP's."""
    upstream = tmp_path / "gpg"
    upstream.write_text(f'#!/bin/sh\nexec {find_program("gpg")} --compliance gnupg "$@"\n')
    upstream.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    made = new_recipient(("ed25519", "sign", "never"), ("cv25519", "encr", "never"))
    made.put_into(tmp_path)
    with temporary_home() as home:
        run_checked(gpg(home, "--import"), stdin=made.secret)
        sealed = seal_bytes(home, RecipientSealing((tmp_path / f"{made.fingerprint}.asc",)), b"content")
        packets = run_checked(gpg(home, "--list-packets"), stdin=sealed).decode()
        stop_agent(home)
    assert "mdc_method: 2" in packets
    assert "aead encrypted packet" not in packets


@pytest.mark.parametrize("content", [b"", b"no key", None])
def test_recipient_without_a_key(home: Path, tmp_path: Path, content: bytes | None) -> None:
    """A recipient's file that holds no usable public key is a key error."""
    file = tmp_path / "key.asc"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PermafrostError) as caught:
        seal_bytes(home, RecipientSealing((file,)), CONTENT)
    assert isinstance(caught.value, KeyFileError)


def test_public_key_is_no_secret_key(home: Path, recipient: tuple[Path, Path, Path]) -> None:
    """Giving the public key where the secret one is needed is told."""
    with pytest.raises(KeyFileError, match="no secret key"):
        import_secret_key(home, recipient[0], None)


@pytest.mark.parametrize("given", [None, "wrong"])
def test_secret_key_with_a_passphrase(
    home: Path, recipient: tuple[Path, Path, Path], tmp_path: Path, given: str | None
) -> None:
    """If the secret key's own passphrase is missing or wrong, that is a key error with exit code 13 before any use."""
    file = None
    if given is not None:
        file = tmp_path / "given"
        file.write_text(f"{given}\n")
    with pytest.raises(KeyFileError, match="passphrase") as caught:
        import_secret_key(home, recipient[1], file)
    assert caught.value.exit_code == 13
    assert "--passphrase-file" in caught.value.hint


def test_secret_key_without_a_passphrase(home: Path, tmp_path: Path) -> None:
    """A secret key that has no passphrase opens, whether or not one is given."""
    file = tmp_path / "secret.asc"
    given = tmp_path / "given"
    given.write_text("any\n")
    words = ("--pinentry-mode", "loopback", "--passphrase", "")
    with temporary_home() as maker:
        run_checked(gpg(maker, *words, "--quick-generate-key", "reader", "future-default", "default", "never"))
        file.write_bytes(run_checked(gpg(maker, *words, "--armor", "--export-secret-keys")))
    import_secret_key(home, file, None)
    import_secret_key(home, file, given)


def test_unknown_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For a program whose package is not known, no package is made up."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="sha256sum is not on PATH") as caught:
        find_program("sha256sum")
    assert "apt-get" not in caught.value.hint


def test_home_is_private_and_vanishes() -> None:
    """A temporary home is mode 0700 and gone afterwards, with its agent."""
    with temporary_home() as home:
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        run(
            gpg(home, "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "x", "ed25519", "sign")
        )
        assert list(home.glob("S.gpg-agent"))
    assert not home.exists()
