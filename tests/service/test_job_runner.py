"""The runner of a server's jobs, turn by turn, with the clock passed in; its jobs are real processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from permafrost.config.loading import load_configuration
from permafrost.events import Event, JobEnded
from permafrost.runs import RunRecords
from permafrost.schedule import calendar_of, local_zone
from permafrost.service.alerts import server_alerts
from permafrost.service.drill_unit import DrillUnit
from permafrost.service.job_runner import JobRunner
from tests.fixtures.receivers import Recorder, receiver_at
from tests.fixtures.server import MakeServer
from tests.fixtures.syncthing import wait_for


def test_a_clock_that_jumps(make_server: MakeServer, tmp_path: Path, recorder: Recorder) -> None:
    """What the journal and a monitor get as a job's duration is how long it ran, though the clock is set meanwhile."""
    server = make_server("postgresql:///nowhere?host=/nonexistent")
    config = server.write_configuration()
    monitor = receiver_at(recorder.ping_url(), tmp_path, name="kuma", kind="uptime-kuma")
    entry = f'[[notify]]\nname = "kuma"\nkind = "uptime-kuma"\nurl_file = "{monitor.url_file}"\n'
    rest = '\n[schedule]\nbackup = "* * * * *"\naudit = "off"\ndrill = "off"\n'
    config.write_text(config.read_text() + rest + entry)
    configuration = load_configuration(config)
    start = datetime.now(UTC)
    with RunRecords(configuration.state.path).recorded("prune", start - timedelta(minutes=2)):
        pass  # so that a backup is due at once
    said: list[Event] = []

    def ends() -> list[JobEnded]:
        return [event for event in said if isinstance(event, JobEnded)]

    with server_alerts(configuration, said.append) as alerts:
        calendar = calendar_of(configuration.schedule, local_zone())
        no_unit = DrillUnit(None, RunRecords(configuration.state.path), said.append)
        runner = JobRunner(configuration, config, calendar, said.append, start, alerts, no_unit)
        try:
            assert runner.turn(start)
            wait_for(lambda: runner.turn(start + timedelta(hours=5)) and bool(ends()), "the backup has failed", 60)
            wait_for(lambda: bool(recorder.requests), "the monitor is pinged")
        finally:
            runner.end()
    (end,) = ends()[:1]
    assert end.outcome == "failed"
    assert 0 < end.duration_s < 60
    (milliseconds,) = parse_qs(urlsplit(recorder.requests[0].path).query)["ping"]
    assert 0 < int(milliseconds) < 60_000
