"""The copy that a vault sends back: its history and the media of one moment, laid out in a folder of their own.

It is made of links, and takes no room. Syncthing is given this folder, and never the history itself: what the vault
keeps stays out of Syncthing's reach, and what the retention drops meanwhile stays in the copy.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from permafrost.errors import IntegrityError, RepositoryError
from permafrost.events import Note, Progress, Reporter, Warned
from permafrost.repository.durable import space_errors, write_durably
from permafrost.repository.layout import BASE_FILES, FOLDER_MODE, Layout, SnapshotId
from permafrost.repository.snapshots import list_snapshots, read_object_list
from permafrost.small_files import opened_folder
from permafrost.vault.linking import take
from permafrost.vault.media.layout import lay_out_media
from permafrost.vault.sending import MEDIA, REPOSITORY, SENT_FILE, Sent, sum_of
from permafrost.vault.settings import Vault, VaultServer

_TELL_EVERY = 1000


def lay_out_copy(vault: Vault, server: VaultServer, snapshot: str | None, target: Path, report: Reporter) -> Sent:
    """Make `target`, a new folder, hold all that goes back, and return what that is.

    `snapshot` says as of when the media are; None for the newest. Raise `RepositoryError` if nothing is kept yet.
    """
    history = Layout(vault.history(server))
    if not history.facts.exists():
        raise RepositoryError(
            f"nothing of {server.name} is kept yet",
            unchanged="everything",
            hint="check that permafrost vault run is running: it keeps what has arrived completely",
        )
    with space_errors(target.parent):
        shutil.rmtree(target, ignore_errors=True)
        copy = Layout(target / REPOSITORY)
        for folder in (copy.root, copy.objects, copy.snapshots):
            folder.mkdir(parents=True)
        with opened_folder(history.root) as root:
            for name in BASE_FILES:
                take(root, name, copy.root / name)
        kept = [held for held in list_snapshots(history) if _link_snapshot(history, copy, held, report)]
        as_of = _lay_out_media(vault, server, snapshot, target / MEDIA, report)
        for place, _, _ in os.walk(target):
            Path(place).chmod(FOLDER_MODE)  # modes travel along, and a web server has to be able to enter
        sent = Sent(
            server=server.name,
            repository_id=server.repository_id,
            fingerprint=server.fingerprint,
            snapshots=len(kept),
            media_as_of=as_of,
            repository=sum_of(copy.root),
            media=sum_of(target / MEDIA) if as_of is not None else None,
        )
        write_durably(target / SENT_FILE, sent.model_dump_json().encode("utf-8") + b"\n", 0o644)
    return sent


def _link_snapshot(history: Layout, copy: Layout, snapshot: SnapshotId, report: Reporter) -> bool:
    """Make the snapshot and its objects be in the copy; return False if it has just been dropped."""
    try:
        listed = read_object_list(history, snapshot)[0].objects
    except (RepositoryError, IntegrityError) as error:
        report(Warned(f"snapshot {snapshot} is damaged here: {error.message}"))
        listed = ()
    missing = 0
    for number, stored in enumerate(listed):
        place = copy.object(stored.name)
        if place.exists():
            continue
        place.parent.mkdir(exist_ok=True)
        try:
            with opened_folder(history.objects, stored.name[:2]) as folder:
                take(folder, place.name, place)
        except FileNotFoundError:
            missing += 1
        if number % _TELL_EVERY == 0:
            report(Progress(number, len(listed), "objects"))
    target = copy.snapshot(snapshot)
    target.mkdir()
    with suppress(FileNotFoundError), opened_folder(history.snapshots, str(snapshot)) as folder:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            take(folder, name, target / name)
    if not history.snapshot(snapshot).exists():  # the retention has just dropped it
        shutil.rmtree(target)
        return False
    if missing:
        report(Warned(f"snapshot {snapshot} lacks {missing} objects here; it is sent as it is"))
    return True


def _lay_out_media(
    vault: Vault, server: VaultServer, snapshot: str | None, target: Path, report: Reporter
) -> str | None:
    """Return the snapshot at whose arrival the media were as they are laid out; None if there are none."""
    if vault.media(server) is None:
        return None
    laid_out = lay_out_media(vault, server.name, snapshot, target, report)
    report(Note(f"{laid_out.files} media files, as of snapshot {laid_out.snapshot}"))
    if laid_out.missing:
        report(Warned(f"{laid_out.missing} media files are missing in the history"))
    return laid_out.snapshot
