"""Keeps the page up to date for a service: rendered when something has changed, written to a folder, and served.

What fails is reported once, and fails nothing else: a page that cannot be written stops no backup.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from permafrost.config.models import Web
from permafrost.errors import ConfigurationError, PermafrostError
from permafrost.events import Note, Reporter, Warned
from permafrost.status.overview import Overview
from permafrost.web.page import content_security_policy
from permafrost.web.server import Answer, Served, Site
from permafrost.web.views import VIEWS

EVERY_S = 60.0
LEAST_S = 2.0
_MODE = 0o644
_LEFT_S = 3600.0
Look = Callable[[datetime], Overview]


@dataclass(slots=True)
class Publisher:
    """The page of one service. Call `turn` as often as you like, `close` at the end.

    `look` returns the overview; `watched` are the files and folders by which it is seen that something has changed.
    """

    settings: Web
    look: Look
    watched: tuple[Path, ...]
    report: Reporter
    _site: Site = field(default_factory=Site)
    _served: Served | None = None
    _versions: tuple[tuple[int, int], ...] = ()
    _next: float = float("-inf")
    _not_before: float = float("-inf")
    _complaint: str = ""

    @property
    def address(self) -> str | None:
        """Where the page is served, None if it is not."""
        return self._served.address if self._served is not None else None

    def turn(self, now: datetime) -> None:
        """Render and publish if something has changed, or a minute has passed."""
        if self.settings.folder is None and self.settings.listen is None:
            return
        moment = time.monotonic()
        if moment < self._not_before:
            return
        versions = tuple(_version(file) for file in self.watched)
        if versions != self._versions or moment >= self._next:
            self._versions, self._next, self._not_before = versions, moment + EVERY_S, moment + LEAST_S
            self._attempt(now)

    def close(self) -> None:
        """Stop serving."""
        if self._served is not None:
            self._served.close()
            self._served = None

    def _attempt(self, now: datetime) -> None:
        try:
            self._publish(now)
        except PermafrostError as error:
            self._complain(error.message)
        except OSError as error:
            self._complain(f"{error.filename}: {error.strerror}")
        else:
            self._complaint = ""

    def _complain(self, what: str) -> None:
        if what != self._complaint:
            self._complaint = what
            self.report(Warned(f"the page was not published: {what}"))

    def _publish(self, now: datetime) -> None:
        overview = self.look(now)
        made = [(view, view.make(overview).encode("utf-8", "replace")) for view in VIEWS]
        answers = {view.path: Answer(view.content_type, body) for view, body in made}
        page = answers["/"]
        answers["/"] = Answer(page.content_type, page.body, f"{content_security_policy()}; frame-ancestors 'none'")
        self._site.show(answers)
        if self.settings.listen is not None and self._served is None:
            self._served = Served(self.settings.listen, self._site)
            self.report(Note(f"the page is served at {self._served.address}"))
        if self.settings.folder is not None:
            write_files(self.settings.folder, ((view.file, body) for view, body in made))


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Replace the files in the folder, each at once: whoever reads one sees the old or the new one.

    Raise `ConfigurationError` if there is no such folder: nothing is made where a disk is not mounted.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"the folder {folder} does not exist", hint="create it, or correct [web] folder")
    for name, content in files:
        _remove_leftovers(folder, f".{name}.")
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(descriptor, _MODE)
            Path(temporary).replace(folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _remove_leftovers(folder: Path, prefix: str) -> None:
    """Remove what a killed service has left of a file, once it is too old to be somebody's who writes it now."""
    for file in folder.iterdir():
        if file.name.startswith(prefix):
            with suppress(OSError):
                if time.time() - file.lstat().st_mtime > _LEFT_S:
                    file.unlink()


def _version(file: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = file.stat()
        return found.st_mtime_ns, found.st_ino
    return 0, 0
