"""How much of the disk a server's history may take, and how many snapshots an hour may add."""

from __future__ import annotations

from permafrost.findings import FindingKind
from permafrost.vault.arrivals import Records
from permafrost.vault.history_folder import free_bytes
from permafrost.vault.settings import Vault
from permafrost.vault_keeping.intake import Candidate, Intake


def share_bytes(vault: Vault) -> int:
    """Return how much of the disk each server's history may take."""
    _, disk = free_bytes(vault.root)
    return disk * vault.settings.history.share_percent // 100 // len(vault.settings.servers)


def refusal(
    vault: Vault, records: Records, intake: Intake, candidate: Candidate, room: int
) -> tuple[FindingKind, str, str] | None:
    """Return why the candidate is not taken now, as a finding; None if it may be. `room`: how many more may come."""
    if room <= 0:
        return (
            FindingKind.TOO_MANY_SNAPSHOTS,
            "history",
            f"more than {vault.settings.history.admitted_per_hour} snapshots arrived within an hour; the others wait",
        )
    _, held, _ = records.size()
    share = share_bytes(vault)
    if held + intake.new_bytes(candidate) > share:
        message = (
            f"snapshot {candidate.arrival.snapshot} is not taken: the history has reached its share of the disk "
            f"({share / 1e9:.1f} GB); nothing already kept is removed"
        )
        return FindingKind.HISTORY_FULL, "history", message
    return None
