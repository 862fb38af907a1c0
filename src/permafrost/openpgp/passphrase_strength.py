"""Is a passphrase of the admin's own too weak? zxcvbn estimates how many guesses it takes somebody who knows how."""

from __future__ import annotations

from pathlib import Path

from permafrost.openpgp.passphrase import as_printed

_ENOUGH_GUESSES_LOG10 = 16.0
"""One machine with graphics cards tries some 10^12 in a month: objects are stretched little (decision 4)."""
_LONGEST = 72
"""zxcvbn refuses more, which takes it long; a longer passphrase is not weaker."""


def weakness_of(passphrase: str, file: Path) -> str:
    """Return what to warn of about the passphrase in `file`, "" if it is one of ours, or takes enough guesses."""
    if as_printed(passphrase) is not None:
        return ""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - a third of a second, only for passphrases that are not ours

    guesses_log10 = float(zxcvbn(passphrase[:_LONGEST])["guesses_log10"])
    if guesses_log10 >= _ENOUGH_GUESSES_LOG10:
        return ""
    return (
        f"the passphrase in {file} can be guessed in about 10^{guesses_log10:.0f} attempts, which is too few against "
        "somebody with a copy of the repository: permafrost rekey makes a strong one"
    )
