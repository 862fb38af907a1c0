"""A vault sends what it keeps to a new server, over two real Syncthings. No test needs PostgreSQL."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest

from permafrost.errors import IntegrityError, InterruptedRunError, ReplicationError, RepositoryError, UsageError
from permafrost.events import Event, Reporter, StepStarted, Warned, ignore_events
from permafrost.operations.vault.receive import ReceivedBack, receive_back
from permafrost.operations.vault.send_back import SentBack, send_back, stop_sending_back
from permafrost.repository.repository import Repository
from permafrost.runs import SENT_BACK, RunRecords
from permafrost.sharing.handshake import now_utc
from permafrost.sharing.vault_side import ensure_server
from permafrost.syncthing.access import opened
from permafrost.vault.sending import SendBackRequest, parse_request, sum_of
from permafrost.vault.settings import Vault, VaultSyncthing
from permafrost.vault_keeping.receipts import sent_back_of
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.delivery import DEVICE_ID, Stage, make_stage
from tests.fixtures.server import SigningKey
from tests.fixtures.syncthing import free_port

SILENCE_S = 30.0


def own_syncthing() -> VaultSyncthing:
    """Return settings on loopback."""
    return VaultSyncthing(gui=f"127.0.0.1:{free_port()}", listen=(f"tcp://127.0.0.1:{free_port()}",), discovery=False)


@pytest.fixture
def stage(tmp_path: Path, repository: Repository, signing_key: SigningKey) -> Stage:
    """A vault that keeps two snapshots and three media files, one of which the server has deleted since."""
    made = make_stage(tmp_path / "vault", repository, signing_key)
    settings = made.vault.settings.model_copy(update={"syncthing": own_syncthing()})
    made = replace(made, vault=Vault(root=made.vault.root, settings=settings))
    made.vault.save()
    media = made.vault.media(made.server)
    assert media is not None
    (media / ".stfolder").mkdir(parents=True)
    for name, mode in (("accounts/1/a.png", 0o644), ("accounts/2/suspended.png", 0o600), ("gone.png", 0o644)):
        (media / name).parent.mkdir(parents=True, exist_ok=True)
        (media / name).write_bytes(os.urandom(100_000))
        (media / name).chmod(mode)
    for _ in range(2):
        made.sender.snapshot(made.clock.wall)
        made.deliver()
        made.clock.pass_time(timedelta(minutes=1))
        made.keep()
    made.clock.pass_time(timedelta(minutes=1))  # it was there when the newest snapshot came
    (media / "gone.png").unlink()
    made.keep()
    return made


class NewServer:
    """A machine that has nothing yet."""

    def __init__(self, root: Path, fingerprint: str) -> None:
        self.root = root
        self.fingerprint = fingerprint
        self.syncthing = own_syncthing()
        self.lines: SimpleQueue[str] = SimpleQueue()

    def receive(
        self,
        report: Reporter = ignore_events,
        *,
        silence_s: float = SILENCE_S,
        valid_for: timedelta = timedelta(hours=1),
    ) -> ReceivedBack:
        """Do what the command does."""
        return receive_back(
            self.root,
            fingerprint=self.fingerprint,
            syncthing=self.syncthing,
            silence_s=silence_s,
            valid_for=valid_for,
            show_line=self.lines.put,
            report=report,
        )

    def line(self) -> str:
        """Return the line that it prints."""
        return self.lines.get(timeout=30)


@pytest.fixture
def new_server(tmp_path: Path, signing_key: SigningKey) -> NewServer:
    """A new server, with the recovery sheet's fingerprint."""
    return NewServer(tmp_path / "new", signing_key.fingerprint)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def kept_repository(stage: Stage) -> dict[str, bytes]:
    """Return the files of the history that are a repository's."""
    kept = files_below(stage.history)
    return {name: content for name, content in kept.items() if not name.startswith(("media", "lock", "tmp"))}


def transfer(stage: Stage, new: NewServer) -> tuple[SentBack, ReceivedBack]:
    """Let both commands work until they are done."""
    with ThreadPoolExecutor(1) as pool:
        receiving: Future[ReceivedBack] = pool.submit(new.receive)
        sent = send_back(stage.vault, new.line(), silence_s=SILENCE_S, report=ignore_events)
        return sent, receiving.result()


def ends_at(step: int, told: list[Event] | None = None) -> Reporter:
    """Return a reporter at which the command is ended by a signal when that step begins."""

    def report(event: Event) -> None:
        if told is not None:
            told.append(event)
        if isinstance(event, StepStarted) and event.number == step:
            raise InterruptedRunError(15)

    return report


def test_everything_comes_back(stage: Stage, new_server: NewServer) -> None:
    """All that is in the history, and the media of the newest snapshot, are on the new server, verified, with their
    modes, though the old server has emptied its folders; its share is as it was, and nothing of the way is left."""
    shutil.rmtree(stage.received)
    with opened(stage.vault.syncthing(), "attic") as client:
        ensure_server(client, stage.vault, stage.server)
        before = client.folders(), {device["deviceID"] for device in client.devices()}
    sent, received = transfer(stage, new_server)
    assert received.verified.findings == ()
    assert received.verified.snapshots == sent.sent.snapshots == 2
    (recorded,) = RunRecords(stage.vault.state, is_read_only=True).since(datetime.min.replace(tzinfo=UTC), SENT_BACK)
    assert recorded.details["server"] == stage.server.name
    assert recorded.details["size_bytes"] >= sent.sent.size_bytes - (1 << 16)
    assert 0 < recorded.details["duration_s"] == sent.document().duration_s
    stated = sent_back_of(stage.vault, stage.server)
    assert stated is not None
    assert (stated.size_bytes, stated.ended_at) == (recorded.details["size_bytes"], recorded.ended_at)
    assert files_below(new_server.root / "repository") == kept_repository(stage)
    media = new_server.root / "media"
    assert files_below(media) == files_below(stage.history / "media")
    assert stat.S_IMODE((media / "accounts/2/suspended.png").stat().st_mode) == 0o600
    assert stat.S_IMODE((media / "accounts/2").stat().st_mode) == 0o755
    assert sorted(one.name for one in new_server.root.iterdir()) == ["media", "repository"]
    assert not (stage.vault.root / stage.server.name / "sending-back").exists()
    with opened(stage.vault.syncthing(), "attic") as client:
        assert (client.folders(), {device["deviceID"] for device in client.devices()}) == before
        own = client.device(client.own_id())
        assert own is not None
        assert own["name"] == "attic"


