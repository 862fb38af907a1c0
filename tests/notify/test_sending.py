"""Sending to real receivers, and to such as fail, hang and drip; no error says anything of the receiver's URL."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from permafrost.findings import Severity
from permafrost.notify.alert import Ping
from permafrost.notify.sending import NotSentError, Sender
from permafrost.notify.wording import Message
from tests.fixtures.receivers import TOKEN, Mailbox, Recorder, dripping, receiver_at, recording
from tests.fixtures.server import free_port

MESSAGE = Message("attic: alarm: lost", "ALARM lost: a snapshot has disappeared", Severity.ALARM)
PING = Ping("backup", "end", "9d3f0e5c-6b1e-4c7e-9f57-0a8b6d1f2c3d")


def send(sender: Sender) -> None:
    """Send what the receiver is for."""
    if sender.receiver.kind == "message":
        sender.send_message(MESSAGE)
    else:
        sender.send_ping(PING)


def test_a_message_by_http_and_mail(tmp_path: Path, recorder: Recorder, mailbox: Mailbox) -> None:
    """A message arrives as title and text, by ntfy and by mail."""
    Sender(receiver_at(recorder.ntfy, tmp_path)).send_message(MESSAGE)
    (request,) = recorder.requests
    assert (request.method, request.title) == ("POST", MESSAGE.title)
    assert json.loads(request.body)["message"] == MESSAGE.body
    Sender(receiver_at(mailbox.url, tmp_path)).send_message(MESSAGE)
    ((subject, text),) = mailbox.mails
    assert subject == MESSAGE.title
    assert MESSAGE.body in text


def test_what_a_receiver_answers(tmp_path: Path, recorder: Recorder, capfd: pytest.CaptureFixture[str]) -> None:
    """An answer that is no success is an error with its HTTP status, and nothing is printed by a library."""
    recorder.status = 500
    with pytest.raises(NotSentError, match=r"^the receiver answered with HTTP status 500$"):
        Sender(receiver_at(recorder.ntfy, tmp_path)).send_message(MESSAGE)
    recorder.status = 404
    with pytest.raises(NotSentError, match=r"^the monitor answered with HTTP status 404$"):
        Sender(receiver_at(recorder.ping_url(), tmp_path, kind="healthchecks")).send_ping(PING)
    assert capfd.readouterr() == ("", "")


def test_two_receivers_fail_at_once(tmp_path: Path) -> None:
    """Of two receivers that refuse in the same moment, each error has the HTTP status of its own receiver."""
    with recording() as one, recording() as other, ThreadPoolExecutor(2) as sending:
        one.status, other.status = 500, 403
        one.meeting = other.meeting = Barrier(2)
        senders = [Sender(receiver_at(at.ntfy, tmp_path, name=f"phone{at.status}")) for at in (one, other)]
        errors = [attempt.exception() for attempt in [sending.submit(send, sender) for sender in senders]]
    assert [str(error)[-3:] for error in errors] == ["500", "403"]


@pytest.mark.parametrize("scheme", ["ntfy", "mailto", "http", "nonsense"])
def test_an_error_says_nothing_of_the_url(tmp_path: Path, scheme: str) -> None:
    """Where nobody listens, the name is unknown, or the URL is none, the error holds no part of the URL."""
    url = f"{scheme}://user:{TOKEN}@127.0.0.1:{free_port()}/{TOKEN}?from=a@secret.example&to=b@secret.example"
    sender = Sender(receiver_at(url, tmp_path, kind="url" if scheme == "http" else "message"))
    with pytest.raises(NotSentError) as raised:
        send(sender)
    assert "sending failed" not in str(raised.value), "its reason is named"
    chain = [str(raised.value), repr(raised.value.__cause__), repr(raised.value.__context__)]
    assert not [text for text in chain for part in (TOKEN, "127.0.0.1", "secret.example") if part in text]


def test_a_receiver_that_never_answers(tmp_path: Path) -> None:
    """An attempt is given up in time, whether nothing comes or one letter after the other, and only one is left."""
    with socket.create_server(("127.0.0.1", 0)) as deaf, dripping() as dripping_port:
        for port in (deaf.getsockname()[1], dripping_port):
            for kind, url in (("message", f"ntfy://127.0.0.1:{port}/x"), ("url", f"http://127.0.0.1:{port}/x")):
                sender = Sender(receiver_at(url, tmp_path, kind=kind), attempt_s=0.5)
                for complaint in ("did not answer within", "the attempt before has still not ended"):
                    with pytest.raises(NotSentError, match=complaint):
                        send(sender)


def test_a_url_file_that_others_can_read(tmp_path: Path) -> None:
    """A URL file that is missing, or open to others, is an error that names the file."""
    receiver = receiver_at("json://localhost", tmp_path)
    receiver.url_file.chmod(0o644)
    with pytest.raises(NotSentError, match="is open to other users"):
        Sender(receiver).send_message(MESSAGE)
    receiver.url_file.unlink()
    with pytest.raises(NotSentError, match="cannot read the secret file"):
        Sender(receiver).send_message(MESSAGE)


def test_without_apprise(tmp_path: Path) -> None:
    """Where apprise is not installed, the error names the package to install."""
    receiver = receiver_at("json://localhost", tmp_path)
    code = f"""
import sys; sys.modules["apprise"] = None
from pathlib import Path
from permafrost.config.alerting import Notify
from permafrost.notify.sending import NotSentError, Sender
from permafrost.notify.wording import Message
try:
    Sender(Notify(name="phone", url_file=Path({str(receiver.url_file)!r}))).send_message(Message("a", "b", None))
except NotSentError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "install permafrost-backup[notify]" in said
