"""One receiver of alerts: what waits for it, when it is tried again, and what it was told.

Rules:

1. Of looks only the newest counts. What could not be sent is found again from the newest look: nothing queues up.
2. Of a job's pings only those of its newest run are sent.
3. A failure is followed by a pause of 5 seconds, doubled each time up to 5 minutes.
4. What was told is written down after each success, and that it failed, after each failure: a restart tells nothing
   twice, and forgets nothing. If the disk takes it not, the service knows it until it ends.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from cronsim import CronSim

from permafrost.config.alerting import Notify
from permafrost.events import Note, Reporter, Warned
from permafrost.findings import FindingKind
from permafrost.notify.alert import Look, Ping, most_severe, new_run_id, severity_named
from permafrost.notify.news import news_for, told_after
from permafrost.notify.sending import NotSentError, Sender
from permafrost.notify.wording import digest_message, news_message, recovery_message
from permafrost.status.deliveries import deliveries_file, read_deliveries

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
PING_EVERY = timedelta(minutes=5)
LOOK_AGAIN_S = 60.0


class Receiver:
    """Tells one receiver what it has to know. `saw` and `ping` may be called from another thread than `turn`."""

    def __init__(self, settings: Notify, where: str, state: Path, report: Reporter, *, on_a_vault: bool) -> None:
        self.settings = settings
        self._where = where
        self._state = state
        self._report = report
        self._on_a_vault = on_a_vault
        self._sender = Sender(settings)
        self._known = read_deliveries(state, settings.name)
        self._lock = Lock()
        self._look: Look | None = None
        self._pings: list[Ping] = []
        self._pause = FIRST_PAUSE
        self._not_before: datetime | None = None
        self._pinged: tuple[datetime, int] | None = None
        """When a ping for findings was put last, and its exit code."""

    def saw(self, look: Look) -> None:
        """Take the newest look."""
        own = (FindingKind.NOTIFY_FAILED.code, self.settings.name)
        alerts = tuple(alert for alert in look.alerts if (alert.code, alert.subject) != own)
        with self._lock:
            self._look = replace(look, alerts=alerts)
        if self.settings.pings_for("findings", on_a_vault=self._on_a_vault):
            self._ping_for_findings(replace(look, alerts=alerts))

    def ping(self, ping: Ping) -> None:
        """Take a ping, if this is a monitor that expects it; those of earlier runs of the job are dropped."""
        if not self.settings.pings_for(ping.job, on_a_vault=self._on_a_vault):
            return
        with self._lock:
            self._pings = [
                waiting for waiting in self._pings if waiting.job != ping.job or waiting.run_id == ping.run_id
            ]
            self._pings.append(ping)

    def turn(self, now: datetime) -> float:
        """Send one thing that waits, if there is any; return after how many seconds to call again, 0 for at once."""
        if self._not_before is not None:
            left = self._not_before - now
            if timedelta(0) < left <= LONGEST_PAUSE:  # more would be a clock that was set back
                return left.total_seconds()
        try:
            has_sent = self._send_ping() if self.settings.kind != "message" else self._send_message(now)
        except NotSentError as error:
            return self._failed(str(error), now)
        except Exception as error:  # noqa: BLE001 - a defect here must not end the thread, and be known
            return self._failed(f"a defect of permafrost: {type(error).__name__}", now)
        if has_sent:
            self._reached()
        return 0.0 if has_sent else LOOK_AGAIN_S

    def _ping_for_findings(self, look: Look) -> None:
        found = look.at_least(severity_named(self.settings.severity))
        code = 1 if most_severe(found) is not None else 0
        if self._pinged is not None:
            since, before = self._pinged
            if code == before and timedelta(0) <= look.at - since < PING_EVERY:
                return
        self._pinged = (look.at, code)
        text = "\n".join(f"{alert.severity.word} {alert.code}: {alert.message}" for alert in found)
        self.ping(Ping("findings", "end", new_run_id(), code, text=text or "\n".join(look.summary)))

    def _send_ping(self) -> bool:
        with self._lock:
            ping = self._pings[0] if self._pings else None
        if ping is None:
            return False
        self._sender.send_ping(ping)
        with self._lock:
            self._pings = [waiting for waiting in self._pings if waiting is not ping]
        return True

    def _send_message(self, now: datetime) -> bool:
        with self._lock:
            look = self._look
        if look is None:
            return False
        is_quiet = self.settings.is_quiet_at(now.astimezone(look.zone).time())
        news = news_for(self.settings, self._known.told, look, now, is_quiet=is_quiet)
        if news:
            self._sender.send_message(news_message(self._where, news))
            self._known = self._known.model_copy(update={"told": told_after(news, self._known.told, now)})
            return True
        if self._is_digest_due(look, now):
            alerts = look.at_least(severity_named(self.settings.severity))
            self._sender.send_message(digest_message(self._where, look, alerts))
            self._known = self._known.model_copy(update={"digest_at": now})
            return True
        if self._known.failing_since is not None:
            self._sender.send_message(recovery_message(self._where, self._known.failing_since))
            return True
        return False

    def _is_digest_due(self, look: Look, now: datetime) -> bool:
        if self.settings.digest == "off":
            return False
        since = self._known.digest_at
        if since is None or since > now:
            self._known = self._known.model_copy(update={"digest_at": now})
            self._write()
            return False
        return next(CronSim(self.settings.digest, since.astimezone(look.zone))) <= now

    def _reached(self) -> None:
        if self._known.failing_since is not None:
            self._report(Note(f"alerts reach {self.settings.name} again"))
        self._known = self._known.model_copy(update={"failing_since": None, "problem": ""})
        self._pause, self._not_before = FIRST_PAUSE, None
        self._write()

    def _failed(self, problem: str, now: datetime) -> float:
        if self._known.problem != problem:
            self._report(Warned(f"alerts do not reach {self.settings.name}: {problem}"))
        since = self._known.failing_since or now
        self._known = self._known.model_copy(update={"failing_since": since, "problem": problem})
        self._write()
        pause = self._pause
        self._not_before, self._pause = now + pause, min(2 * pause, LONGEST_PAUSE)
        return pause.total_seconds()

    def _write(self) -> None:
        """Write down what is known; a disk that takes nothing must not keep alerts from being sent."""
        file = deliveries_file(self._state, self.settings.name)
        temporary = file.with_name(f"{file.name}.new")
        with suppress(OSError):
            file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            temporary.write_text(self._known.model_dump_json() + "\n", encoding="utf-8")
            temporary.replace(file)
