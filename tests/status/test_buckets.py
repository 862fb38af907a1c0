"""Buckets in the status: as places, honestly, and with a finding for each thing that is wrong."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.buckets.report import BucketReport
from permafrost.cli.shared.status_lines import place_lines
from permafrost.config.buckets import Bucket
from permafrost.findings import Finding, FindingKind
from permafrost.repository.layout import SnapshotId
from permafrost.runs import BUCKET_DRILL, Run
from permafrost.status.buckets import bucket_drill_findings, bucket_findings, bucket_places
from permafrost.status.forecast import ways_back
from permafrost.status.verdict import Proof, server_verdict

NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
OLD, NEW = SnapshotId("20261124T120000Z-00000001"), SnapshotId("20261126T193000Z-00000002")
BUCKET = Bucket(name="cellar", bucket="some-bucket", credentials_file=Path("/etc/permafrost/cellar"))
WELL = BucketReport(
    tried_at=NOW,
    done_at=NOW,
    passed_at=NOW,
    snapshots=(str(OLD), str(NEW)),
    has_lock=True,
    locked_until=NOW + timedelta(days=40),
    size_bytes=1000,
)


def codes(known: BucketReport, bucket: Bucket = BUCKET) -> list[str]:
    """Return the codes of what is found."""
    return [finding.code for finding in bucket_findings([(bucket, known)], (OLD, NEW), frozenset(), NOW)]


def test_a_bucket_is_a_place() -> None:
    """A bucket shows what was uploaded and which of it is proven, and claims neither room nor that all was read."""
    (place,) = bucket_places([(BUCKET, WELL)], frozenset({str(OLD)}), ())
    assert (place.kind, place.name, place.snapshots) == ("bucket", "cellar", 2)
    assert (place.restorable_to, place.keeps_back_to, place.proven_to) == (NEW.made_at, OLD.made_at, OLD.made_at)
    assert (place.all_read_since, place.free_bytes, place.heard_at) == (None, None, NOW)
    assert codes(WELL) == []


def test_the_way_back_from_a_bucket() -> None:
    """What a verification has downloaded, for ten seconds or more, says how fast a snapshot comes from there."""
    downloaded = {"downloaded_at": NOW, "downloaded_bytes": 600_000_000, "download_s": 60.0}
    (way,) = ways_back((), [(BUCKET, WELL.model_copy(update=downloaded))])
    assert (way.place, way.bytes_per_s, way.how) == ("cellar", 10_000_000, "verify --bucket")
    assert ways_back((), [(BUCKET, WELL), (BUCKET, WELL.model_copy(update={**downloaded, "download_s": 3.0}))]) == ()


def drilled(outcome: str, at: datetime, bucket: str = "cellar") -> Run:
    """Return a drill from a bucket that ended so."""
    return Run(BUCKET_DRILL, at, at, outcome, str(OLD), {"bucket": bucket, "error": "it broke off"})


def test_a_drill_from_the_bucket_is_about_the_bucket() -> None:
    """Only a drill from that bucket itself shows there; its last failure is a finding until one passes."""
    passed, failed = drilled("done", NOW - timedelta(days=2)), drilled("failed", NOW - timedelta(days=1))
    reports = [(BUCKET, WELL)]
    for drills, at, found in (
        ((), None, []),
        ((drilled("done", NOW, "attic"),), None, []),
        ((passed,), passed.ended_at, []),
        ((passed, failed), passed.ended_at, ["bucket-drill-failed"]),
        ((failed, drilled("done", NOW)), NOW, []),
    ):
        (place,) = bucket_places(reports, frozenset(), drills)
        assert place.drilled_at == at
        assert [finding.code for finding in bucket_drill_findings(reports, drills)] == found
        text = "\n".join(place_lines((place,), NOW, UTC, 80, here=""))
        assert ("nothing was restored from cellar itself" in text) == (at is None)


def test_a_bucket_is_told_apart() -> None:
    """The terminal's table says which place is a bucket, and leaves empty what nobody has read there."""
    places = bucket_places([(BUCKET, WELL)], frozenset(), ())
    for columns in (40, 80):
        text = "\n".join(place_lines(places, NOW, UTC, columns, here="this server"))
        assert "cellar (bucket)" in text
        assert max(map(len, text.splitlines())) <= columns


