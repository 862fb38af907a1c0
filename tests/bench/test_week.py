from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bench.alternatives import Alternatives
from bench.archives import Borg, Restic, ZstdArchive
from bench.hours import log_run
from bench.judgement import figures
from bench.plots import pictures
from bench.report import document, summary
from bench.results import LogRuns, OneSize, Results, load_results, save_results
from bench.sections import _full, _not_carried, make_mastodon, running_servers
from bench.systems import Permafrost, PublishedSetup
from bench.week import WeekSystems, measure_week
from bench.week_report import week_rows, week_section
from bench.week_results import WeekRestore
from bench.week_rules import RETENTION, file_sent, file_stored, hours_kept, moments_of_week, newest_hours, sent_in_week
from permafrost.config.models import Retention
from permafrost.openpgp.home import temporary_home
from permafrost.repository.layout import Layout
from permafrost.repository.snapshots import list_snapshots
from tests.bench.measurements import FACTS, HOURS, ONE_SIZE
from tests.bench.weeks import FILES, KEPT, NOW, OWN, RESTIC, WEEK


def test_a_week_has_whole_days_after_now() -> None:
    """Its first backup is at the next midnight, and each other an hour later."""
    moments = moments_of_week(NOW, 168)
    assert moments[0] == datetime(2026, 11, 24, tzinfo=UTC)
    assert moments[-1] == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert len(set(moments)) == 168
    assert moments_of_week(datetime(2026, 11, 24, tzinfo=UTC), 1)[0] > datetime(2026, 11, 24, tzinfo=UTC)


def test_the_last_day_and_the_last_hour_of_each_other_are_kept() -> None:
    """Thirty hours of a week are left at its end, and fewer of less than a week."""
    assert hours_kept(moments_of_week(NOW, 168), RETENTION) == (24, 48, 72, 96, 120, 144, *range(145, 169))
    assert hours_kept(moments_of_week(NOW, 30), RETENTION) == tuple(range(7, 31))
    assert hours_kept(moments_of_week(NOW, 6), Retention(hourly=3, daily=2)) == (4, 5, 6)


def test_what_was_sent_is_a_sum_or_an_estimate() -> None:
    """It is a sum if there was a run each hour; else usual hours at both ends count, and days' changes do not."""
    assert sent_in_week(OWN, 168) == 168_000_000
    assert sent_in_week(RESTIC, 168) == 168 * 150_000_000


def test_whole_files_grow_evenly() -> None:
    """A file each hour is sent, and the kept ones are as large as they were at their hours."""
    published, archive = FILES
    assert published.kept_hours == (162, 163, 164, 165, 166, 167, 168)
    assert file_stored(published, 168) == 7 * 182_500_000
    assert file_sent(published, 168) == 168 * 142_250_000
    assert file_stored(archive, 168) < 30 * 184_000_000
    assert (
        file_stored(replace(published, kept_hours=newest_hours(3, 7)), 3) == 4 * 100_000_000 + (128 + 156 + 184) * 10**6
    )


def test_rows_and_text_of_a_week() -> None:
    """Each system is compared with permafrost; what is an estimate or computed is marked as one."""
    rows = week_rows(WEEK)
    assert rows[0] == ("permafrost, engine log", "31", "168 MB", "400 MB", "250", "1.0", "2.0 s", "2.5 s")
    assert rows[1] == ("restic", "31", "~25.2 GB", "8 GB", "250", "20.0", "2.0 s", "2.5 s")
    assert rows[2][:3] == ("published set-up, computed", "7", "23.9 GB")
    text = "\n".join(week_section(WEEK))
    assert "grows from 1 GB\nto 1.8 GB" in text
    assert "restic 12.5 s" in text
    assert "from before the week" in text
    assert "of hour 24" in "\n".join(week_section(replace(WEEK, restores=(WEEK.restores[0], WeekRestore(24, 15.0)))))
    assert max(map(len, text.splitlines())) <= 120


