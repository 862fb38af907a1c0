"""The page is rendered when something has changed, and whoever reads its file sees a whole one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from permafrost.config.models import Configuration, Web
from permafrost.events import Event, Warned
from permafrost.runs import RunRecords
from permafrost.status.overview import Overview, server_overview
from permafrost.web import publisher as module
from permafrost.web.publisher import Publisher, write_files
from samples.server_state import NOW, history_of, make_server_state


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """A server with its history."""
    return make_server_state(tmp_path, history_of("no-vault"))


def publisher_of(configuration: Configuration, web: Web, told: list[Event]) -> tuple[Publisher, list[datetime]]:
    """Return a publisher, and the moments at which it looks."""
    looked: list[datetime] = []

    def look(now: datetime) -> Overview:
        looked.append(now)
        return server_overview(configuration, now)

    return Publisher(web, look, (configuration.state.path / "runs.sqlite",), told.append), looked


@pytest.fixture
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0.0)


@pytest.mark.usefixtures("_no_pause")
def test_it_is_made_again_when_something_has_changed(configuration: Configuration, tmp_path: Path) -> None:
    """The first turn writes page and document; the next does nothing until the records have changed."""
    folder = tmp_path / "www"
    folder.mkdir()
    told: list[Event] = []
    publisher, looked = publisher_of(configuration, Web(folder=folder), told)
    publisher.turn(NOW)
    publisher.turn(NOW)
    assert len(looked) == 1
    assert sorted(file.name for file in folder.iterdir()) == ["index.html", "permafrost.prom", "status.json"]
    assert (folder / "index.html").stat().st_mode & 0o777 == 0o644
    assert json.loads((folder / "status.json").read_text())["verdict"]["answer"] == "limited"
    records = RunRecords(configuration.state.path)
    records.end(records.begin("drill", NOW), NOW, "failed", details={"error": "a row differs"})
    publisher.turn(NOW)
    assert "a row differs" in (folder / "index.html").read_text()
    assert told == []


@pytest.mark.usefixtures("_no_pause")
@pytest.mark.parametrize("broken", ["folder", "repository"])
def test_what_fails_is_said_once(configuration: Configuration, tmp_path: Path, broken: str) -> None:
    """A missing folder or repository is reported once, stops nothing, and heals when it is back."""
    folder = tmp_path / "www"
    folder.mkdir()
    hurt = folder if broken == "folder" else configuration.repository.path
    hurt.rename(hurt.with_name("away"))
    told: list[Event] = []
    publisher, _ = publisher_of(configuration, Web(folder=folder), told)
    touch: Callable[[], None] = (configuration.state.path / "runs.sqlite").touch
    for _ in range(2):
        publisher.turn(NOW)
        touch()
    assert [type(event) for event in told] == [Warned]
    hurt.with_name("away").rename(hurt)
    publisher.turn(NOW)
    assert (folder / "index.html").exists()


def test_off(configuration: Configuration) -> None:
    """Where neither a folder nor an address is configured, nothing is looked at."""
    publisher, looked = publisher_of(configuration, Web(), [])
    publisher.turn(NOW)
    assert looked == []
    publisher.close()


def test_what_a_killed_service_left(tmp_path: Path) -> None:
    """A half-written file of an hour ago is removed by the next writing; a new one, a link's target and others stay."""
    (tmp_path / "elsewhere").write_text("precious")
    old, new, other = (
        tmp_path / name for name in (".page.html.abcdefgh", ".page.html.ijklmnop", ".other.html.abcdefgh")
    )
    link = tmp_path / ".page.html.linked00"
    for file in (old, new, other):
        file.write_text("half")
    link.symlink_to(tmp_path / "elsewhere")
    for file in (old, other, link):
        os.utime(file, (0, 0), follow_symlinks=False)
    write_files(tmp_path, [("page.html", b"whole")])
    assert (tmp_path / "page.html").read_bytes() == b"whole"
    assert [file.is_symlink() or file.exists() for file in (old, link, new, other)] == [False, False, True, True]
    assert (tmp_path / "elsewhere").read_text() == "precious"
