"""engine = "log": the segment log. Only row versions that are new since the last run are read (docs/engine.md).

The state is changed inside one transaction that is committed when the caller's block, which publishes the snapshot,
has ended well; a run that dies at any point leaves the old state, which fits the old snapshots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from permafrost.engines.contents import SnapshotContents
from permafrost.engines.context import STATE_FILE, RunContext
from permafrost.errors import ConfigurationError, DatabaseError, PermafrostError
from permafrost.events import Note, Warned
from permafrost.lazy_import import imported_beside
from permafrost.openpgp.sealing import PassphraseSealing
from permafrost.postgres.connection import LockConflictError
from permafrost.postgres.locked_snapshot import locked_snapshot
from permafrost.postgres.version import major_version
from permafrost.runs import RunRecords
from permafrost.state_files import DamagedStateError, OtherVersionError, set_aside

MINIMUM_SERVER_VERSION = 140000
_ATTEMPTS = 4
_FIRST_STEP = 2
_READING = "permafrost.engines.log_run"  # with numpy, which takes as long as to connect


@contextmanager
def logged(run: RunContext) -> Iterator[SnapshotContents]:
    """Yield what the log engine stored; the state is replaced once the block has ended well."""
    stack, contents = _read(run)
    is_published = False
    try:
        with stack:
            yield contents
            is_published = True
    except (DamagedStateError, PermafrostError) as error:
        if not is_published:
            raise
        # the snapshot is whole and safe; only what would have made the next run quick is lost
        if isinstance(error, DamagedStateError):
            _throw_state_away(run, error)
        else:
            run.report(Warned(f"the snapshot is published, but the state was not saved: {error.message}"))


def _read(run: RunContext) -> tuple[ExitStack, SnapshotContents]:
    """Read everything, again if a migration came between, and without the state if that is damaged."""
    attempt = 1
    has_state = True
    while True:
        try:
            return _attempt(run, is_last=attempt == _ATTEMPTS)
        except LockConflictError as error:
            if attempt == _ATTEMPTS:
                raise
            attempt += 1
            run.report(
                Note(f"starting again because another session wants exclusive access to a table: {error.message}")
            )
        except DamagedStateError as error:
            if not has_state:
                raise ConfigurationError(
                    f"the state in {run.configuration.state.path} cannot be used: {error}",
                    hint="check the disk that holds [state] path",
                ) from error
            has_state = False
            _throw_state_away(run, error)
        run.steps.back_to(_FIRST_STEP)


def _throw_state_away(run: RunContext, damage: DamagedStateError) -> None:
    folder = run.configuration.state.path
    set_aside(folder / STATE_FILE)
    if isinstance(damage, OtherVersionError):
        run.report(Note("reading every table in full: the state was written by another version of permafrost"))
        return
    message = f"the state of the segment log was damaged ({damage}) and starts again: everything is read"
    run.report(Warned(message))
    RunRecords(folder).record_damage(STATE_FILE, message, run.now)


def _attempt(run: RunContext, *, is_last: bool) -> tuple[ExitStack, SnapshotContents]:
    """Read everything, and return what was found, with what has to be left when it is published (or not).

    Raise `LockConflictError` if a migration came between; a new attempt then waits for it before it begins.
    """
    with ExitStack() as stack:
        with (
            run.steps.step("fix one moment of the database"),
            run.times.of("connect"),
            imported_beside(_READING),
            ThreadPoolExecutor(1) as beside,
        ):
            mark = beside.submit(_sealing_mark, run)
            snapshot = stack.enter_context(locked_snapshot(run.configuration.database.url, left_out=run.left_out))
            version = snapshot.connection.info.server_version
            if version < MINIMUM_SERVER_VERSION:
                raise DatabaseError(
                    f"the segment log needs PostgreSQL 14 or newer, and this is {major_version(version)}",
                    hint='set engine = "dump" in [database]',
                )
        from permafrost.engines.log_run import read_log  # noqa: PLC0415

        with run.steps.step("find and read what is new"):
            contents = read_log(run, snapshot, stack, mark.result(), is_last=is_last)
        return stack.pop_all(), contents


def _sealing_mark(run: RunContext) -> str:
    """Return what tells a changed key: one snapshot must not need two of them.

    By scrypt, bound to the repository: the state must not make guessing a passphrase cheaper than its objects do.
    """
    sealing = run.sealing
    files = (sealing.passphrase_file,) if isinstance(sealing, PassphraseSealing) else sealing.key_files
    content = b"\0".join(file.read_bytes() for file in files)
    return hashlib.scrypt(content, salt=run.repository.repository_id.encode(), n=1 << 13, r=8, p=1, dklen=16).hex()
