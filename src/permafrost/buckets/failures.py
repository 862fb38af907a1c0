"""What an object store's answers mean. No text of a store or a library is passed on: it may quote the request."""

from __future__ import annotations

import re

from botocore.exceptions import BotoCoreError, ClientError

from permafrost.errors import (
    BucketClockError,
    BucketError,
    BucketFullError,
    BucketRefusedError,
    BucketUnreachableError,
    IntegrityError,
    PermafrostError,
)

_KEEPS = "all snapshots, here and in the bucket"
_REFUSED = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AccountProblem",
        "ExpiredToken",
        "Forbidden",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "Unauthorized",
        "UnauthorizedAccess",
        "401",
        "403",
    }
)
_FULL = frozenset(
    {"QuotaExceeded", "InsufficientStorage", "StorageFull", "XMinioStorageFull", "TotalSizeExceeded", "507"}
)
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_WRONG_SUM = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404", "NotFound"})
_UNSUPPORTED = frozenset(
    {
        "AccessControlListNotSupported",
        "InvalidRequest",
        "NotImplemented",
        "ObjectLockConfigurationNotFoundError",
        "InvalidBucketState",
    }
)
_WORD = re.compile(r"[A-Za-z0-9]{1,60}")


class ExistsError(BucketError):
    """An object with that key exists already."""


class MissingError(BucketError):
    """There is no object with that key, or no such version of it."""


class UnsupportedError(BucketError):
    """The bucket knows no locks, or the store no create-only PUT."""


def meaning_of(error: Exception, what: str, bucket: str) -> PermafrostError:
    """Return what a failed request means: `what` was to be done, in the `bucket`."""
    failed = f"{what} failed in the bucket {bucket}"
    if isinstance(error, ClientError):
        code = _code_of(error)
        return _meaning_of_code(code, failed)
    if isinstance(error, BotoCoreError):
        return BucketUnreachableError(
            f"{failed}: the object store cannot be reached or breaks off ({type(error).__name__})",
            unchanged=_KEEPS,
            hint="check the network and the provider's status page; uploads resume by themselves",
        )
    raise error


def not_understood(what: str, bucket: str, why: str) -> BucketUnreachableError:
    """Return that the store answered what no store should: `what` was to be done, in the `bucket`."""
    return BucketUnreachableError(
        f"{what} failed in the bucket {bucket}: {why}",
        unchanged=_KEEPS,
        hint="check whether the endpoint is an object store that speaks S3",
    )


def _code_of(error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    return code if _WORD.fullmatch(code) and code != "Unknown" else status


def _meaning_of_code(code: str, failed: str) -> PermafrostError:  # noqa: PLR0911 - a table of answers
    if code in _MISSING:
        return MissingError(f"{failed}: there is no such object ({code})")
    if code in _EXISTS:
        return ExistsError(f"{failed}: the object exists already ({code})")
    if code in _UNSUPPORTED:
        return UnsupportedError(f"{failed}: the bucket has no such feature ({code})")
    if code in _WRONG_SUM:
        return IntegrityError(f"{failed}: what was read here is not what its name says ({code})")
    if code in _CLOCK:
        return BucketClockError(
            f"{failed}: the clocks of this machine and the object store differ too much ({code})",
            unchanged=_KEEPS,
            hint="set the clock of this machine (timedatectl)",
        )
    if code in _FULL:
        return BucketFullError(
            f"{failed}: it is full ({code})", unchanged=_KEEPS, hint="raise its quota, or shorten [retention]"
        )
    if code in _REFUSED:
        return BucketRefusedError(
            f"{failed}: the credentials are wrong, were revoked or allow too little ({code})",
            unchanged=_KEEPS,
            hint="permafrost bucket check NAME shows what they allow",
        )
    if code == "NoSuchBucket":
        return BucketRefusedError(
            f"{failed}: there is no such bucket", unchanged=_KEEPS, hint="create it, or correct it"
        )
    return BucketUnreachableError(
        f"{failed}: the object store answered {code or 'nothing that is known'}",
        unchanged=_KEEPS,
        hint="check the provider's status page, and whether it has room; uploads resume by themselves",
    )
