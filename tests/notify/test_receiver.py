"""What one receiver is told, and when: moments are passed in, receivers are real servers on loopback."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.config.alerting import Notify
from permafrost.events import Event, Note, Warned
from permafrost.findings import Finding, FindingKind
from permafrost.notify.alert import Alert, Look, Ping
from permafrost.notify.receiver import Receiver
from permafrost.notify.wording import MOST_LISTED
from permafrost.status.deliveries import DELIVERIES, GRACE, delivery_findings, read_deliveries, receivers_of
from tests.fixtures.receivers import TOKEN, Mailbox, Recorder, receiver_at

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LOST = Alert.of(Finding(FindingKind.LOST, "snapshot", "snapshot X has disappeared"))
FULL = Alert.of(Finding(FindingKind.VAULT_FULL, "attic", "attic is nearly full"))
MENDED = Alert.of(Finding(FindingKind.MENDED, "object", "object Y was replaced"))


class Told:
    """A receiver, and what it was told."""

    def __init__(self, settings: Notify, folder: Path, *, on_a_vault: bool = False) -> None:
        self.settings = settings
        self.folder = folder
        self.reported: list[Event] = []
        self.on_a_vault = on_a_vault
        self.start()

    def start(self) -> None:
        """Start the service, for the first time or again."""
        self.receiver = Receiver(
            self.settings, "social.example", self.folder, self.reported.append, on_a_vault=self.on_a_vault
        )

    def look(self, at: datetime, *alerts: Alert, is_whole: bool = True) -> float:
        """Let it see these alerts, and send all that it has to; return when it wants to be called again."""
        self.receiver.saw(Look(at, alerts, ("Yes: could come back.",), is_whole))
        return self.turns(at)

    def turns(self, at: datetime) -> float:
        """Send what waits."""
        while (wait_s := self.receiver.turn(at)) == 0.0:
            pass
        return wait_s


@pytest.fixture
def phone(tmp_path: Path, recorder: Recorder) -> Told:
    """A receiver of messages, as its defaults are."""
    return Told(receiver_at(recorder.ntfy, tmp_path), tmp_path)


def titles(recorder: Recorder) -> list[str]:
    """Return the titles of what has come since the last call."""
    came = [request.title.removeprefix("social.example: ") for request in recorder.requests]
    recorder.requests.clear()
    return came


def test_transitions_are_told_once(phone: Told, recorder: Recorder) -> None:
    """A finding is told when it appears, when it grows worse and when it ends, and not at each look, or restart."""
    phone.look(NOW, FULL, MENDED)
    phone.look(NOW + MINUTE, FULL, MENDED)
    assert titles(recorder) == ["warning: vault-full"]
    worse = replace(FULL, severity=LOST.severity)
    phone.look(NOW + 2 * MINUTE, worse)
    assert "Grew worse" in recorder.requests[0].body
    assert titles(recorder) == ["alarm: vault-full"]
    phone.start()
    phone.look(NOW + 3 * MINUTE, worse)
    assert titles(recorder) == []
    phone.look(NOW + 4 * MINUTE, is_whole=False)
    assert titles(recorder) == []
    phone.look(NOW + 5 * MINUTE)
    assert titles(recorder) == ["ended: vault-full"]


def test_an_alarm_is_repeated(phone: Told, recorder: Recorder) -> None:
    """An alarm that still holds is told again after a day, a warning is not."""
    phone.look(NOW, FULL, LOST)
    phone.look(NOW + 23 * HOUR, FULL, LOST)
    assert titles(recorder) == ["alarm: 2 findings"]
    phone.look(NOW + 24 * HOUR, FULL, LOST)
    assert titles(recorder) == ["alarm: lost (still)"]


def test_at_night_only_alarms_are_told(tmp_path: Path, recorder: Recorder) -> None:
    """In quiet hours a warning waits until they end, an alarm does not, and what has come and gone is never told."""
    phone = Told(receiver_at(recorder.ntfy, tmp_path, quiet_hours="22:00-07:00"), tmp_path)
    phone.look(NOW + 10 * HOUR, FULL, LOST)
    assert titles(recorder) == ["alarm: lost"]
    phone.look(NOW + 12 * HOUR, replace(FULL, subject="cellar"))
    assert titles(recorder) == []
    phone.look(NOW + 19 * HOUR, FULL)
    assert "Ended: lost" in recorder.requests[0].body
    assert titles(recorder) == ["warning: vault-full"]


def test_the_digest_comes_also_if_all_is_well(tmp_path: Path, recorder: Recorder) -> None:
    """A digest is sent once at its time, however often it was missed, with the verdict and what needs attention."""
    phone = Told(receiver_at(recorder.ntfy, tmp_path, digest="0 8 * * *"), tmp_path)
    phone.look(NOW)
    phone.look(NOW + 19 * HOUR)
    assert titles(recorder) == []
    phone.look(NOW + 20 * HOUR)
    assert "Yes: could come back." in recorder.requests[0].body
    assert titles(recorder) == ["all is well"]
    phone.start()
    phone.look(NOW + 21 * HOUR)
    assert titles(recorder) == []
    phone.look(NOW + 100 * HOUR, FULL)
    assert titles(recorder) == ["warning: vault-full", "1 finding needs attention"]


def test_an_outage_is_a_finding_and_loses_nothing(phone: Told, recorder: Recorder, tmp_path: Path) -> None:
    """What cannot be sent is tried again, more and more rarely; after minutes it is a finding, until it is sent."""
    recorder.status = 500
    waits = [phone.look(NOW, LOST)]
    at = NOW
    while at < NOW + 20 * MINUTE:
        at += timedelta(seconds=waits[-1])
        waits.append(phone.turns(at))
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == 300
    assert len(recorder.requests) == len(waits)
    early = list(delivery_findings(receivers_of(tmp_path, [phone.settings]), NOW + GRACE))
    (finding,) = delivery_findings(receivers_of(tmp_path, [phone.settings]), at)
    assert (early, finding.kind, finding.subject) == ([], FindingKind.NOTIFY_FAILED, "phone")
    assert finding.message.endswith("since 2026-11-26 12:00 UTC: the receiver answered with HTTP status 500")
    titles(recorder)
    recorder.status = 200
    phone.start()
    phone.look(at + MINUTE, LOST, Alert.of(finding))
    assert titles(recorder) == ["alarm: lost"]
    assert list(delivery_findings(receivers_of(tmp_path, [phone.settings]), at + HOUR)) == []
    assert [type(event) for event in phone.reported] == [Warned, Note]
    assert TOKEN not in f"{phone.reported}{(tmp_path / DELIVERIES / 'phone.json').read_text()}"


def test_what_ended_during_an_outage(phone: Told, recorder: Recorder) -> None:
    """A receiver that was away while something came and went is told that it can be reached again."""
    recorder.status = 503
    phone.look(NOW, LOST)
    titles(recorder)
    recorder.status = 200
    phone.look(NOW + MINUTE)
    assert titles(recorder) == ["alerts reach you again"]
    assert read_deliveries(phone.folder, "phone").failing_since is None


def test_a_state_folder_that_takes_nothing(tmp_path: Path, recorder: Recorder) -> None:
    """Where nothing can be written down, alerts are sent all the same, and once while the service runs."""
    (tmp_path / DELIVERIES).write_text("a file in the folder's place")
    phone = Told(receiver_at(recorder.ntfy, tmp_path), tmp_path)
    phone.look(NOW, LOST)
    phone.look(NOW + MINUTE, LOST)
    assert titles(recorder) == ["alarm: lost"]


def test_a_clock_that_was_set_back(phone: Told, recorder: Recorder) -> None:
    """A clock that is set back by a year holds nothing up."""
    recorder.status = 500
    phone.look(NOW, LOST)
    recorder.status = 200
    titles(recorder)
    phone.look(NOW - timedelta(days=365), LOST)
    assert titles(recorder) == ["alarm: lost"]


def test_a_monitor_hears_of_the_newest_run(tmp_path: Path, recorder: Recorder) -> None:
    """A monitor gets begin and end of its jobs in order; after an outage only those of the newest run."""
    monitor = Told(receiver_at(recorder.ping_url(), tmp_path, kind="healthchecks", jobs=["backup"]), tmp_path)
    recorder.status = 500
    for run in ("first", "second"):
        monitor.receiver.ping(Ping("backup", "start", run))
        monitor.receiver.ping(Ping("backup", "end", run, 16, 2.0, "database away"))
        monitor.receiver.ping(Ping("drill", "end", run))
    monitor.turns(NOW)
    recorder.status = 200
    recorder.requests.clear()
    monitor.turns(NOW + MINUTE)
    assert [request.path for request in recorder.requests] == [f"/{TOKEN}/start?rid=second", f"/{TOKEN}/16?rid=second"]
    assert recorder.requests[1].body == "database away"


def test_a_monitor_for_findings(tmp_path: Path, recorder: Recorder) -> None:
    """A monitor for findings is pinged every five minutes, and at once when findings come or are gone."""
    settings = receiver_at(recorder.ping_url(), tmp_path, kind="healthchecks", severity="alarm")
    monitor = Told(settings, tmp_path, on_a_vault=True)
    for minute, alerts in ((0, (FULL,)), (1, ()), (2, (LOST,)), (3, (LOST,)), (4, ()), (8, ()), (9, ())):
        monitor.look(NOW + minute * MINUTE, *alerts)
    assert [request.path.partition("?")[0] for request in recorder.requests] == [
        f"/{TOKEN}",
        f"/{TOKEN}/1",
        f"/{TOKEN}",
        f"/{TOKEN}",
    ]
    assert recorder.requests[1].body == "alarm lost: snapshot X has disappeared"


def test_what_a_server_wrote_adds_no_line(phone: Told, recorder: Recorder) -> None:
    """Control characters in a finding's text come as question marks."""
    phone.look(NOW, replace(LOST, message="gone\n\x1b[2Jall is well"))
    assert "gone??[2Jall is well" in recorder.requests[0].body.encode().decode("unicode_escape")


