"""permafrost notify test."""

from __future__ import annotations

from pathlib import Path

from permafrost.repository.repository import Repository
from tests.fixtures.commands import command, json_with
from tests.fixtures.delivery import make_stage
from tests.fixtures.receivers import TOKEN, Recorder, receiver_at
from tests.fixtures.server import MakeServer, SigningKey, free_port


def test_each_receiver_is_tried(make_server: MakeServer, tmp_path: Path, recorder: Recorder) -> None:
    """Each receiver gets a test, the result of each is printed without its URL, and one alone can be named."""
    config = make_server().write_configuration()
    assert command("notify", "test", "--config", str(config)).returncode == 10
    phone = receiver_at(recorder.ntfy, tmp_path)
    away = receiver_at(f"http://127.0.0.1:{free_port()}/{TOKEN}", tmp_path, name="away", kind="url")
    entries = (
        f'[[notify]]\nname = "{one.name}"\nkind = "{one.kind}"\nurl_file = "{one.url_file}"' for one in (phone, away)
    )
    config.write_text("\n".join([config.read_text(), *entries]))
    document = json_with(3, "notify", "test", "--config", str(config))
    reached, not_reached = document["receivers"]
    assert (reached["name"], reached["is_reached"], reached["problem"]) == ("phone", True, None)
    assert (not_reached["is_reached"], not_reached["problem"]) == (False, "the monitor cannot be reached: ConnectError")
    (request,) = recorder.requests
    assert request.title == "mastodon: test of alerts"
    alone = command("notify", "test", "phone", "--config", str(config))
    assert (alone.returncode, alone.stdout) == (0, "phone: reached\n")
    unknown = command("notify", "test", "pager", "--config", str(config))
    assert (unknown.returncode, "[[notify]] has phone, away" in unknown.stderr) == (2, True)


def test_a_vaults_receivers(
    tmp_path: Path, repository: Repository, signing_key: SigningKey, recorder: Recorder
) -> None:
    """With a vault's folder its receivers are tried; a check of healthchecks.io only logs the test."""
    stage = make_stage(tmp_path / "vault", repository, signing_key)
    monitor = receiver_at(recorder.ping_url("/{job}"), tmp_path, kind="healthchecks")
    settings = stage.vault.settings.model_copy(update={"notify": (monitor,)})
    stage.vault.model_copy(update={"settings": settings}).save()
    tried = command("notify", "test", "--path", str(stage.vault.root))
    assert (tried.returncode, tried.stdout) == (0, "phone: reached\n"), tried.stderr
    assert recorder.requests[0].path.startswith(f"/{TOKEN}/findings/log?rid=")