def test_a_bucket_holds_after_the_server_is_lost() -> None:
    """A bucket counts in the verdict like a vault, and no vault is asked for then; a damaged one does not count."""
    places, proof = bucket_places([(BUCKET, WELL)], frozenset(), ()), Proof(None, None)
    verdict = server_verdict(places, (), proof, lambda _: False, NOW, UTC)
    assert (verdict.sources, verdict.restorable_to) == (("cellar",), NEW.made_at)
    assert verdict.commands == ("permafrost drill",)
    damaged = Finding(FindingKind.BUCKET_CORRUPT, "cellar", "2 files are missing")
    assert server_verdict(places, (damaged,), proof, lambda _: False, NOW, UTC).answer == "no"


def test_an_unknown_bucket_holds_nothing() -> None:
    """A bucket that nothing was uploaded to yet has no snapshot, and is late once one is older than allowed."""
    (place,) = bucket_places([(BUCKET, BucketReport())], frozenset(), ())
    assert (place.restorable_to, place.snapshots, place.heard_at) == (None, 0, None)
    assert codes(BucketReport()) == ["bucket-late"]


@pytest.mark.parametrize("kind", ["unreachable", "refused", "full", "clock"])
def test_each_failure_has_its_finding(kind: str) -> None:
    """An outage of an hour, refused credentials, a full bucket and a wrong clock are findings of their own kinds."""
    known = WELL.model_copy(
        update={"failing_since": NOW - timedelta(hours=1), "problem_kind": kind, "problem": "it failed"}
    )
    assert codes(known) == [f"bucket-{kind}"]


def test_a_short_outage_is_no_finding() -> None:
    """An object store that fails for a few minutes needs nobody."""
    since = NOW - timedelta(minutes=10)
    assert codes(WELL.model_copy(update={"failing_since": since, "problem_kind": "unreachable"})) == []


def test_a_bucket_is_late_by_its_newest() -> None:
    """A bucket is late if its newest snapshot is older than one that has been here for longer than allowed."""
    assert codes(WELL.model_copy(update={"snapshots": (str(OLD),)})) == [], "the newest is half an hour old"
    assert codes(WELL.model_copy(update={"snapshots": ()})) == ["bucket-late"]


def test_locks_that_end_too_soon() -> None:
    """Locks that end before the days promised are a finding, and so is something without a lock."""
    soon = WELL.model_copy(update={"locked_until": NOW + timedelta(days=20)})
    none = WELL.model_copy(update={"locked_until": None})
    assert codes(soon) == codes(none) == ["bucket-locks"]
    assert codes(soon, BUCKET.model_copy(update={"lock_days": 0})) == []
    assert codes(WELL.model_copy(update={"has_lock": False})) == ["bucket-unlocked"]


def test_what_a_verification_found_is_an_alarm() -> None:
    """Files that a verification found missing or damaged are an alarm."""
    known = WELL.model_copy(update={"bad": ("objects/ab/x.gpg",), "bad_count": 1})
    (finding,) = bucket_findings([(BUCKET, known)], (OLD, NEW), frozenset(), NOW)
    assert (finding.code, finding.severity.word) == ("bucket-corrupt", "alarm")


def test_what_only_the_bucket_still_has_is_an_alarm() -> None:
    """A snapshot that is in a bucket and gone here is an alarm, unless a prune has removed it."""
    report = [(BUCKET, WELL)]
    (finding,) = bucket_findings(report, (NEW,), frozenset(), NOW)
    assert (finding.code, finding.severity.word) == ("bucket-keeps-lost", "alarm")
    assert str(OLD) in finding.message
    assert list(bucket_findings(report, (NEW,), frozenset({str(OLD)}), NOW)) == []


def test_status_needs_no_boto3() -> None:
    """What status imports does not import boto3, which is an extra, and takes most of a second."""
    code = "import sys, permafrost.status.document; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
