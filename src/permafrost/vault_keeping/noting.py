"""What a turn finds goes into the vault's ledger, and is reported if it is new."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from permafrost.errors import PermafrostError
from permafrost.events import Reporter, Warned
from permafrost.findings import Finding, FindingKind
from permafrost.ledger import ENDED_ARE_KEPT
from permafrost.vault.arrivals import Records
from permafrost.vault.settings import Vault, VaultServer

QUIET = timedelta(days=7)
"""A finding that was not seen again for so long has ended; the server shows what its vaults found for as long."""
MOST_OF_A_KIND = 50
"""So many findings of a kind are told apart, as a server may cause any number; the others are one together."""
OTHERS = "others"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Noting:
    """The records of one server, and the findings about it. To be closed."""

    def __init__(self, vault: Vault, server: VaultServer, report: Reporter) -> None:
        self._vault = vault
        self._server = server
        self._report = report
        self._records: Records | None = None
        self.now = self.wall = LONG_AGO
        """The vault's own time of this turn, and the machine's."""
        self.has_news = True
        """Whether something was found since this was last set to False."""

    def close(self) -> None:
        """Close the records."""
        if self._records is not None:
            self._records.close()
            self._records = None

    @property
    def records(self) -> Records:
        """What is known of the server; opened when first needed, as that fails while the disk is full."""
        if self._records is None:
            self._records = Records(self._vault.records(self._server))
        return self._records

    def found(self, kind: FindingKind, subject: str, message: str) -> None:
        """Record a finding, and report it when it is new. A `FindingSink`.

        Names in it may come from a server: line breaks, and bytes that are no text, are written out.
        """
        subject, message = _plain(subject), _plain(message)
        if not self.records.ledger.has_room(kind.code, subject, MOST_OF_A_KIND):
            subject = OTHERS
        if self.records.ledger.saw(Finding(kind, subject, message), self.now):
            self.has_news = True
            self._report(Warned(f"{self._server.name}: {message}"))

    def found_if_possible(self, kind: FindingKind, subject: str, message: str) -> None:
        """Record the finding; on a disk that is full it can only be reported."""
        try:
            self.found(kind, subject, message)
        except (PermafrostError, sqlite3.DatabaseError):
            self._report(Warned(f"{self._server.name}: {_plain(message)}"))

    def let_old_ones_end(self) -> None:
        """End what was not seen again for `QUIET`, and forget what ended long ago."""
        self.records.ledger.end_quiet(self.now - QUIET, self.now)
        self.records.ledger.forget_ended(self.now - ENDED_ARE_KEPT)


def _plain(text: str) -> str:
    """Return the text with everything escaped that is no printable letter."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text
    )
