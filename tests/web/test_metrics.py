"""Metrics: what Prometheus reads, the alerts on it, and the dashboard's questions to it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as textfile

from permafrost.status.overview import Overview, server_overview, vault_overview
from permafrost.web.metrics import CONTENT_TYPE, metrics_text
from permafrost.web.server import Answer, Served, Site
from samples.server_state import NOW, STATES, StateName, history_of, make_server_state
from samples.vault_state import make_vault_state
from tests.fixtures.backups import make_backup
from tests.fixtures.commands import command
from tests.fixtures.server import MakeServer, free_port
from tests.fixtures.syncthing import wait_for

MONITORING = Path(__file__).parents[2] / "monitoring"
HOSTILE = 'a"} 1\npermafrost_verdict{answer="yes\\'
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return the values by name and labels, as the parser of OpenMetrics reads them."""
    return {
        (one.name, frozenset(one.labels.items())): float(one.value)
        for family in openmetrics(text)  # type: ignore[no-untyped-call]
        for one in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    """Return the value of that name and exactly those labels, None if there is none."""
    return found.get((f"permafrost_{name}", frozenset(labels.items())))


def of_state(folder: Path, state: StateName) -> Overview:
    """Return what is known of a server in that state."""
    return server_overview(make_server_state(folder, history_of(state)), NOW)


@pytest.mark.parametrize("state", STATES)
def test_they_say_what_the_status_says(tmp_path: Path, state: StateName) -> None:
    """Verdict, findings, places and jobs are the status's, and both kinds of readers read the same."""
    overview = of_state(tmp_path, state)
    text = metrics_text(overview)
    found = samples(text)
    (about,) = overview.about
    for answer in ("yes", "limited", "unproven", "no"):
        assert value(found, "verdict", server=about.name, answer=answer) == (answer == about.verdict.answer)
    alarms = [finding for finding in overview.findings if finding.severity == "alarm"]
    assert value(found, "findings", severity="alarm") == len(alarms)
    for finding in overview.findings:
        assert value(found, "findings_by_kind", kind=finding.kind, severity=finding.severity)
    for place in overview.places:
        newest = place.restorable_to.timestamp() if place.restorable_to else None
        assert value(found, "place_newest_timestamp_seconds", place=place.name, kind=place.kind) == newest
    for job in overview.jobs:
        coming = job.next_at.timestamp() if job.next_at else None
        assert value(found, "task_next_timestamp_seconds", task=job.name) == coming
    assert len(found) == sum(len(family.samples) for family in textfile(text))


def test_what_was_not_measured_is_absent(tmp_path: Path) -> None:
    """On the first day there is no time of a restore, no growth and no promise; none of them is 0."""
    found = samples(metrics_text(of_state(tmp_path, "first-day")))
    names = {name.removeprefix("permafrost_") for name, _ in found}
    assert not names & {"restore_seconds", "proven_timestamp_seconds", "place_room_seconds", "promised_lost_seconds"}
    assert value(found, "reader_good", reader="recovery sheet") == 0


def test_a_schedule_that_is_not_kept(tmp_path: Path) -> None:
    """What is due and was not made counts since its first moment, until the next backup; steps of drills are known."""
    history = replace(history_of("healthy"), gaps=((0, 6), (402, 403)))
    late = samples(metrics_text(server_overview(make_server_state(tmp_path / "late", history), NOW)))
    assert value(late, "backup_lag_seconds") == 5 * 3600 + 3 * 60
    assert value(late, "backups_missing") == 6  # what was due at 14:02 is not missing yet
    kept = samples(metrics_text(of_state(tmp_path / "kept", "healthy")))
    assert value(kept, "backup_lag_seconds") == 0
    assert value(kept, "restore_step_seconds", step="load rows")


def test_media_of_each_vault(tmp_path: Path) -> None:
    """Of each vault that compares its media with the server's list, it is known how many it holds and lacks."""
    history = replace(history_of("healthy"), media_missing=12)
    found = samples(metrics_text(server_overview(make_server_state(tmp_path, history), NOW)))
    for vault in history.vaults:
        place = {"place": vault, "kind": "vault"}
        needed = value(found, "place_media_needed", **place)
        assert needed is not None
        assert value(found, "place_media_held", **place) == needed - 12
        assert value(found, "place_media_missing", **place) == 12
        assert value(found, "place_media_different", **place) == value(found, "place_media_damaged", **place) == 0
        assert value(found, "place_media_all_read_timestamp_seconds", **place) == (NOW - timedelta(days=5)).timestamp()
    assert value(found, "place_media_needed", place="social.example", kind="server") is None


def test_a_vaults_metrics(tmp_path: Path) -> None:
    """A vault reports the same of each server that it keeps, and nothing about jobs."""
    found = samples(metrics_text(vault_overview(make_vault_state(tmp_path, "full"), NOW)))
    assert value(found, "verdict", server="social.example", answer="yes") == 1
    assert value(found, "findings_by_kind", kind="history-full", severity="alarm") == 1
    assert not [name for name, _ in found if name.startswith("permafrost_task")]


def test_hostile_names(tmp_path: Path) -> None:
    """A name cannot add a sample or end a label."""
    overview = of_state(tmp_path, "drill-failed")
    place = replace(overview.places[1], name=HOSTILE)
    before, after = samples(metrics_text(overview)), samples(metrics_text(replace(overview, places=(place,))))
    assert {name for name, _ in after} <= {name for name, _ in before}
    assert value(after, "verdict", server="social.example", answer="yes") == 0
    assert any(HOSTILE.partition("\n")[0] in text for _, labels in after for _, text in labels)


def promtool(*words: str, stdin: str = "") -> None:
    """Run promtool, which must have nothing to say against it."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: scripts/bootstrap test installs Debian's prometheus")
    done = subprocess.run((program, *words), input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_approves(tmp_path: Path) -> None:
    """Names, units and texts follow Prometheus's conventions, and the alerts come when they should, not before."""
    promtool("check", "metrics", stdin=metrics_text(of_state(tmp_path, "healthy")))
    alerts = MONITORING / "alerts.yml"
    promtool("check", "rules", str(alerts))
    tests = (Path(__file__).parent / "alerts_test.yml").read_text()
    (tmp_path / "tests.yml").write_text(tests.replace("ALERTS", str(alerts)))
    promtool("test", "rules", str(tmp_path / "tests.yml"))


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """A Prometheus that reads the target and evaluates the alerts; yield its address."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed: scripts/bootstrap test installs it")
    scrape = {"job_name": "permafrost", "static_configs": [{"targets": [target]}]}
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(MONITORING / "alerts.yml")],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML
    address = f"127.0.0.1:{free_port()}"
    words = ("--config.file", str(folder / "prometheus.yml"), "--storage.tsdb.path", str(folder / "data"))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen((program, *words, "--web.listen-address", address), stderr=log) as running,
    ):
        try:
            yield f"http://{address}"
        finally:
            running.terminate()
            running.wait(20)


def questions() -> list[str]:
    """Return what the dashboard asks, for all servers."""
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [expression.replace("$instance", ".*") for expression in expressions]


def answers(address: str, expression: str) -> list[object]:
    """Return what that Prometheus answers; nothing while it does not listen, or is not ready yet."""
    try:
        answer = httpx.get(f"{address}/api/v1/query", params={"query": expression}, trust_env=False)
    except httpx.TransportError:
        return []
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []
    answer.raise_for_status()
    return list(answer.json()["data"]["result"])


def test_a_real_prometheus(tmp_path: Path) -> None:
    """Prometheus reads what is served, every question of the dashboard has an answer, and alarms are pending."""
    text = metrics_text(of_state(tmp_path / "server", "drill-failed"))
    site = Site()
    site.show({"/metrics": Answer(CONTENT_TYPE, text.encode())})
    served = Served(f"127.0.0.1:{free_port()}", site)
    try:
        with prometheus(tmp_path, served.address.removeprefix("http://").rstrip("/")) as address:
            alarm = 'ALERTS{alertname="PermafrostAlarm",kind="drill-failed"}'
            wait_for(lambda: answers(address, alarm), "an alarm is pending", 40)
            for expression in questions():
                assert answers(address, expression), expression
    finally:
        served.close()


NEEDS_A_VAULT = re.compile(r"media|room|promised|missing|heard|step|all_read")


def test_a_real_run(mastodon_database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """A server that has made a backup and drilled it, served by its service and read by a real Prometheus, answers
    every question of the dashboard that needs neither a vault nor days of records nor a promise."""
    server = make_server(mastodon_database)
    config = server.write_configuration()
    port = free_port()
    off = 'backup = "0 0 1 1 *"\naudit = "0 0 1 1 *"\ndrill = "off"'
    config.write_text(f'{config.read_text()}\n[schedule]\n{off}\n[web]\nlisten = "127.0.0.1:{port}"\n')
    made = make_backup(server, is_audited=True)
    assert command("drill", "--config", str(config)).returncode == 0
    words = (sys.executable, "-m", "permafrost", "run", "--config", str(config))
    target = f"127.0.0.1:{port}"
    with prometheus(tmp_path, target) as address, subprocess.Popen(words, stderr=subprocess.DEVNULL) as run:
        try:
            wait_for(lambda: answers(address, "permafrost_verdict"), "it is read", 90)
            asked = [one for one in questions() if not NEEDS_A_VAULT.search(one)]
            assert len(asked) >= 12
            for expression in asked:
                assert answers(address, expression), expression
            (newest,) = answers(address, "permafrost_place_newest_timestamp_seconds")
            (proven,) = answers(address, "permafrost_place_proven_timestamp_seconds")
            for found in (newest, proven):
                assert isinstance(found, dict)
                assert float(found["value"][1]) == made.snapshot.made_at.timestamp()
        finally:
            run.terminate()
            assert run.wait(20) == 0
