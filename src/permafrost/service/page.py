"""The page of a service, where [web] asks for one. Its libraries are loaded only then, and are an extra."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from permafrost.config.models import Configuration, Web
from permafrost.events import Reporter, Warned
from permafrost.ledger import LEDGER_FILE
from permafrost.repository.layout import Layout
from permafrost.runs import RUNS_FILE
from permafrost.status.progress import PROGRESS_FILE
from permafrost.status.vault_document import STATE
from permafrost.status.written import STATUS_FILE
from permafrost.vault.receipt_files import RECEIPT_FILE, RECEIPTS
from permafrost.vault.settings import SETTINGS_FILE, Vault

if TYPE_CHECKING:
    from permafrost.status.overview import Overview

Turn = Callable[[datetime], None]
_NEEDS = ("jinja2", "uvicorn")


@contextmanager
def server_page(configuration: Configuration, report: Reporter) -> Iterator[Turn]:
    """Yield what keeps a server's page up to date whenever it is called; stop serving it at the end."""
    state = configuration.state.path
    watched = tuple(state / name for name in (RUNS_FILE, STATUS_FILE, PROGRESS_FILE, LEDGER_FILE, RECEIPTS))

    def look(now: datetime) -> Overview:
        from permafrost.status.overview import server_overview  # noqa: PLC0415 - loaded where there is a page

        return server_overview(configuration, now)

    with _published(
        configuration.web, look, (*watched, Layout(configuration.repository.path).snapshots), report
    ) as turn:
        yield turn


@contextmanager
def vault_page(vault: Vault, report: Reporter) -> Iterator[Turn]:
    """Yield what keeps a vault's page up to date whenever it is called; stop serving it at the end."""
    # a receipt is written whenever something has changed
    receipts = [vault.root / server.name / RECEIPTS / RECEIPT_FILE for server in vault.settings.servers]
    histories = [Layout(vault.history(server)).snapshots for server in vault.settings.servers]
    watched = (vault.root / SETTINGS_FILE, vault.root / STATE / RUNS_FILE, *receipts, *histories)
    with _published(vault.settings.web, _VaultLook(vault.root), watched, report) as turn:
        yield turn


@dataclass(frozen=True, slots=True)
class _VaultLook:
    """Looks at a vault, whose settings may have changed meanwhile."""

    root: Path

    def __call__(self, now: datetime) -> Overview:
        from permafrost.status.overview import vault_overview  # noqa: PLC0415 - loaded where there is a page

        return vault_overview(self.root, now)


@contextmanager
def _published(
    settings: Web, look: Callable[[datetime], Overview], watched: tuple[Path, ...], report: Reporter
) -> Iterator[Turn]:
    if settings.folder is None and settings.listen is None:
        yield _nothing
        return
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        message = f"there is no page: [web] needs Python packages that are not installed: {', '.join(missing)}"
        report(Warned(f"{message}; install permafrost-backup[web]"))
        yield _nothing
        return
    from permafrost.web.publisher import Publisher  # noqa: PLC0415 - the same

    publisher = Publisher(settings, look, watched, report)
    try:
        yield publisher.turn
    finally:
        publisher.close()


def _nothing(now: datetime) -> None:
    del now
