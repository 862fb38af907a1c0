"""Which addresses may be asked: what a server names is somebody else's word, and so is every redirect.

A server that was broken into could name an address inside the vault's own network, and learn from the answers, or
make the vault ask there. So an address has to be public, by the number that is connected to and not by its name, which
may mean one machine when it is checked and another one a moment later.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote, urljoin, urlsplit

MOST_REDIRECTS = 5
_NAT64 = "64:ff9b::"


class RefusedAddressError(Exception):
    """The address is none that may be asked; the text says why."""


def url_of(base_url: str, path: str) -> str:
    """Return the URL of the file at `path` below the base."""
    return f"{base_url}/{quote(path, safe='/@~')}"


def check_url(url: str, *, allows_http: bool) -> str:
    """Return the URL; raise `RefusedAddressError` if it is not one to be asked, whatever its host turns out to be."""
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not url.isascii() or not url.isprintable():
        raise RefusedAddressError("it is no address of the web")
    if parts.scheme != "https" and not (parts.scheme == "http" and allows_http):
        raise RefusedAddressError(f"it begins with {parts.scheme[:20]}://, and not with https://")
    if parts.username is not None or parts.password is not None:
        raise RefusedAddressError("it holds credentials")
    return url


def redirected(url: str, location: str, *, allows_http: bool) -> str:
    """Return where the answer of `url` leads; raise `RefusedAddressError` if that is not to be asked."""
    try:
        target = urljoin(url, location.strip())
    except ValueError as error:
        raise RefusedAddressError("it is no address of the web") from error
    return check_url(target.partition("#")[0], allows_http=allows_http and urlsplit(url).scheme == "http")


def is_public(address: str) -> bool:
    """Return whether the number is one of the public internet, and no machine's own, network's or group's."""
    number = ip_address(address.partition("%")[0])
    inner = _inner(number) if isinstance(number, IPv6Address) else None
    if inner is not None and not is_public(str(inner)):
        return False
    return number.is_global and not number.is_multicast and not number.is_reserved


def _inner(number: IPv6Address) -> IPv4Address | None:
    """Return the older number that a machine on the way would take out of it."""
    if int(number) >> 32 == int(IPv6Address(_NAT64)) >> 32:
        return IPv4Address(int(number) & 0xFFFFFFFF)
    teredo = number.teredo
    return number.ipv4_mapped or number.sixtofour or (teredo[1] if teredo is not None else None)
