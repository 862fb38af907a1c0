"""Writes a vault's receipts: signed with the vault's own key, into the folder that the server receives."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime

from pydantic import ValidationError

from permafrost.errors import PermafrostError
from permafrost.events import Reporter, Warned
from permafrost.openpgp.signing import export_public_key, generate_signing_key, sign_detached, signing_fingerprint
from permafrost.repository.durable import make_folder_durably, write_durably
from permafrost.runs import SENT_BACK, RunRecords
from permafrost.syncthing.client import Client
from permafrost.vault.receipt import (
    MOST_FINDINGS,
    MOST_LETTERS,
    MOST_SNAPSHOTS,
    MediaReceipt,
    Receipt,
    ReceiptFinding,
    ReceivedSnapshot,
    SentBackReceipt,
    SignedReceipt,
)
from permafrost.vault.receipt_files import RECEIPT_FILE
from permafrost.vault.settings import Vault, VaultServer
from permafrost.vault.statement import StatedMedia, Statement

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class ReceiptWriter:
    """A keeper's `publish`: what can be said becomes a receipt, and Syncthing is notified if it runs."""

    def __init__(self, vault: Vault, client: Client | None, report: Reporter) -> None:
        self._vault = vault
        self._client = client
        self._report = report

    def __call__(self, server: VaultServer, statement: Statement) -> None:
        """Write the receipt for one server; one that was joined before there were receipts gets none."""
        folder_id = self._vault.receipts_folder_id(server)
        if folder_id is None:
            return
        device_id = self._client.own_id() if self._client is not None else ""
        receipt = receipt_of(self._vault, statement, device_id, sent_back_of(self._vault, server))
        fingerprint = vault_key(self._vault)
        content = receipt.model_dump_json()
        signed = SignedReceipt(
            content=content,
            signature=sign_detached(self._vault.signing_home, fingerprint, content.encode()).decode("ascii"),
            key=export_public_key(self._vault.signing_home, fingerprint).decode("ascii"),
        )
        folder = self._vault.root / server.name / "receipts"
        make_folder_durably(folder, 0o700)
        write_durably(folder / RECEIPT_FILE, signed.encode(), 0o600)
        self._measure(server, receipt)
        if self._client is not None:
            try:
                self._client.scan(folder_id, [RECEIPT_FILE])
            except PermafrostError as error:
                self._report(Warned(f"{server.name}: the receipt is written but not sent yet: {error.message}"))

    def _measure(self, server: VaultServer, receipt: Receipt) -> None:
        """Record what is kept of the server; the receipt is worth more than the record."""
        media_bytes = receipt.media.held_bytes if receipt.media is not None else None
        try:
            records = RunRecords(self._vault.state)
            records.record_place(server.name, receipt.history_bytes, media_bytes, receipt.written_at)
        except PermafrostError as error:
            self._report(
                Warned(f"{server.name}: its growth will not be known, as nothing is recorded: {error.message}")
            )


def receipt_of(vault: Vault, statement: Statement, device_id: str, sent_back: SentBackReceipt | None = None) -> Receipt:
    """Return the receipt that says what the statement does."""
    kept = [
        snapshot
        for snapshot in statement.snapshots
        if snapshot.list_hash is not None and snapshot.arrived_by_clock is not None
    ]
    return Receipt(
        vault=vault.settings.name,
        device_id=device_id,
        repository_id=statement.repository_id,
        written_at=statement.made_at,
        snapshots=tuple(
            ReceivedSnapshot(
                snapshot=arrival.snapshot,
                list_hash=str(arrival.list_hash),
                arrived_at=arrival.arrived_by_clock or statement.made_at,
                objects=arrival.objects,
                size_bytes=arrival.size_bytes,
            )
            for arrival in kept[-MOST_SNAPSHOTS:]
        ),
        history_snapshots=len(statement.snapshots),
        history_bytes=statement.size_bytes,
        waiting=statement.waiting,
        bad_objects=statement.bad_objects,
        all_verified_since=statement.all_verified_since,
        media_files=statement.media_files,
        media_not_kept=statement.media_not_kept,
        media=_media_of(statement.media_list),
        sent_back=sent_back,
        free_bytes=statement.free_bytes,
        disk_bytes=shutil.disk_usage(vault.root).total,
        findings=tuple(
            ReceiptFinding(
                kind=finding.code,
                subject=finding.subject[:MOST_LETTERS],
                message=finding.message[:MOST_LETTERS],
                first_at=finding.first_at,
                last_at=finding.last_at,
            )
            # a server that causes many small ones must not push the grave ones out
            for finding in sorted(statement.findings, key=lambda open_one: (open_one.severity, open_one.last_at))[
                -MOST_FINDINGS:
            ]
        ),
    )


def _media_of(stated: StatedMedia | None) -> MediaReceipt | None:
    if stated is None:
        return None
    balance = stated.balance
    return MediaReceipt(
        snapshot=stated.snapshot,
        needed=balance.needed,
        needed_bytes=balance.needed_bytes,
        held=balance.held,
        held_bytes=balance.held_bytes,
        missing=balance.missing,
        different=balance.different,
        overdue=balance.overdue,
        rotten=stated.rotten,
        all_read_since=stated.all_read_since,
        sealed=stated.is_sealed,
    )


def sent_back_of(vault: Vault, server: VaultServer) -> SentBackReceipt | None:
    """Return what the vault has sent back of the server last; what its records do not say is not known."""
    with suppress(PermafrostError, ValidationError):
        sent = RunRecords(vault.state, is_read_only=True).since(_EVER, SENT_BACK)
        for run in reversed(sent):
            if run.details.get("server") == server.name:
                return SentBackReceipt.model_validate({**run.details, "ended_at": run.ended_at})
    return None


def vault_key(vault: Vault) -> str:
    """Return the fingerprint of the vault's key, which is made if there is none yet."""
    there = signing_fingerprint(vault.signing_home)
    return there or generate_signing_key(vault.signing_home, f"permafrost vault {vault.settings.name}")