def test_cut_short_it_goes_on(stage: Stage, new_server: NewServer) -> None:
    """Both commands ended by a signal half-way, each run again with the same line: everything comes."""
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(new_server.receive, ends_at(3))
        line = new_server.line()
        with pytest.raises((InterruptedRunError, ReplicationError)):
            send_back(stage.vault, line, silence_s=3.0, report=ends_at(5))
        assert isinstance(receiving.exception(), InterruptedRunError)
    assert not (new_server.root / "repository").exists()
    later = now_utc() + timedelta(days=3)  # begun in time, it may go on later
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(new_server.receive)
        assert new_server.line() == line
        send_back(stage.vault, line, silence_s=SILENCE_S, report=ignore_events, now=lambda: later)
        assert again.result().verified.findings == ()
    assert files_below(new_server.root / "repository") == kept_repository(stage)


def test_damage_is_told_and_the_rest_comes(stage: Stage, new_server: NewServer) -> None:
    """An object that has rotted in the vault is named, and all else is in place; the vault's Syncthing ran before."""
    victim = next((stage.history / "objects").rglob("*.gpg"))
    flip_a_bit(victim, 3)
    with opened(stage.vault.syncthing(), "attic"):  # as `vault run` does
        received = transfer(stage, new_server)[1]
    assert victim.stem in {finding.subject for finding in received.verified.findings}
    assert received.verified.is_corrupt
    assert len(files_below(new_server.root / "repository")) == len(kept_repository(stage))


def test_who_has_not_the_line_is_refused(stage: Stage, new_server: NewServer) -> None:
    """A vault that knows all of the line but its secret is refused, and told so; --stop takes its share away."""
    told: list[Event] = []
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(new_server.receive, told.append, valid_for=timedelta(seconds=6))
        request = parse_request(new_server.line())
        forged = request.model_copy(update={"secret": "00" * 20}).as_line()
        with pytest.raises(ReplicationError, match="has not admitted this vault"):
            send_back(stage.vault, forged, silence_s=2.5, report=ignore_events)
        assert isinstance(receiving.exception(), ReplicationError)
    (warning,) = [event for event in told if isinstance(event, Warned)]
    assert "matches no invitation" in warning.message
    assert stop_sending_back(stage.vault, None) == stage.server.name
    with opened(stage.vault.syncthing(), "attic") as client:
        assert client.folders() == ()
        assert len(client.devices()) == 1
    with pytest.raises(UsageError, match="nothing of"):
        stop_sending_back(stage.vault, None)


def test_refused_before_anything_is_sent(stage: Stage, new_server: NewServer, tmp_path: Path) -> None:
    """Another server's sheet, a line that has expired, a vault that keeps nothing yet, a place that is taken."""
    request = SendBackRequest(
        device_id=DEVICE_ID, folder_id="back", secret="00" * 20, expires_at=now_utc() + timedelta(hours=1)
    )
    calls: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (
            IntegrityError,
            "signed by",
            lambda: send_back(
                stage.vault, request.model_copy(update={"fingerprint": "A" * 40}).as_line(), report=ignore_events
            ),
        ),
        (
            UsageError,
            "expired",
            lambda: send_back(
                stage.vault, request.as_line(), report=ignore_events, now=lambda: now_utc() + timedelta(days=2)
            ),
        ),
        (
            UsageError,
            "no server",
            lambda: send_back(stage.vault, request.as_line(), server_name="other", report=ignore_events),
        ),
    ]
    for error, message, call in calls:
        with pytest.raises(error, match=message):
            call()
    shutil.rmtree(stage.history)
    with pytest.raises(RepositoryError, match="is kept yet"):
        send_back(stage.vault, request.as_line(), report=ignore_events)
    taken = NewServer(tmp_path / "taken", new_server.fingerprint)
    (taken.root / "media").mkdir(parents=True)
    with pytest.raises(UsageError, match="already exists"):
        taken.receive()
    assert list(taken.root.iterdir()) == [taken.root / "media"]


def test_links_are_no_part_of_a_copy(tmp_path: Path) -> None:
    """A link in what has come, or in the place of the whole folder, is refused, and a pipe too."""
    (tmp_path / "good" / "below").mkdir(parents=True)
    (tmp_path / "good" / "below" / "file").write_bytes(b"x")
    assert sum_of(tmp_path / "good").files == 1
    assert sum_of(tmp_path / "nothing").files == 0
    (tmp_path / "link").symlink_to(tmp_path / "good")
    with pytest.raises(IntegrityError, match="is a link"):
        sum_of(tmp_path / "link")
    (tmp_path / "good" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(IntegrityError, match="neither a file nor a folder"):
        sum_of(tmp_path / "good")
