"""The signing key, and detached signatures made and checked with gpg.

A signature counts only if gpg reports exactly one, good and valid, by the primary key whose fingerprint was
expected. Fingerprints are compared whole.
"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

from permafrost.errors import IntegrityError, KeyFileError, ToolError
from permafrost.openpgp.fingerprints import differing_groups, in_groups
from permafrost.openpgp.home import ANY_CLOCK, CLOCK_IS_BEHIND, gpg, stop_agent
from permafrost.processes.program import ProgramFailedError
from permafrost.processes.run import run

_TIMEOUT_S = 60.0
_SECRET_KEY_HINT = (
    "signing needs the GnuPG home that init created; if it is lost, create a new repository with permafrost init"  # noqa: S105
)


def generate_signing_key(home: Path, user_id: str) -> str:
    """Make an Ed25519 signing key without a passphrase and without an expiry in `home`; return its fingerprint.

    `home` is made with mode 0700 if it is not there. Raise `ToolError` if gpg cannot.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = gpg(
        home,
        *("--pinentry-mode", "loopback", "--passphrase", ""),
        *("--quick-generate-key", user_id, "ed25519", "sign", "never"),
    )
    try:
        finished = run(program, timeout_s=_TIMEOUT_S)
    finally:
        stop_agent(home)
    for line in finished.status:
        words = line.split()
        if finished.returncode == 0 and words[1:2] == ["KEY_CREATED"]:
            return words[3]
    raise ToolError(f"gpg could not create a signing key in {home}: {finished.stderr_tail.strip()}")


def signing_fingerprint(home: Path) -> str | None:
    """Return the fingerprint of the first secret key in `home`, None if there is none or no such home."""
    if not home.is_dir():
        return None
    finished = run(gpg(home, "--with-colons", "--list-secret-keys"), timeout_s=_TIMEOUT_S)
    stop_agent(home)
    for line in finished.stdout.decode("ascii", "replace").splitlines():
        words = line.split(":")
        if words[0] == "fpr":
            return words[9]
    return None


def fingerprint_of_key(home: Path, public_key: bytes) -> str:
    """Return the fingerprint of the only public key in `public_key`, looked at in the empty `home`.

    Raise `IntegrityError` if there is none, or more than one.
    """
    finished = run(gpg(home, "--no-autostart", "--with-colons", "--show-keys"), stdin=public_key, timeout_s=_TIMEOUT_S)
    lines = [line.split(":") for line in finished.stdout.decode("ascii", "replace").splitlines()]
    fingerprints = [after[9] for line, after in pairwise(lines) if line[0] == "pub" and after[0] == "fpr"]
    if len(fingerprints) != 1:
        raise IntegrityError("there is no OpenPGP key, or more than one")
    return fingerprints[0]


def export_public_key(home: Path, fingerprint: str) -> bytes:
    """Return the armoured public key `fingerprint` of `home`; raise `KeyFileError` if it is not there."""
    finished = run(gpg(home, "--no-autostart", "--armor", "--export", fingerprint), timeout_s=_TIMEOUT_S)
    if finished.returncode != 0 or not finished.stdout:
        raise KeyFileError(f"the GnuPG home {home} has no key {fingerprint}", hint=_SECRET_KEY_HINT)
    return finished.stdout


def sign_detached(home: Path, fingerprint: str, data: bytes) -> bytes:
    """Return an armoured detached signature of `data` by the key `fingerprint` in `home`.

    Raise `KeyFileError` if the key is not there or cannot sign. The agent that gpg starts is ended.
    """
    program = gpg(
        home,
        *(
            "--local-user",
            f"{fingerprint}!",
            "--digest-algo",
            "SHA512",
            "--armor",
            "--output",
            "-",
            "--detach-sign",
        ),
    )
    try:
        finished = run(program, stdin=data, timeout_s=_TIMEOUT_S)
    finally:
        stop_agent(home)
    if finished.returncode != 0 or not finished.stdout:
        if "No secret key" in finished.stderr_tail or not home.is_dir():
            raise KeyFileError(f"the GnuPG home {home} cannot sign with {fingerprint}", hint=_SECRET_KEY_HINT)
        if CLOCK_IS_BEHIND in finished.stderr_tail:
            raise ToolError(
                "gpg does not sign: by the clock of this machine the signing key is not made yet",
                hint="set the clock (timedatectl), and run the command again",
            )
        raise ProgramFailedError(finished)
    return finished.stdout


class Verifier:
    """Checks detached signatures against one public key, in a GnuPG home that holds only that key.

    `is_clock_behind` is whether the key was made in the future, by this machine's clock: then it is the clock that is
    wrong, and signatures are as good as ever.
    """

    def __init__(self, home: Path, public_key: bytes, fingerprint: str) -> None:
        """Import `public_key` into the empty `home`; raise `IntegrityError` unless it is the key `fingerprint`."""
        self._home = home
        self.fingerprint = fingerprint.upper()
        finished = run(gpg(home, ANY_CLOCK, "--no-autostart", "--import"), stdin=public_key, timeout_s=_TIMEOUT_S)
        self.is_clock_behind = CLOCK_IS_BEHIND in finished.stderr_tail
        imported = {line.split()[3] for line in finished.status if line.startswith("[GNUPG:] IMPORT_OK ")}
        if self.fingerprint not in imported:
            close = next((said for key in imported if (said := differing_groups(self.fingerprint, key))), "")
            mistyped = f": only {close}; is it mistyped?" if close else ""
            raise IntegrityError(
                f"the repository's signing key is not {in_groups(self.fingerprint)}{mistyped}",
                hint="compare the fingerprint with the recovery sheet; if they differ, trust nothing in this folder",
            )

    def is_valid(self, data: bytes, signature: bytes) -> bool:
        """Return whether `signature` is one good signature of `data` by the expected key."""
        with tempfile.NamedTemporaryFile(dir=self._home, suffix=".sig") as file:
            file.write(signature)
            file.flush()
            program = gpg(
                self._home,
                *(ANY_CLOCK, "--no-autostart", "--trust-model", "always", "--verify", file.name, "-"),
            )
            finished = run(program, stdin=data, timeout_s=_TIMEOUT_S)
        lines = [line.split()[1:] for line in finished.status if line.startswith("[GNUPG:] ")]
        kinds = [words[0] for words in lines if words]
        valid = [words for words in lines if words and words[0] == "VALIDSIG"]
        return (
            finished.returncode == 0
            and kinds.count("NEWSIG") == 1
            and kinds.count("GOODSIG") == 1
            and len(valid) == 1
            and valid[0][-1].upper() == self.fingerprint
        )
