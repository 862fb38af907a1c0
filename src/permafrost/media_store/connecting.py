"""Connects to checked numbers only: the number that a name means is looked up once, checked, and connected to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

import httpcore
import httpx

from permafrost.media_store.address import RefusedAddressError, is_public

Lookup = Callable[[str, int], list[str]]


def numbers_of(host: str, port: int) -> list[str]:
    """Return the numbers that the name of a machine means now."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedBackend(httpcore.NetworkBackend):
    """Opens connections for httpcore. With `allows_private` any number will do: for a store in one's own network."""

    def __init__(self, *, allows_private: bool, lookup: Lookup = numbers_of) -> None:
        self._allows_private = allows_private
        self._lookup = lookup
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the first number of the host that answers.

        Raise `RefusedAddressError` if none of them is public, `httpcore.ConnectError` if none answers.
        """
        try:
            numbers = self._lookup(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} cannot be looked up") from error
        allowed = [number for number in numbers if self._allows_private or is_public(number)]
        if not allowed:
            raise RefusedAddressError(f"{host} is {', '.join(numbers[:3]) or 'no machine'}: not of the public internet")
        for number in allowed[:-1]:
            try:
                return self._sockets.connect_tcp(number, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._sockets.connect_tcp(allowed[-1], port, timeout, local_address, socket_options)


class CheckedTransport(httpx.HTTPTransport):
    """httpx's transport, whose connections `CheckedBackend` opens. No proxy is asked, whatever the environment says.

    The pool knows a connection by the host's name, and TLS checks the certificate against it.
    """

    def __init__(self, backend: CheckedBackend, connections: int) -> None:
        context = httpx.create_ssl_context()
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=30.0,
            network_backend=backend,
        )
