"""Where machines with an invitation connect: each shows a proof as its name, and is admitted, refused or ignored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from permafrost.events import Reporter, Warned
from permafrost.sharing.handshake import Now
from permafrost.syncthing.client import Client
from permafrost.vault.admission import GivenInvitation, judge


class Door:
    """Judges who knocks by the invitations that were given out; each refusal is reported once."""

    def __init__(self, invitations: Callable[[], tuple[GivenInvitation, ...]], report: Reporter, now: Now) -> None:
        """`invitations` returns those that were given out, as they are when it is called."""
        self._invitations = invitations
        self._report = report
        self._now = now
        self._refused: set[str] = set()

    @property
    def refusals(self) -> int:
        """How many devices were refused."""
        return len(self._refused)

    def proven(self, client: Client) -> Iterator[tuple[str, GivenInvitation]]:
        """Yield the id of each device that knocks now and proves to be invited, with its invitation.

        A wrong proof is dismissed; a stranger, who shows none, is neither let in nor touched.
        """
        own_id = client.own_id()
        for device in client.pending_devices():
            verdict = judge(device, own_id, self._invitations(), self._now())
            if verdict is None:
                continue
            if verdict.invitation is not None:
                yield device.device_id, verdict.invitation
                continue
            client.dismiss_pending_device(device.device_id)
            if device.device_id not in self._refused:
                self._refused.add(device.device_id)
                self._report(Warned(f"refused {device.device_id} at {device.address}: {verdict.refusal}"))
