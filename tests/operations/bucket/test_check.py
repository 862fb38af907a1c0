"""bucket check: each promise is tried on the real bucket."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from permafrost.errors import BucketRefusedError
from permafrost.operations.bucket.check import BucketCheckResult, check_bucket
from tests.fixtures.buckets import Copied, MakeCopied


def look(copied: Copied) -> BucketCheckResult:
    """Check the bucket."""
    return check_bucket(copied.bucket, copied.address.repository_id, lambda: datetime.now(UTC))


def held(result: BucketCheckResult) -> dict[str, bool | None]:
    """Return what holds, by promise."""
    return {probe.promise: probe.holds for probe in result.probes}


def test_everything_holds(make_copied: MakeCopied) -> None:
    """In a bucket with Object Lock and a key that may only write, every promise holds."""
    result = look(make_copied())
    assert result.is_good
    assert set(held(result).values()) == {True}
    assert len(result.probes) == 12


def test_a_bucket_without_locks_or_versions(make_copied: MakeCopied) -> None:
    """A bucket with neither versions nor locks is told apart, and is good enough only for whoever wants no locks."""
    copied = make_copied(is_locked=False)
    result = look(copied)
    assert (held(result)["versions"], held(result)["lock"], result.is_good) == (False, False, False)
    assert "lock-holds" not in held(result)
    assert held(result)["write"] is True


def test_a_key_that_may_do_everything_is_named(make_copied: MakeCopied) -> None:
    """A key that may read, too, is no defect, and is said to; locks hold against it all the same."""
    copied = make_copied()
    result = look(copied.with_keys(copied.store.admin))
    assert held(result)["write-only"] is False
    assert (held(result)["lock-holds"], held(result)["lock-stays"], result.is_good) == (True, True, True)


def test_a_reading_key_that_may_not_read(make_copied: MakeCopied) -> None:
    """A reading key that may not read is found before the day when it is needed."""
    copied = make_copied()
    wrong = copied.bucket.model_copy(update={"read_credentials_file": copied.bucket.credentials_file})
    result = look(Copied(copied.store, copied.sender, wrong, copied.folder))
    assert (held(result)["read"], result.is_good) == (False, False)


def test_a_revoked_key(make_copied: MakeCopied) -> None:
    """With a key that was revoked nothing can be tried, and the error says so."""
    copied = make_copied()
    with pytest.raises(BucketRefusedError, match="were revoked"):
        look(copied.with_keys(copied.store.stranger))
