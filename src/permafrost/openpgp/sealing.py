"""Seals and opens single OpenPGP messages as streams: programs for a pipeline, and what their exit means.

Every object of a repository is one message. `explain_opening` accepts a message only if gpg said that it was one
whole message with an intact integrity check; truncated, altered, concatenated and trailing data are errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import IntegrityError, KeyFileError, PermafrostError, ToolError
from permafrost.openpgp.home import ANY_CLOCK, CLOCK_IS_BEHIND, gpg
from permafrost.processes.pipeline import Pipeline
from permafrost.processes.program import Finished, Program
from permafrost.processes.run import run

# A passphrase of init has 200 random bits, which stretching cannot improve; this count keeps one call at about
# 10 ms (gpg's largest, 65011712, costs 130 ms on each object) and still slows down guessing of a weaker one of
# the admin's own a thousandfold.
S2K_COUNT = "1048576"
_OPEN = "--decrypt"


@dataclass(frozen=True, slots=True)
class PassphraseSealing:
    """Objects are sealed with a passphrase; anyone who can write can read."""

    passphrase_file: Path


@dataclass(frozen=True, slots=True)
class RecipientSealing:
    """Objects are sealed to public keys; who writes them cannot read them."""

    key_files: tuple[Path, ...]


Sealing = PassphraseSealing | RecipientSealing


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """What opens objects: a passphrase file, or a secret key file with the file of its own passphrase, if any."""

    passphrase_file: Path | None = None
    secret_key_file: Path | None = None


def seal_program(sealing: Sealing, home: Path) -> Program:
    """Return gpg that seals its stdin to its stdout; compression is left to zstd (gpg's own is 30 times slower).

    Whatever gpg writes it, every OpenPGP program can read it: from 2.3 on gpg would use OCB, which is GnuPG's own, for
    keys that were made by it.
    """
    readable = ("--rfc4880",)  # resets options, so it comes first
    common = ("--compress-algo", "none", "--cipher-algo", "AES256", "--no-autostart", "--output", "-")
    if isinstance(sealing, PassphraseSealing):
        return gpg(
            home,
            *readable,
            *("--pinentry-mode", "loopback", "--passphrase-file", str(sealing.passphrase_file)),
            *("--s2k-mode", "3", "--s2k-digest-algo", "SHA512", "--s2k-count", S2K_COUNT),
            *common,
            "--symmetric",
        )
    recipients = [word for file in sealing.key_files for word in ("--recipient-file", str(file))]
    return gpg(home, *readable, *recipients, "--trust-model", "always", *common, "--encrypt")


def explain_sealing(finished: Finished) -> PermafrostError | None:
    """Return the error that a sealing gpg's end means, None if it sealed or is another program."""
    if finished.program.name != "gpg" or finished.returncode == 0 or _OPEN in finished.program.argv:
        return None
    words = _status_words(finished)
    if CLOCK_IS_BEHIND in finished.stderr_tail:
        return ToolError(
            "gpg does not encrypt: by the clock of this machine a recipient's key is not made yet",
            hint="set the clock (timedatectl), and run the command again",
        )
    if "INV_RECP" in words:
        return KeyFileError(
            f"gpg cannot encrypt to a recipient: {finished.stderr_tail.strip()}",
            hint="the key file must hold one usable public key, with an encryption subkey that has not expired",
        )
    return None


def import_secret_key(home: Path, key_file: Path, passphrase_file: Path | None) -> None:
    """Import a secret key into `home`.

    Raise `KeyFileError` if the file holds none, or if it has a passphrase and that was not given, or another one.
    """
    words = [ANY_CLOCK, "--pinentry-mode", "loopback"]
    if passphrase_file is not None:
        words += ["--passphrase-file", str(passphrase_file)]
    finished = run(gpg(home, *words, "--import", str(key_file)), timeout_s=60)
    imported = [line.split() for line in finished.status if line.startswith("[GNUPG:] IMPORT_RES ")]
    # IMPORT_RES's tenth number counts secret keys read (gnupg, doc/DETAILS)
    if not imported or int(imported[0][11]) == 0:
        raise KeyFileError(
            f"{key_file} contains no secret key that gpg can import: {finished.stderr_tail.strip()}",
            hint="export it with: gpg --export-secret-keys --armor FINGERPRINT",
        )
    for fingerprint in dict.fromkeys(line.split()[3] for line in finished.status if "IMPORT_OK" in line):
        _check_passphrase(home, key_file, fingerprint, words, is_given=passphrase_file is not None)


def _check_passphrase(home: Path, key_file: Path, fingerprint: str, words: list[str], *, is_given: bool) -> None:
    """Raise `KeyFileError` unless the key opens; an import takes a protected key without looking at its passphrase.

    With --dry-run, --passwd changes nothing and checks the passphrase (gpg(1)); it says so by its status alone.
    """
    finished = run(gpg(home, *words, "--dry-run", "--passwd", fingerprint), timeout_s=60)
    if "SUCCESS" in _status_words(finished):
        return
    if "batchmode" in finished.stderr_tail or "passphrase" in finished.stderr_tail:
        raise KeyFileError(
            f"the passphrase does not open the secret key in {key_file}"
            if is_given
            else f"the secret key in {key_file} has a passphrase of its own, which was not given",
            hint="give it in a file with mode 0600: --passphrase-file FILE",
        )


def open_program(key: OpeningKey, home: Path) -> Program:
    """Return gpg that opens the message on its stdin to its stdout.

    A secret key must have been imported into `home` before.
    """
    words = [ANY_CLOCK, "--pinentry-mode", "loopback"]
    if key.passphrase_file is not None:
        words += ["--passphrase-file", str(key.passphrase_file)]
    if key.secret_key_file is None:
        words.append("--no-autostart")
    return gpg(home, *words, "--output", "-", _OPEN)


def explain_opening(finished: Finished) -> PermafrostError | None:
    """Return the error that an opening gpg's end means, None if it opened one message or is another program."""
    if finished.program.name != "gpg" or _OPEN not in finished.program.argv:
        return None
    words = _status_words(finished)
    whole = (
        finished.returncode == 0
        and words.count("DECRYPTION_OKAY") == 1
        and words.count("GOODMDC") == 1
        and words.count("BEGIN_DECRYPTION") == 1
    )
    if whole:
        return None
    return _opening_error(finished, words)


def _opening_error(finished: Finished, words: list[str]) -> PermafrostError | None:
    said = finished.stderr_tail.strip().splitlines()
    quoted = said[-1] if said else "gpg printed nothing"
    if "NO_SECKEY" in words and "DECRYPTION_OKAY" not in words:
        return KeyFileError(
            "the backup is sealed to a public key, and its secret key was not given",
            hint="give the secret key's file: --secret-key-file FILE",
        )
    if any("BAD_PASSPHRASE" in line for line in finished.status) or "Bad session key" in finished.stderr_tail:
        return KeyFileError(
            "the passphrase does not open this backup",
            hint="compare the passphrase file with the recovery sheet, letter by letter",
        )
    if {"BADMDC", "NODATA", "DECRYPTION_FAILED"} & set(words):
        return IntegrityError(
            f"an encrypted message is damaged, truncated or followed by something else ({quoted})",
            hint="run permafrost verify, and copy the object from another vault",
        )
    if finished.returncode < 0:
        return None  # a signal ended it; the pipeline says so
    return ToolError(f"gpg could not open a message: {quoted}")


def _status_words(finished: Finished) -> list[str]:
    return [line.split()[1] for line in finished.status if line.startswith("[GNUPG:] ") and len(line) > 9]


def open_bytes(home: Path, key: OpeningKey, sealed: int | Iterable[bytes], *, limit_bytes: int) -> bytes:
    """Return what one message holds; `sealed` is an open file descriptor or the message's bytes.

    Raise `IntegrityError` if it is damaged or larger than `limit_bytes` (memory is never filled by a hostile
    one), `KeyFileError` if the key does not open it.
    """
    collected: list[bytes] = []
    size = 0
    with Pipeline([open_program(key, home)], source=sealed, silence_s=60) as pipeline:
        for chunk in pipeline.chunks():
            size += len(chunk)
            if size > limit_bytes:
                raise IntegrityError(
                    f"an encrypted message contains more than {limit_bytes} bytes, which should never happen"
                )
            collected.append(chunk)
        pipeline.finish(explain_opening)
    return b"".join(collected)
