"""Results with the work of each run, made up."""

from __future__ import annotations

from dataclasses import replace

from bench.results import LogRuns
from tests.bench.measurements import FIRST, HOURS, LOG, STILL

SCANS = ({"scan": 0.5, "seal": 0.1}, {"scan": 0.3}, {"scan": 0.4, "seal": 0.2, "publish": 0.1})
WORKED = LogRuns(
    *(LOG.data, LOG.published, replace(FIRST, work_s={"compress": 4.0, "fetch": 5.5, "of long ago": 0.5})),
    (STILL, replace(STILL, work_s={"scan": 0.5})),
    tuple(replace(hour, run=replace(hour.run, work_s=work_s)) for hour, work_s in zip(HOURS, SCANS, strict=True)),
)
