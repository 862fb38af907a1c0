"""Addresses of repositories in buckets."""

from __future__ import annotations

from pathlib import Path

import pytest

from permafrost.buckets.address import address_of, is_bucket_address, parse_bucket_address
from permafrost.config.buckets import Bucket
from permafrost.errors import UsageError

ID = "0123456789abcdef" * 2


@pytest.mark.parametrize("prefix", ["", "permafrost", "some/where"])
@pytest.mark.parametrize("endpoint", [None, "https://s3.example.com", "http://10.0.0.2:3900"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-1"])
def test_round_trip(prefix: str, endpoint: str | None, region: str) -> None:
    """An address that is printed means the same when it is typed again."""
    bucket = Bucket(
        name="cellar", bucket="a.bucket", prefix=prefix, endpoint=endpoint, region=region, credentials_file=Path("/key")
    )
    address = address_of(bucket, ID)
    assert is_bucket_address(str(address))
    assert parse_bucket_address(str(address)) == address
    assert address.repository_id == ID
    assert address.key("repository.json") == f"{prefix}/{ID}/repository.json".lstrip("/")


def test_a_bad_name_is_refused_in_words() -> None:
    """What a bucket's name, prefix or region must be is said in words, and not as a pattern."""
    for text, said in (
        (f"s3://UPPER/{ID}", "3 to 63 lower-case letters"),
        (f"s3://bucket/.hidden/{ID}", "no dot first"),
        (f"s3://bucket/{ID}?region=Mars", "up to 60 lower-case letters"),
    ):
        with pytest.raises(UsageError, match=said) as failure:
            parse_bucket_address(text)
        assert "[a-z" not in failure.value.message
    with pytest.raises(ValueError, match="no hyphen first"):
        Bucket(name="-x", bucket="some-bucket", credentials_file=Path("/key"))


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket",
        "s3://bucket/nothing",
        f"s3://UPPER/{ID}",
        f"s3://bucket/../{ID}",
        f"s3://bucket/{ID}?endpoint=http://s3.example.com",
        f"s3://bucket/{ID}?endpoint=https://user:password@s3.example.com",
        f"s3://bucket/{ID}?unknown=1",
        f"s3://bucket/{ID}#part",
        f"s3://bucket/{ID}?endpoint=https://[",
    ],
)
def test_what_is_no_address(text: str) -> None:
    """What is no address, or would send data unencrypted through the internet, is refused with the right form."""
    with pytest.raises(UsageError) as failure:
        parse_bucket_address(text)
    assert "s3://BUCKET" in failure.value.hint
