"""Photographs the page: docs/page.png for the README, or every state in every shape, to be looked at.

    .venv/bin/python -m scripts.page_picture                  docs/page.png
    .venv/bin/python -m scripts.page_picture --all FOLDER     server and vault, eight states, light and dark, 4 widths

The servers are made up (samples/server_state.py); the page is the one that the service renders.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from permafrost.status.overview import server_overview, vault_overview
from permafrost.web.page import render_page
from samples.server_state import NOW, STATES, History, history_of, make_server_state
from samples.vault_state import make_vault_state

FILE = Path(__file__).parents[1] / "docs" / "page.png"
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_WIDTHS = (400, 800, 1200, 1600)


def pages(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page."""
    for state in STATES:
        place = folder / state
        place.mkdir()
        yield state, render_page(server_overview(make_server_state(place, history_of(state)), NOW))
        yield f"vault-{state}", render_page(vault_overview(make_vault_state(folder / f"vault-{state}", state), NOW))


def photograph(
    browser: Browser, text: str, scheme: Literal["light", "dark"], width: int, to: Path, *, whole: bool
) -> None:
    """Write a picture of the page as it looks in a window of that width."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 1000})
    page.clock.set_fixed_time(NOW)
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file:
        file.write(text)
        file.flush()
        page.goto(Path(file.name).as_uri())
        page.screenshot(path=to, full_page=whole)
    page.close()


def main(words: list[str]) -> None:
    """Do what the words ask for."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed: scripts/bootstrap test")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        if not words:
            healthy = server_overview(make_server_state(Path(folder) / "healthy", History()), NOW)
            photograph(browser, render_page(healthy), "light", 1000, FILE, whole=False)
            return
        for name, text in pages(Path(folder)):
            for scheme in _SCHEMES:
                for width in _WIDTHS:
                    photograph(
                        browser, text, scheme, width, Path(words[-1]) / f"{name}-{scheme}-{width}.png", whole=True
                    )


if __name__ == "__main__":
    main(sys.argv[1:])
