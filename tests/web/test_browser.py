"""The page in a real browser: readable by all, its commands copied, and new after a real backup."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from permafrost.status.overview import server_overview, vault_overview
from permafrost.web.page import render_page
from samples.server_state import NOW, StateName, history_of, make_server_state
from samples.vault_state import make_vault_state
from tests.fixtures.server import MakeServer, free_port
from tests.fixtures.syncthing import wait_for

WIDTHS = (400, 1600)
STATES: tuple[StateName, ...] = ("drill-failed", "first-day", "healthy")
"""Together they have every part of the page; scripts/page_picture looks at all eight."""
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages of a server in some states, as files; and the address of each."""
    folder = tmp_path_factory.mktemp("pages")
    addresses: dict[str, str] = {}
    for state in STATES:
        (folder / state).mkdir()
        overview = server_overview(make_server_state(folder / state, history_of(state)), NOW)
        file = folder / f"{state}.html"
        file.write_text(render_page(overview))
        addresses[state] = file.as_uri()
    vault = folder / "vault.html"
    vault.write_text(render_page(vault_overview(make_vault_state(folder / "attic", "full"), NOW)))
    addresses["vault"] = vault.as_uri()
    away = history_of("healthy")
    receivers = (("phone", "message", "the receiver answered with HTTP status 500"), *away.receivers[1:])
    unreached = server_overview(make_server_state(folder / "unreached", replace(away, receivers=receivers)), NOW)
    (folder / "unreached.html").write_text(render_page(unreached))
    assert "not reached since" in render_page(unreached)
    addresses["unreached"] = (folder / "unreached.html").as_uri()
    return addresses


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(chromium: Browser, pages: dict[str, str], scheme: str) -> None:
    """The checker axe finds no violation, light or dark, and nothing is wider than a narrow or a wide window."""
    context = chromium.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    for state, address in pages.items():
        page.goto(address)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page, options=RULES)
        assert found.response["violations"] == [], (state, scheme)
    context.close()


def test_without_scripts(chromium: Browser, pages: dict[str, str]) -> None:
    """Without scripts everything is there but the buttons."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["drill-failed"])
    expect(page.get_by_role("heading", level=1)).to_contain_text("the last drill failed")
    expect(page.get_by_text("permafrost backup --full", exact=True)).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    context.close()


def test_commands_are_copied(tab: tuple[Page, list[str]], pages: dict[str, str]) -> None:
    """The button beside a finding's command puts exactly that command on the clipboard, and breaks no policy."""
    page, complaints = tab
    page.goto(pages["drill-failed"])
    page.get_by_role("button", name="Copy: permafrost backup --full").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "permafrost backup --full"
    assert complaints == []


def test_an_old_page_says_so(tab: tuple[Page, list[str]], pages: dict[str, str]) -> None:
    """A page that nobody has renewed warns of its age; a fresh one does not."""
    page, _ = tab
    page.clock.set_fixed_time(NOW + timedelta(minutes=3))
    page.goto(pages["healthy"])
    expect(page.locator("#stale")).to_be_hidden()
    page.clock.set_fixed_time(NOW + timedelta(hours=3))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("written 3 h ago")


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    """A service that runs during the block."""
    words = (sys.executable, "-m", "permafrost", "run", "--config", str(config))
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "TZ": "UTC"}) as service:
        try:
            yield service
        finally:
            service.terminate()
            service.communicate(timeout=20)


def test_from_a_backup_to_the_page(
    mastodon_database: str, make_server: MakeServer, tab: tuple[Page, list[str]], tmp_path: Path
) -> None:
    """The service's first backup appears in an open page by itself; a vault that says nothing becomes a finding."""
    server = make_server(mastodon_database)
    config = server.write_configuration()
    port = free_port()
    folder = tmp_path / "www"
    folder.mkdir()
    off = 'backup = "0 0 1 1 *"\naudit = "off"\ndrill = "off"'
    config.write_text(
        f'{config.read_text()}\n[schedule]\n{off}\n[web]\nlisten = "127.0.0.1:{port}"\nfolder = "{folder}"\n'
    )
    page, complaints = tab
    with running(config):
        wait_for((folder / "index.html").exists, "the page is there", 30)
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.get_by_role("heading", level=1)).to_contain_text("no vault holds a copy yet", timeout=30_000)
        expect(page.get_by_role("heading", level=1)).to_contain_text("no restore has proven it yet")
        paired = server.configuration.state.path / "receipts" / "attic"
        paired.mkdir(parents=True)
        long_ago = (datetime.now(UTC) - timedelta(hours=5)).timestamp()
        os.utime(paired, (long_ago, long_ago))
        expect(page.get_by_text("the vault attic has sent no receipt")).to_be_visible(timeout=30_000)
        assert page.request.get(f"http://127.0.0.1:{port}/healthz").text() == "ok\n"
        assert page.request.get(f"http://127.0.0.1:{port}/status.json").json()["snapshots"] == 1
        metrics = page.request.get(f"http://127.0.0.1:{port}/metrics").text()
        assert 'permafrost_findings_by_kind{kind="vault-silent",severity="warning"} 1' in metrics
        assert 'permafrost_task_last_success{task="backup"} 1' in metrics
    assert [one for one in complaints if "Failed to load" not in one and "ERR_CONNECTION" not in one] == []
