"""What a file costs the disk, as a history counts it. Pure.

Bytes alone are not what fills a disk: a million empty files need an inode, a name and a line in the records each, and a
folder takes a block. Counted is what common file systems take at most, so that a share of the disk is one.
"""

from __future__ import annotations

BLOCK_BYTES = 4096
ENTRY_BYTES = 1024
"""An inode, a folder's entry, and what the records say of a file besides its path."""
FOLDER_BYTES = BLOCK_BYTES + ENTRY_BYTES
PATH_FACTOR = 6
"""A media file's path is in its table twice, in two indexes, and in the file systems' folders."""


def file_cost(size_bytes: int) -> int:
    """Return what a file of that size costs."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES + ENTRY_BYTES


def media_cost(size_bytes: int, path_bytes: int) -> int:
    """Return what a media file costs whose path has that length."""
    return file_cost(size_bytes) + PATH_FACTOR * path_bytes


def snapshot_cost(own_bytes: int) -> int:
    """Return what a snapshot's own folder costs, with its three files of so many bytes together."""
    return FOLDER_BYTES + file_cost(own_bytes) + 2 * file_cost(1)
