"""Where receipts lie and travel: names alone, for those who need no more and shall load no more."""

from __future__ import annotations

RECEIPTS = "receipts"
"""The folder, in the server's state folder, in which receipts arrive, a folder for each vault."""
PIN_FILE = "vault-key"
NEWEST_FILE = "newest-receipt"
RECEIPT_FILE = "receipt.json"
RECEIPT_IGNORES = (f"!/{RECEIPT_FILE}", "*")
"""Nothing else is sent, and nothing else taken."""
