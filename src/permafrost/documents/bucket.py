"""The documents of the commands about buckets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from permafrost.documents.document import Document


@dataclass(frozen=True, slots=True)
class BucketUploadDocument(Document):
    """What was put into a bucket of one repository, and renewed and removed there."""

    bucket: str
    """its name in `[[buckets]]`"""
    address: str
    """where the repository is, for `--repository`"""
    snapshots: tuple[str, ...]
    """ids of the snapshots that this run made complete there, the newest first"""
    files: int
    """how many files were uploaded"""
    bytes: int
    """their size"""
    renewed: int
    """how many locks were renewed"""
    removed: int
    """how many unneeded files were removed"""
    requests: int
    """how many requests that took"""
    has_lock: bool
    """whether what was uploaded is locked"""
    duration_s: float
    """how long it took"""


@dataclass(frozen=True, slots=True)
class BucketUploadsDocument(Document):
    """What was put into a bucket; on a vault, about the history of each server."""

    uploads: tuple[BucketUploadDocument, ...]
    """by repository"""


@dataclass(frozen=True, slots=True)
class BucketProbeDocument(Document):
    """A promise that was tried on a bucket."""

    promise: str
    """its name: `clock`, `write`, `checksum`, `create-only`, `versions`, `lock`, `lock-holds`, `lock-stays`, `renewal`,
    `write-only`, `read` or `sha256`"""
    holds: bool | None
    """whether it holds; null if it could not be tried"""
    is_needed: bool
    """whether something is wrong if it does not"""
    text: str
    """what that means"""


@dataclass(frozen=True, slots=True)
class BucketCheckDocument(Document):
    """What was tried on a bucket. Exit code 3 if something needed does not hold."""

    bucket: str
    """its name in `[[buckets]]`"""
    address: str | None
    """where the repository is, for `--repository`; on a vault, the first server's; null if the vault has no server"""
    is_good: bool
    """whether everything holds that is needed"""
    probes: tuple[BucketProbeDocument, ...]
    """what was tried, in this order"""


@dataclass(frozen=True, slots=True)
class BucketVerifyDocument(Document):
    """What was verified in a bucket. Exit code 14 if something is missing or damaged there."""

    bucket: str
    """its name in `[[buckets]]`"""
    address: str
    """where the repository is, for `--repository`"""
    snapshots: int
    """how many snapshots were looked at"""
    files: int
    """how many files they need"""
    bytes: int
    """their size"""
    asked: int
    """of how many the SHA-256 was asked for, since their version is another one, or all were to be asked for"""
    downloaded: int
    """how many were downloaded and compared"""
    downloaded_bytes: int
    """their size"""
    bad: tuple[str, ...]
    """the files that are missing or damaged; the next upload puts them there again"""
    all_read_since: datetime | None
    """everything was downloaded and compared since then; null if something never was"""
    requests: int
    """how many requests that took"""
    duration_s: float
    """how long it took"""


@dataclass(frozen=True, slots=True)
class BucketVerificationsDocument(Document):
    """What was verified in a vault's own bucket. Exit code 14 if something is missing or damaged there."""

    verifications: tuple[BucketVerifyDocument, ...]
    """of the history of each server"""


@dataclass(frozen=True, slots=True)
class BucketFetchDocument(Document):
    """What was fetched from a bucket into a folder."""

    address: str
    """where the repository is"""
    folder: str
    """the folder, for `--repository`"""
    snapshots: tuple[str, ...]
    """ids of the snapshots, the newest first"""
    bytes: int
    """how many bytes of objects came; those that had come before are not counted"""


@dataclass(frozen=True, slots=True)
class MediaPushDocument(Document):
    """What was put into Mastodon's bucket."""

    bucket: str
    """its name"""
    files: int
    """how many files were sent"""
    bytes: int
    """their size"""
    present: int
    """how many files the bucket had, with the same bytes"""
    closed: int
    """how many of the sent files others may not read on the disk: those of suspended accounts"""
    has_acl: bool
    """whether access was set for single files"""
    requests: int
    """how many requests that took"""
    duration_s: float
    """how long it took"""
