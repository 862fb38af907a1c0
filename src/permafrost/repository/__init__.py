"""Encrypted objects, and the snapshots that name them. See docs/format.md."""
