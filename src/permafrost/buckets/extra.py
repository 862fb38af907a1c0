"""Whether the extra that speaks S3 is installed."""

from __future__ import annotations

from importlib.util import find_spec

from permafrost.errors import ConfigurationError


def require_boto3() -> None:
    """Return if object stores can be reached; raise `ConfigurationError` if boto3 is not installed."""
    if find_spec("boto3") is None:
        raise ConfigurationError(
            "buckets need the Python package boto3, which is not installed", hint="install permafrost-backup[s3]"
        )
