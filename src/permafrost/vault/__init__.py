"""Invitations, receipts, and the history that a vault keeps."""
