"""Connections to checked numbers: which of several is taken, and what is said if none can be."""

from __future__ import annotations

import socket

import httpcore
import pytest

from permafrost.media_store.address import RefusedAddressError
from permafrost.media_store.connecting import CheckedBackend


def test_the_next_number_is_tried() -> None:
    """A number at which nobody answers is passed over."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        backend = CheckedBackend(allows_private=True, lookup=lambda *_: ["127.0.0.9", "127.0.0.1"])
        stream = backend.connect_tcp("two.example", port, timeout=5)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        stream.close()


def test_a_name_that_means_nothing() -> None:
    """A name that cannot be looked up is an error of connecting; one that means no public machine is refused."""

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(f"{host}:{port}")

    with pytest.raises(httpcore.ConnectError, match=r"the name nowhere\.example cannot be looked up"):
        CheckedBackend(allows_private=True, lookup=unknown).connect_tcp("nowhere.example", 443)
    with pytest.raises(RefusedAddressError, match="no machine"):
        CheckedBackend(allows_private=False, lookup=lambda *_: []).connect_tcp("empty.example", 443)