def test_a_week_is_judged_against_restic() -> None:
    """Stored and sent bytes are parts of restic's; without a week there is no such promise."""
    kept = {figure.name: figure for figure in figures(replace(ONE_SIZE, week=WEEK))}
    assert kept["log engine, stored after a week / restic"].values == (1 / 20,)
    assert kept["log engine, stored after a week / restic"].verdict == "yes"
    assert kept["log engine, sent in a week / restic (estimate)"].values == (1 / 150,)
    assert not any("week" in figure.name for figure in figures(ONE_SIZE))


def test_a_week_is_kept_and_drawn(tmp_path: Path) -> None:
    """It comes back from its file, has its section and its plot, which has a line for each system over the hours."""
    results = Results(replace(ONE_SIZE, week=WEEK))
    save_results(tmp_path / "file", results)
    assert load_results(tmp_path / "file") == results
    drawn = pictures(results)
    assert sorted(drawn) == ["bytes-by-hour.svg"]
    axes = drawn["bytes-by-hour.svg"].axes[0]
    own, restic, published = axes.lines
    assert own.get_label() == "permafrost, engine log"
    assert own.get_marker() == ""
    assert np.asarray(own.get_xdata()).tolist() == list(range(1, 169))
    assert restic.get_marker() != ""
    assert np.asarray(restic.get_xdata()).tolist() == list(KEPT)
    assert published.get_label() == "published set-up, 7 files, computed"
    first, last = axes.get_xlim()
    assert [mark for mark in axes.get_xticks() if first <= mark <= last] == [0, 24, 48, 72, 96, 120, 144, 168]
    assert "(plots/bytes-by-hour.svg)" in document(results)
    assert any(line.startswith("restic") for line in summary(results))


@pytest.mark.long
@pytest.mark.skipif(not (shutil.which("restic") and shutil.which("borg")), reason="restic or borg is not installed")
def test_four_hours_with_their_own_retention(server_folder: Path) -> None:
    """Every system keeps the two last hours and a day, and both ends of what permafrost keeps can be restored."""
    folder = server_folder / "week"
    folder.mkdir()
    folder.chmod(0o711)
    retention, told = Retention(hourly=2, daily=2), list[str]()
    with running_servers(folder) as servers, temporary_home() as gpg_home:
        data = make_mastodon(servers, 2_000_000, told.append)
        major = servers.major
        published = PublishedSetup(folder / "published", servers.conninfo, gpg_home, major)
        log = Permafrost(folder / "log", servers.conninfo, "log")
        systems = (
            ZstdArchive(folder / "zstd", servers.conninfo, major, gpg_home),
            Restic(folder / "restic", servers.conninfo, major),
            Borg(folder / "borg", servers.conninfo, major),
        )
        others = Alternatives(servers, systems, told.append, _not_carried)
        others.back_up()
        others.back_up()
        runs = LogRuns(data, (_full(published, servers, told.append),), log_run(servers, log), (), HOURS[:1])
        measured = OneSize(FACTS, runs, (), (), others.measured())
        week = measure_week(
            servers, WeekSystems(log, published, *systems), measured, 4, told.append, retention=retention
        )
        snapshots = list_snapshots(Layout(log.repository))
    assert runs.first.work_s.keys() >= {"connect", "scan", "fetch", "compress", "seal", "publish"}
    own, restic, borg = week.systems
    assert [run.hour for run in own.runs] == [1, 2, 3, 4]
    assert [run.hour for run in restic.runs] == [run.hour for run in borg.runs] == [3, 4]
    assert (own.kept, restic.kept) == (3, 3)  # the two and one from before the week
    assert borg.kept in (3, 4)  # it keeps its oldest one too, as it has fewer days than it may keep
    assert len(snapshots) == own.kept
    assert all(run.sent_bytes > 300_000 for run in own.runs)
    assert own.stored_bytes < sum(run.sent_bytes for run in own.runs) + runs.first.stored_bytes
    assert own.stored_bytes < restic.stored_bytes
    assert week.restores[0].hour == 4
    assert (week.restores[0].rows_equal or 0) > data.rows
    assert week.restores[1].hour is None
    assert week.database_last_bytes > week.database_first_bytes
