"""What may lie in a file's place and is no file."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import chdir, closing
from pathlib import Path


def a_pipe(place: Path) -> None:
    """Put a pipe there, to which nobody writes."""
    os.mkfifo(place)


def an_endless_link(place: Path) -> None:
    """Put a link there to a device that has no end."""
    place.symlink_to("/dev/zero")


def a_link_to_itself(place: Path) -> None:
    """Put a link there that leads nowhere else."""
    place.symlink_to(place.name)


def a_socket(place: Path) -> None:
    """Put a socket there."""
    with closing(socket.socket(socket.AF_UNIX)) as made, chdir(place.parent):  # a socket's path has to be short
        made.bind(place.name)


def a_folder(place: Path) -> None:
    """Put a folder there, and something in it."""
    (place / "inside").mkdir(parents=True)


def a_giant(place: Path) -> None:
    """Put a file of 8 TB there, without its bytes."""
    place.touch()
    os.truncate(place, 8 << 40)


def nothing(_place: Path) -> None:
    """Leave the place empty."""


STRANGE: tuple[Callable[[Path], None], ...] = (
    *(a_pipe, an_endless_link, a_link_to_itself, a_socket, a_folder, a_giant, nothing),
)
