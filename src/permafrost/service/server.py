"""permafrost run: the server's service, one process for a service manager.

All state is on the disk: after kill -9 a start picks up where it left off. The service ends by the signal that stops
it. A turn feeds the service manager's watchdog, but not while a job has been silent for too long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from permafrost.config.models import Configuration
from permafrost.errors import PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.operations.refresh_status import StatusRefresher
from permafrost.repository.durable import make_folder_durably
from permafrost.repository.layout import Layout
from permafrost.repository.lock import file_lock
from permafrost.runs import RunRecords
from permafrost.schedule import calendar_of, local_zone
from permafrost.sealed_media.store import seals_media
from permafrost.service.alerts import ServerAlerts, server_alerts
from permafrost.service.background_job import BackgroundJob
from permafrost.service.bucket_uploads import BucketUploads
from permafrost.service.drill_unit import DrillUnit, drill_socket
from permafrost.service.job import Job
from permafrost.service.job_runner import JobRunner
from permafrost.service.media_comparison import ComparisonDue
from permafrost.service.own_command import check_own_command
from permafrost.service.page import Turn, server_page
from permafrost.service.sd_notify import ServiceManager
from permafrost.service.syncthing_uptime import SyncthingUptime
from permafrost.sharing.declared_vaults import admit_declared
from permafrost.sharing.doorkeeper import Doorkeeper
from permafrost.sharing.server_side import ensure_sent_folders, server_side_of
from permafrost.syncthing.client import Client

TURN_S = 1.0
DOOR_S = 5.0
LOCK_FILE = "service.lock"


def run_server(configuration: Configuration, config_file: Path, report: Reporter) -> None:
    """Follow the schedule, keep Syncthing going, and let in vaults that were invited.

    Raise `LockedError` if a service already runs with this state folder, `ToolError` if it could start no job.
    """
    lock = configuration.state.path / LOCK_FILE
    make_folder_durably(lock.parent, 0o750)
    with file_lock(lock, "run", datetime.now(UTC), what="a service already runs with this configuration"):
        check_own_command()
        with server_page(configuration, report) as page, server_alerts(configuration, report) as alerts:
            _serve(configuration, config_file, report, page, alerts)


def _serve(configuration: Configuration, config_file: Path, report: Reporter, page: Turn, alerts: ServerAlerts) -> None:
    server = server_side_of(configuration)
    manager = ServiceManager(os.environ)

    def prepare(client: Client) -> None:
        ensure_sent_folders(client, server)
        admit_declared(client, server, report)

    uptime = SyncthingUptime(server.syncthing, f"permafrost {server.name}", prepare, report)
    calendar = calendar_of(configuration.schedule, local_zone())
    place = drill_socket(os.environ) if "drill" in calendar.rhythms else None
    drill_unit = DrillUnit(place, RunRecords(configuration.state.path), report)
    jobs = JobRunner(configuration, config_file, calendar, report, datetime.now(UTC), alerts, drill_unit)
    uploads = _uploads(configuration, config_file, report)
    beside = _beside(configuration, config_file, report)
    doorkeeper = Doorkeeper(server, report)
    refresher = StatusRefresher(configuration, report, alerts.saw)
    try:
        uptime.turn(0)
        manager.ready()
        door_at = 0.0
        while True:
            now = datetime.now(UTC)
            if jobs.turn(now):
                manager.alive()
            uploads.turn(now)
            for job in beside:
                job.turn(now)
            manager.status(jobs.status(now))
            if uptime.client is not None and time.monotonic() >= door_at:
                door_at = time.monotonic() + DOOR_S
                _let_in(doorkeeper, uptime.client, report)
            refresher.turn(now)
            page(now)
            uptime.turn(TURN_S)
    finally:
        manager.stopping()
        jobs.ask_to_end()
        uploads.ask_to_end()
        for job in beside:
            job.ask_to_end()
        try:
            uptime.close()
        finally:
            jobs.end()
            uploads.end()
            for job in beside:
                job.end()


def _beside(configuration: Configuration, config_file: Path, report: Reporter) -> tuple[BackgroundJob, ...]:
    """Return the jobs beside the schedule that are not about buckets.

    One seals media, once a vault was invited that gets them sealed; one compares the server's own media with its
    database, now and then.
    """
    has_folder = configuration.media is not None and configuration.media.path is not None
    place, state = configuration.sealed_media_path if has_folder else None, configuration.state.path
    snapshots = Layout(configuration.repository.path).snapshots
    comparison = ComparisonDue(configuration)

    def job(words: tuple[str, ...], folders: tuple[Path, ...], is_wanted: Callable[[], bool]) -> BackgroundJob:
        return BackgroundJob(
            words,
            lambda words, now: Job(words, config_file, now),
            folders,
            configuration.schedule.hung_after_s,
            report,
            is_wanted,
        )

    return (
        job(
            ("vault", "seal-media"),
            (snapshots,),
            lambda: place is not None and seals_media(place, state) and any(snapshots.iterdir()),
        ),
        job(("media", "compare"), (), lambda: comparison.is_due(datetime.now(UTC))),
    )


def _uploads(configuration: Configuration, config_file: Path, report: Reporter) -> BucketUploads:
    return BucketUploads.of(
        [bucket.name for bucket in configuration.buckets],
        lambda words, now: Job(words, config_file, now),
        (Layout(configuration.repository.path).snapshots,),
        configuration.schedule.hung_after_s,
        report,
    )


def _let_in(doorkeeper: Doorkeeper, client: Client, report: Reporter) -> None:
    try:
        for name in doorkeeper.look(client):
            report(Note(f"the vault {name} was admitted"))
    except PermafrostError as error:
        report(Warned(f"invited vaults cannot be admitted now: {error.message}"))
