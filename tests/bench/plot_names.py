"""A whole set of results, and the plots that it gives."""

from __future__ import annotations

from dataclasses import replace

from tests.bench.measurements import ALL, ONE_SIZE
from tests.bench.weeks import WEEK
from tests.bench.worked import WORKED

WHOLE = replace(ALL, one_size=replace(ONE_SIZE, log=WORKED, week=WEEK))
NAMES = [
    "bytes-by-churn.svg",
    "bytes-by-hour.svg",
    "bytes-by-size.svg",
    "lag-by-minute.svg",
    "scan-server-cpu-by-size.svg",
    "scan-time-by-size.svg",
    "share-by-minute.svg",
    "time-by-churn.svg",
    "time-by-size.svg",
    "work.svg",
]
