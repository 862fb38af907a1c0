"""Tries receivers: each is sent a test, now and once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from permafrost.config.alerting import Notify, PingedJob
from permafrost.documents.notify import TriedReceiverDocument
from permafrost.notify.alert import Ping, new_run_id
from permafrost.notify.sending import NotSentError, Sender
from permafrost.notify.wording import trial_message


def try_receivers(receivers: Iterable[Notify], where: str, *, on_a_vault: bool) -> Iterator[TriedReceiverDocument]:
    """Yield for each receiver whether it took a test, which says that it comes from `where`.

    A check of healthchecks.io stays as it is; other monitors take a test for a success, as they know nothing else.
    """
    for receiver in receivers:
        problem = None
        try:
            _try(receiver, where, "findings" if on_a_vault else "backup")
        except NotSentError as error:
            problem = str(error)
        yield TriedReceiverDocument(receiver.name, receiver.kind, problem is None, problem)


def _try(receiver: Notify, where: str, usual_job: PingedJob) -> None:
    sender = Sender(receiver)
    if receiver.kind == "message":
        sender.send_message(trial_message(where, receiver.name))
    else:
        job = receiver.jobs[0] if receiver.jobs else usual_job
        sender.send_ping(Ping(job, "test", new_run_id(), text="a test"))
