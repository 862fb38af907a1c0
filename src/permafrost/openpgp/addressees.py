"""To whom a message is sealed: an OpenPGP message names its recipients' subkeys unencrypted (RFC 9580, 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from permafrost.openpgp.home import gpg
from permafrost.openpgp.recipients import KEY_BYTES
from permafrost.processes.run import run
from permafrost.small_files import read_named

_HEAD_BYTES = 1 << 16
"""The recipients come first; a packet for one of them has some 100 to 500 bytes."""
_TIMEOUT_S = 60.0
_KEY_ID = 4  # of a line of colons (gnupg, doc/DETAILS)


def is_sealed_to(home: Path, sealed: bytes, key_files: Sequence[Path]) -> bool:
    """Return whether the message is sealed to each of the keys in `key_files`, and to no other."""
    listed = run(
        gpg(home, "--no-autostart", "--list-only", "--decrypt"), stdin=sealed[:_HEAD_BYTES], timeout_s=_TIMEOUT_S
    )
    addressed = {words[2] for line in listed.status if (words := line.split())[1:2] == ["ENC_TO"]}
    keys = [_key_ids(home, file) for file in key_files]
    return bool(addressed) and addressed <= set().union(*keys) and all(addressed & ids for ids in keys)


def _key_ids(home: Path, file: Path) -> set[str]:
    content = read_named(file, KEY_BYTES)
    shown = run(gpg(home, "--no-autostart", "--with-colons", "--show-keys"), stdin=content, timeout_s=_TIMEOUT_S)
    lines = (line.split(":") for line in shown.stdout.decode("utf-8", "replace").splitlines())
    return {line[_KEY_ID] for line in lines if line[0] in ("pub", "sub")}
