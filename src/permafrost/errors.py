"""The one error tree.

Every error that a user can meet is a subclass of `ReportedError`. It says what failed, what was left
unchanged and what to do next; the class gives it a stable code and the exit code of the command. Help and
reference are generated from this module.
"""

from __future__ import annotations

from typing import ClassVar


class ReportedError(BaseException):
    """A run ended before its work was done, and the admin is told why.

    `message` says what failed; `hint` what to do next; `unchanged` what was left as it was. `step` is filled in
    by the operation that was under way ("step 3 of 6: dump the database").
    """

    code: ClassVar[str]
    exit_code: ClassVar[int]
    meaning: ClassVar[str]

    def __init__(self, message: str, *, hint: str = "", unchanged: str = "", step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.unchanged = unchanged
        self.step = step


class PermafrostError(ReportedError, Exception):
    """Something failed that the admin must know about."""

    code = "defect"
    exit_code = 1
    meaning = "a defect of the program"


class UsageError(PermafrostError):
    """The command's arguments do not fit together."""

    code = "usage"
    exit_code = 2
    meaning = "usage: the command's arguments do not fit together"


class ConfigurationError(PermafrostError):
    """The configuration file, or a file that it names, cannot be used as it is."""

    code = "configuration"
    exit_code = 10
    meaning = "configuration: the file, or a file that it names, cannot be used as it is"


class LockedError(PermafrostError):
    """Another run holds the repository."""

    code = "locked"
    exit_code = 11
    meaning = "locked: another run holds the repository"


class RepositoryError(PermafrostError):
    """There is no repository, no such snapshot, or a format that this version does not know."""

    code = "repository"
    exit_code = 12
    meaning = "no such repository or snapshot, or an unknown format"


class KeyFileError(PermafrostError):
    """The passphrase or key does not open what it should, or its file may not be used as it is."""

    code = "key"
    exit_code = 13
    meaning = "key or passphrase: wrong, missing, or readable by others"


class IntegrityError(PermafrostError):
    """Bytes do not match their name, their list or their signature."""

    code = "integrity"
    exit_code = 14
    meaning = "integrity: bytes do not match their name, list or signature"


class OverlookedRowsError(IntegrityError):
    """A scan of every row found changes that a scan of changed blocks alone would have overlooked."""


class DifferentRestoreError(IntegrityError):
    """A restored database is not what the snapshot says, although every object was whole."""


class ToolError(PermafrostError):
    """A program that permafrost needs is missing, or failed."""

    code = "tool"
    exit_code = 15
    meaning = "a tool is missing or failed"


class DatabaseError(PermafrostError):
    """PostgreSQL refused, failed or went away."""

    code = "database"
    exit_code = 16
    meaning = "database: PostgreSQL refused, failed or went away"


class NotWholeError(DatabaseError):
    """A database was restored with every row, and lacks what its rows do not allow, such as a unique index."""


class ReplicationError(PermafrostError):
    """Syncthing, a vault or a bucket does not work as it should."""

    code = "replication"
    exit_code = 17
    meaning = "replication: Syncthing, a vault or a bucket does not work as it should"


class BucketError(ReplicationError):
    """An object store did not do what was asked of it."""


class BucketUnreachableError(BucketError):
    """An object store cannot be reached, breaks off, or fails."""


class BucketRefusedError(BucketError):
    """An object store refused a request: the credentials are wrong, were revoked, or allow too little."""


class BucketFullError(BucketError):
    """A bucket takes no more: its quota or the store's disks are full."""


class BucketClockError(BucketError):
    """The clocks of this machine and of an object store differ by more than requests and locks allow."""


class SpaceError(PermafrostError):
    """There is no room left on a disk."""

    code = "space"
    exit_code = 18
    meaning = "no space left on a disk"


class RestoreRefusedError(PermafrostError):
    """A restore was refused before anything was touched."""

    code = "refused"
    exit_code = 19
    meaning = "restore refused, nothing was touched"


class InterruptedRunError(ReportedError):
    """A signal ended the run; `signal_number` makes the exit code 128 + signal.

    It is no `Exception`, as `KeyboardInterrupt` is none: whoever goes on after a failure must not go on after this.
    """

    code = "interrupted"
    exit_code = 128
    meaning = "ended by a signal (130 for SIGINT, 143 for SIGTERM), or its output is no longer read (141, for SIGPIPE)"

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"ended by signal {signal_number}", hint="run the command again; it starts cleanly")
        self.signal_number = signal_number


EXIT_DONE = 0
EXIT_FINDINGS = 3

ERROR_CLASSES: tuple[type[ReportedError], ...] = (
    PermafrostError,
    UsageError,
    ConfigurationError,
    LockedError,
    RepositoryError,
    KeyFileError,
    IntegrityError,
    ToolError,
    DatabaseError,
    ReplicationError,
    SpaceError,
    RestoreRefusedError,
    InterruptedRunError,
)


def exit_code_of(error: ReportedError) -> int:
    """Return the process's exit code for `error`."""
    if isinstance(error, InterruptedRunError):
        return 128 + error.signal_number
    return error.exit_code
