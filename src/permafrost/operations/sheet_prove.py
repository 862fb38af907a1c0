"""permafrost sheet prove: a human shows that the recovery sheet still opens the newest snapshot.

Nothing else can: whoever exchanges the passphrase on a server also decides what every program there says. Two groups of
the passphrase suffice, chosen by chance: the server's own opens the snapshot, and another sheet has other groups.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from permafrost.config.secret_files import read_secret_file
from permafrost.documents.setup import SheetProveDocument
from permafrost.errors import KeyFileError
from permafrost.events import Reporter
from permafrost.loading.source import Source, opened
from permafrost.openpgp.passphrase import GROUPS, as_printed
from permafrost.repository.layout import SnapshotId
from permafrost.runs import SHEET, RunRecords

_ASKED = 2
Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class SheetProof:
    """The snapshot that the sheet opens, and when that was shown."""

    snapshot: SnapshotId
    shown_at: datetime

    def document(self) -> SheetProveDocument:
        """Return it for JSON."""
        return SheetProveDocument(str(self.snapshot), self.shown_at)


def prove_sheet(source: Source, state: Path, *, ask: Ask, report: Reporter, now: datetime) -> SheetProof:
    """Return and record that the sheet opens the newest snapshot; `ask` returns what a human types.

    With a secret key in `source`, that it opens the snapshot is all there is to show. Raise `KeyFileError` if it does
    not, or if something else was typed than the passphrase says.
    """
    with RunRecords(state).recorded(SHEET, now) as told:
        with opened(source, report) as repository:
            snapshot = repository.read(None, now, report).id
        told["snapshot"] = str(snapshot)
        if source.key.secret_key_file is None and source.key.passphrase_file is not None:
            _compare(read_secret_file(source.key.passphrase_file), ask)
    return SheetProof(snapshot, now)


def _compare(passphrase: str, ask: Ask) -> None:
    """Return if a human types the passphrase, or the groups of it that are asked for."""
    printed = as_printed(passphrase)
    if printed is None:
        is_same = secrets.compare_digest(ask("the passphrase on the recovery sheet").encode(), passphrase.encode())
        asked = "the passphrase"
    else:
        numbers = sorted(secrets.SystemRandom().sample(range(GROUPS), _ASKED))
        asked = " and ".join(f"group {number + 1}" for number in numbers)
        typed = ask(f"{asked} of the passphrase on the recovery sheet, counted from the left")
        groups = printed.split("-")
        is_same = "".join(typed.lower().replace("-", " ").split()) == "".join(groups[number] for number in numbers)
    if not is_same:
        raise KeyFileError(
            f"what was typed is not {asked} of the passphrase that opens the newest snapshot",
            unchanged="everything",
            hint="look at the sheet again: is it of this server, and the last one that permafrost rekey made? If so, "
            "the passphrase file was exchanged: restore it from the sheet, and look who was on this machine",
        )
