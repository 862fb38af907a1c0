"""What the tests' object store promises: what `buckets` is built on, so that a newer SeaweedFS shows what changed."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.seaweedfs import ObjectStore


def _sum(content: bytes) -> str:
    return b64encode(sha256(content).digest()).decode()


def test_a_lock_holds_against_the_writer_and_the_admin(object_store: ObjectStore) -> None:
    """A locked version can be neither deleted nor have its lock shortened, and its SHA-256 can be asked for."""
    bucket, writer, until = object_store.new_bucket(), object_store.client(object_store.writer), _in(days=2)
    put = writer.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        ChecksumSHA256=_sum(b"x"),
        IfNoneMatch="*",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
    )
    for client in (writer, object_store.client()):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=bucket, Key="k", VersionId=put["VersionId"])
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object_retention(
                Bucket=bucket, Key="k", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": _in(days=1)}
            )
        client.put_object_retention(
            Bucket=bucket, Key="k", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": _in(days=3)}
        )
    seen = object_store.client(object_store.reader).head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert seen["ChecksumSHA256"] == _sum(b"x")
    assert seen["ObjectLockRetainUntilDate"] > _in(days=2)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({"IfNoneMatch": "*"}, "PreconditionFailed"), ({"ChecksumSHA256": _sum(b"other")}, "BadDigest")],
)
def test_the_store_refuses_a_second_put_and_a_wrong_sum(
    object_store: ObjectStore, arguments: dict[str, str], code: str
) -> None:
    """A create-only PUT of a name that exists is refused, and so are bytes that do not have the sum."""
    bucket = object_store.new_bucket()
    object_store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError, match=code):
        object_store.client().put_object(Bucket=bucket, Key="k", Body=b"x", **arguments)  # type: ignore[arg-type]


def test_the_writer_can_not_read(object_store: ObjectStore) -> None:
    """The writing identity may neither get nor list, and a stranger may not put."""
    bucket, writer = object_store.new_bucket(), object_store.client(object_store.writer)
    writer.put_object(Bucket=bucket, Key="k", Body=b"x")
    for read in (lambda: writer.get_object(Bucket=bucket, Key="k"), lambda: writer.list_objects_v2(Bucket=bucket)):
        with pytest.raises(ClientError, match="AccessDenied"):
            read()
    with pytest.raises(ClientError, match="AccessDenied"):
        object_store.client(object_store.stranger).put_object(Bucket=bucket, Key="k", Body=b"x")


def _in(*, days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)