KINDS = tuple(FindingKind)
CHUNKS = [KINDS[first : first + MOST_LISTED] for first in range(0, len(KINDS), MOST_LISTED)]


@pytest.mark.parametrize("kinds", CHUNKS, ids=lambda kinds: f"{kinds[0].code}-to-{kinds[-1].code}")
def test_every_kind_arrives_and_ends(
    kinds: tuple[FindingKind, ...], tmp_path: Path, recorder: Recorder, mailbox: Mailbox
) -> None:
    """Each kind of finding is told once by HTTP, mail and ping when it appears, and once when it ends."""
    alerts = [Alert.of(Finding(kind, "subject", "what was seen")) for kind in kinds]
    all_of_them: dict[str, object] = {"severity": "notice", "repeat_hours": 0}
    ping = receiver_at(recorder.ping_url(), tmp_path, name="ping", kind="healthchecks", severity="notice")
    receivers = [
        Told(receiver_at(recorder.ntfy, tmp_path, **all_of_them), tmp_path),
        Told(receiver_at(mailbox.url, tmp_path, name="mail", **all_of_them), tmp_path),
        Told(ping, tmp_path, on_a_vault=True),
    ]
    for told in receivers:
        for minute, holding in enumerate((alerts, alerts, [], [])):
            told.look(NOW + minute * MINUTE, *holding)
    came, gone = [json.loads(one.body)["message"] for one in recorder.requests if one.body.startswith("{")]
    mailed, mailed_end = [text for _, text in mailbox.mails]
    pinged, pinged_end = [one for one in recorder.requests if TOKEN in one.path]
    assert [pinged.path.partition("?")[0], pinged_end.path.partition("?")[0]] == [f"/{TOKEN}/1", f"/{TOKEN}"]
    for kind in kinds:
        for text in (came, mailed):
            assert text.count(f"{kind.severity.word.upper()} {kind.code}: what was seen") == 1
            assert kind.remedy.split("`")[0] in " ".join(text.split())
        for text in (gone, mailed_end):
            assert text.count(f"Ended: {kind.code}: what was seen") == 1
        assert pinged.body.count(f"{kind.severity.word} {kind.code}: what was seen") == 1
