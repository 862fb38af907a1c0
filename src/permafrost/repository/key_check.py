"""The key check: a small file that only the key of this repository opens, by which each backup knows its own key.

Without it, an exchanged passphrase file would go unnoticed until a restore: whoever can seal need not be able to open.

- Sealed with a passphrase: the statement below, sealed with it. The passphrase is right if it opens the file.
- Sealed to public keys, where the server can open nothing: a signature of the statement, which names the recipients, by
  the server's signing key. The recipients are right if the signature fits the statement that names them.

Readers do not need it (docs/format.md, 1.5). Where it is missing, the newest snapshot that the server has signed says
whether a key is right: a passphrase opens it, and it names the recipients' subkeys. The same snapshot counts where the
file does not fit: a change of key that was killed leaves a snapshot of the new key, and the old file.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path

from permafrost.errors import IntegrityError, KeyFileError, RepositoryError, ToolError
from permafrost.openpgp.addressees import is_sealed_to
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import OpeningKey, PassphraseSealing, RecipientSealing, Sealing, open_bytes
from permafrost.openpgp.signing import Verifier, sign_detached
from permafrost.repository.durable import write_durably
from permafrost.repository.layout import SnapshotId
from permafrost.repository.reading import make_verifier, read_signed, read_snapshot
from permafrost.repository.repository import Repository
from permafrost.repository.sealed import seal_bytes
from permafrost.repository.snapshots import complete_snapshots
from permafrost.small_files import read_small

_MOST_BYTES = 1 << 16
_MOST_SNAPSHOTS = 5
"""So many of the newest are looked at for one that is signed and whole."""


class KeyVerdict(Enum):
    """What can be said of a key."""

    SAME = "the key check is this key's"
    PROVEN = "the newest snapshot is this key's, and the key check is missing or another's"
    UNPROVEN = "there is no key check, and no snapshot that says whose key it is"
    OTHER = "the repository is sealed with another key"


def write_key_check(repository: Repository, sealing: Sealing, home: Path, signing_home: Path) -> None:
    """Make the key check be that of `sealing`, in one step; `home` is a GnuPG home for the run."""
    statement = _statement(repository, sealing)
    if isinstance(sealing, PassphraseSealing):
        content = seal_bytes(home, sealing, statement)
    else:
        content = sign_detached(signing_home, repository.fingerprint, statement)
    write_durably(repository.layout.key_check, content, 0o444)


def judge_key(repository: Repository, sealing: Sealing, home: Path, fingerprint: str | None) -> KeyVerdict:
    """Return whether `sealing` is what the repository is sealed with; `fingerprint` is the signing key to trust."""
    content, statement = _read(repository), _statement(repository, sealing)
    passphrase = OpeningKey(sealing.passphrase_file) if isinstance(sealing, PassphraseSealing) else None
    if passphrase is not None and content is not None and _opens(home, passphrase, content, statement):
        return KeyVerdict.SAME
    with temporary_home() as verifier_home:
        verifier = make_verifier(repository, fingerprint, verifier_home)
        if passphrase is None and content is not None and verifier.is_valid(statement, content):
            return KeyVerdict.SAME

        def is_of_this_key(snapshot: SnapshotId) -> bool:
            if isinstance(sealing, RecipientSealing):
                return is_sealed_to(home, read_signed(repository, snapshot, verifier)[1], sealing.key_files)
            return _opens_snapshot(repository, snapshot, verifier, OpeningKey(sealing.passphrase_file), home)

        verdict = _by_newest_snapshot(repository, is_of_this_key)
    # where no snapshot says anything, a key check that does not fit is another key's
    return verdict or (KeyVerdict.UNPROVEN if content is None else KeyVerdict.OTHER)


def _read(repository: Repository) -> bytes | None:
    """Return the key check's bytes, None if there is none, or something that cannot be one."""
    try:
        return read_small(repository.layout.key_check, _MOST_BYTES)
    except OSError:
        return None


def _opens(home: Path, key: OpeningKey, content: bytes, statement: bytes) -> bool:
    try:
        return open_bytes(home, key, [content], limit_bytes=_MOST_BYTES) == statement
    except (KeyFileError, IntegrityError, ToolError):  # gpg fails of what is no encrypted message, such as a signature
        return False


def _by_newest_snapshot(repository: Repository, is_of_this_key: Callable[[SnapshotId], bool]) -> KeyVerdict | None:
    """Return what the newest snapshot says that the server has signed, and that can be read; None if there is none."""
    for snapshot in reversed(complete_snapshots(repository.layout)[-_MOST_SNAPSHOTS:]):
        try:
            return KeyVerdict.PROVEN if is_of_this_key(snapshot) else KeyVerdict.OTHER
        except (IntegrityError, RepositoryError):
            continue  # damaged, or somebody else's: it says nothing of the key
    return None


def _opens_snapshot(
    repository: Repository, snapshot: SnapshotId, verifier: Verifier, key: OpeningKey, home: Path
) -> bool:
    try:
        read_snapshot(repository, snapshot, verifier, key, home)
    except KeyFileError:
        return False
    return True


def _statement(repository: Repository, sealing: Sealing) -> bytes:
    """Return what is sealed or signed: one text for each repository and way of sealing."""
    ways = ["a passphrase"] if isinstance(sealing, PassphraseSealing) else _recipients(sealing)
    lines = ["permafrost key check 1", f"repository {repository.repository_id}"]
    return "".join(f"{line}\n" for line in [*lines, *(f"sealed with {way}" for way in ways)]).encode("ascii")


def _recipients(sealing: Sealing) -> list[str]:
    """Return the recipients' fingerprints, which the names of their files are."""
    return [] if isinstance(sealing, PassphraseSealing) else sorted(file.stem for file in sealing.key_files)
