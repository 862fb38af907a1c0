"""What the last upload to a bucket, and the last verification, have left for `status`: one small JSON file.

Uploads write it, status reads it. Losing it loses no backup: the next upload writes it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from permafrost.buckets.record import record_file
from permafrost.config.buckets import Bucket
from permafrost.repository.durable import write_durably
from permafrost.small_files import read_small

Problem = Literal["unreachable", "refused", "full", "clock", "damaged", "other"]
_MOST_BYTES = 4 << 20


class BucketReport(BaseModel):
    """What is known of a bucket. Moments are by this machine's clock."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tried_at: AwareDatetime | None = None
    """When something was last uploaded, or tried to be."""
    done_at: AwareDatetime | None = None
    """When an upload last came to its end."""
    failing_since: AwareDatetime | None = None
    """Since when uploads fail; None if the last one was done."""
    problem_kind: Problem | None = None
    problem: str = ""
    """Why the last upload failed."""
    snapshots: tuple[str, ...] = ()
    """The snapshots that are there with all that they need, oldest first."""
    objects: int = 0
    size_bytes: int = 0
    """All files of the repository that are there."""
    has_lock: bool | None = None
    """Whether the bucket takes locks; None if that is not known."""
    locked_until: AwareDatetime | None = None
    """The first end of a lock on something that a kept snapshot needs; None if something needed is not locked."""
    passed_at: AwareDatetime | None = None
    """When locks were last renewed, and what is there was counted."""
    unneeded: int = 0
    """How many objects are still there that no kept snapshot needs: locked, or not to be removed with this key."""
    verified_at: AwareDatetime | None = None
    """When names were last verified there."""
    bad: tuple[str, ...] = ()
    """Files that a verification found missing or damaged; at most a hundred."""
    bad_count: int = 0
    all_read_since: AwareDatetime | None = None
    """Everything that is there was downloaded and compared since then."""
    downloaded_at: AwareDatetime | None = None
    """When a verification last downloaded something; `downloaded_bytes` in `download_s` seconds."""
    downloaded_bytes: int = 0
    download_s: float = 0.0


def report_file(state: Path, bucket: Bucket, repository_id: str) -> Path:
    """Return where the report on a bucket is, about one repository."""
    return record_file(state, bucket, repository_id, ".json")


def read_report(file: Path) -> BucketReport:
    """Return what is known; nothing if there is no file, or none that can be read."""
    try:
        return BucketReport.model_validate_json(read_small(file, _MOST_BYTES))
    except (OSError, ValidationError):
        return BucketReport()


def write_report(file: Path, report: BucketReport) -> None:
    """Write the report durably."""
    write_durably(file, report.model_dump_json(indent=2).encode() + b"\n", 0o640)
