"""Which numbers are public, and what a file's address is."""

from __future__ import annotations

import pytest

from permafrost.media_store.address import RefusedAddressError, check_url, is_public, redirected, url_of
from permafrost.media_store.answers import continues_at, strong_etag


@pytest.mark.parametrize(
    ("number", "is_so"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - a number to refuse
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_numbers(number: str, is_so: bool) -> None:
    """Numbers of this machine, of private networks and of groups are not public, in whatever form they come."""
    assert is_public(number) is is_so


def test_addresses_of_files() -> None:
    """A path is quoted as a store unquotes it, and stays below the base."""
    assert url_of("https://files.example", "a/@1x/b c?#%.png") == "https://files.example/a/@1x/b%20c%3F%23%25.png"


@pytest.mark.parametrize("url", ["http://files.example/x", "https://a:b@files.example/", "https:///x", "https://x\n/"])
def test_refused_addresses(url: str) -> None:
    """Without leave only https is asked, and never with credentials."""
    with pytest.raises(RefusedAddressError):
        check_url(url, allows_http=False)


def test_redirects_do_not_lose_the_encryption() -> None:
    """From https no redirect leads to http, even where http is allowed; relative ones are followed."""
    assert redirected("https://files.example/a/b", "../c#d", allows_http=True) == "https://files.example/c"
    with pytest.raises(RefusedAddressError):
        redirected("https://files.example/a", "http://files.example/a", allows_http=True)


def test_headers_of_parts() -> None:
    """Only a part that ends with the file, of bytes that are named exactly, is added to what is there."""
    assert continues_at("bytes 10-99/100") == (10, 100)
    assert [continues_at(text) for text in (None, "bytes 10-98/100", "bytes */100", "10-99/100")] == [None] * 4
    assert strong_etag('"abc"') == '"abc"'
    assert [strong_etag(text) for text in (None, 'W/"abc"', "abc", '"a\nb"', '""')] == [""] * 5
