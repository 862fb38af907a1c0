"""What a restored database lacks: statements and rows that PostgreSQL refused, and the list to finish it by hand.

The list is SQL for psql, in the order in which it has to run, each statement below PostgreSQL's reason. Refused rows
lie beside it as COPY text, one file a table, so that they can be repaired and loaded. Both hold what the database
holds, and only their owner can read them. Where nothing is to be written, as in a drill, rows are only counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Self

from permafrost.errors import NotWholeError, RestoreRefusedError
from permafrost.postgres.building.guarded import Refused
from permafrost.postgres.catalog import TableName
from permafrost.postgres.failures import Failed
from permafrost.postgres.programs.sql_script import brackets
from permafrost.repository.durable import space_errors

LIST_NAME = "finish.sql"
_MOST_REASONS = 20
_MOST_TOLD = 10


@dataclass(slots=True)
class RefusedRows:
    """The rows of one table that were refused: how many, the reasons of the first, and where they lie, if anywhere."""

    table: TableName
    columns: Sequence[str]
    file: Path | None
    count: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """What happened to them, in words."""
        where = f"; they are in {self.file}" if self.file is not None else ""
        return f"{self.count} rows of {self.table} were refused{where}: {self.reasons[0]}"


@dataclass(frozen=True, slots=True)
class RefusedStatement:
    """A statement that was refused, empty where there is none to run again, and PostgreSQL's reason."""

    statement: bytes
    reason: str


class Missing:
    """Collects what is missing, from any thread, in the order in which it is found."""

    def __init__(self, place: Callable[[], Path] | None) -> None:
        """Collect; what is written goes into the folder that `place` makes when it is needed, if it is given."""
        self._place = place
        self._folder: Path | None = None
        self._lock = Lock()
        self._found: list[RefusedRows | RefusedStatement] = []
        self._rows: dict[TableName, RefusedRows] = {}

    def __enter__(self) -> Self:
        """Collect within the block; a folder in which nothing was written is removed after it."""
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            with suppress(OSError):  # it is not empty
                self._folder.rmdir()

    def make_folder(self) -> Path | None:
        """Make the folder, unless it is made, and return it; raise `RestoreRefusedError` if it cannot be made."""
        if self._folder is None and self._place is not None:
            self._folder = self._place()
        return self._folder

    def __bool__(self) -> bool:
        """Return whether anything is missing."""
        return bool(self._found)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Everything that is missing in words, in the order in which it was found."""
        return tuple(found.reason for found in self._found)

    @property
    def statements(self) -> bytes:
        """The statements that were refused, as SQL in which psql finds no commands."""
        text = b"".join(found.statement + b"\n\n" for found in self._found if isinstance(found, RefusedStatement))
        closed, opened = brackets() if b"\\" in text else (b"", b"")
        return closed + text + opened

    @property
    def is_statements_alone(self) -> bool:
        """Whether `statements` are everything that is missing."""
        return all(isinstance(found, RefusedStatement) and found.statement for found in self._found)

    @property
    def rows_refused(self) -> dict[TableName, int]:
        """How many rows of each table were refused."""
        return {table: rows.count for table, rows in self._rows.items()}

    def note(self, failed: Failed) -> None:
        """Take a statement that was refused: a `FailureSink`."""
        with self._lock:
            self._found.append(RefusedStatement(failed.statement.strip(), _without_statement(failed.error.message)))

    def note_refused(self, statements: Sequence[Refused]) -> None:
        """Take statements that a role or a server is not able to run."""
        with self._lock:
            self._found += [
                RefusedStatement(statement.statement.encode(), statement.reason) for statement in statements
            ]

    def note_difference(self, message: str) -> None:
        """Take a difference from the snapshot that nothing else explains."""
        with self._lock:
            self._found.append(RefusedStatement(b"", message))

    def refuse(self, table: TableName, columns: Sequence[str], lines: Sequence[bytes], reason: str) -> None:
        """Take rows, as lines of COPY text, that were refused for one reason."""
        with self._lock:
            rows = self._rows.get(table)
            if rows is None:
                folder = self.make_folder()
                file = folder / _file_name(len(self._rows), table) if folder is not None else None
                rows = self._rows[table] = RefusedRows(table, columns, file)
                self._found.append(rows)
            rows.count += len(lines)
            if len(rows.reasons) < _MOST_REASONS:
                rows.reasons.append(reason)
            if rows.file is not None:
                with _appending(rows.file) as file_object:
                    file_object.writelines(lines)

    def write_list(self, database: str, snapshot: str, encoding: str, last: bytes) -> Path | None:
        """Write the list into the folder, if there is one, and return where it is.

        `last` is the statement to run when nothing is missing any more.
        """
        folder = self.make_folder()
        if folder is None:
            return None
        file = folder / LIST_NAME
        with _appending(file) as file_object:
            file_object.writelines(self._list(database, snapshot, encoding, last))
            file_object.flush()
            os.fsync(file_object.fileno())
        return file

    def _list(self, database: str, snapshot: str, encoding: str, last: bytes) -> Iterator[bytes]:
        closed, opened = brackets() if b"\\" in last or self._has_backslashes else (b"", b"")
        yield _comment(
            f"What the database {database} lacks, which permafrost restored from the snapshot {snapshot}.\n"
            "Fix what the comment above a statement names, then run the statement, in this order; or, once all is\n"
            f"fixed, run everything in this folder: psql -X -d {database} -f {LIST_NAME}"
        )
        yield b"\\set ON_ERROR_STOP on\n" + closed
        yield b"SELECT pg_catalog.set_config('search_path', '', false);\n"
        yield f"SET check_function_bodies = off;\nSET client_encoding = '{encoding}';\n\n".encode()
        for found in self._found:
            if isinstance(found, RefusedStatement):
                yield _comment(found.reason) + found.statement + b"\n\n"
            else:
                yield _comment("\n".join([f"{found.count} rows of {found.table} were refused:", *found.reasons]))
                yield opened + _copy_command(found) + closed + b"\n"
        yield _comment("When nothing is missing any more, take the mark off the database:") + last + b"\n" + opened

    @property
    def _has_backslashes(self) -> bool:
        """Whether what comes from the database could hold a command of psql, all of which begin with one."""
        return any(
            "\\" in found.reason or (isinstance(found, RefusedStatement) and b"\\" in found.statement)
            for found in self._found
        ) or any("\\" in reason for rows in self._rows.values() for reason in rows.reasons)


def not_whole(database: str, missing: Missing, place: Path | None) -> NotWholeError:
    """Return the error of a restore that was to be whole: every row is in the database, and this is missing."""
    reasons = missing.reasons
    more = f"\nand {len(reasons) - _MOST_TOLD} more" if len(reasons) > _MOST_TOLD else ""
    told = "\n".join(reasons[:_MOST_TOLD])
    return NotWholeError(
        f"the database {database} is NOT WHOLE: the snapshot's rows do not allow what it had besides:\n{told}{more}",
        unchanged=f"{database} has every row, compared with the snapshot",
        hint=f"finish it by hand with {place}, in order; or drop it. A restore with --keep-going ends with exit code 3 "
        "instead, and also continues past rows that are refused",
    )


def make_folder(wanted: Path | None, database: str) -> Path:
    """Make the folder for the list and the rows: `wanted`, or one of a free name in the current folder.

    Raise `RestoreRefusedError` if it exists or cannot be made.
    """
    stem = f"permafrost-missing-{database.replace('/', '_')}"
    numbered = (Path(f"{stem}.{number}") for number in range(2, 100))
    for candidate in (wanted,) if wanted is not None else (Path(stem), *numbered):
        try:
            candidate.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise RestoreRefusedError(
                f"the folder {candidate.absolute()} for what cannot be restored cannot be made: {error.strerror}",
                unchanged="everything",
                hint="name another: --missing-to DIR",
            ) from error
        return candidate.absolute()
    raise RestoreRefusedError(
        f"{wanted or stem} exists already", unchanged="everything", hint="name another: --missing-to DIR"
    )


@contextmanager
def _appending(file: Path) -> Iterator[IO[bytes]]:
    with space_errors(file.parent):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "ab") as file_object:
            yield file_object


def _without_statement(message: str) -> str:
    """Return an error's message without the statement that it quotes, which stands below it."""
    for quotes in ("\n  STATEMENT: ", "\nCommand was: "):
        message = message.partition(quotes)[0]
    return message


def _copy_command(rows: RefusedRows) -> bytes:
    columns = f" ({', '.join(map(_quoted, rows.columns))})" if rows.columns else ""
    name = f"{_quoted(rows.table.schema)}.{_quoted(rows.table.name)}"
    if not f"{name}{columns}".isprintable():  # \copy ends with its line, and what follows would be a command of its own
        return _comment("a name of theirs has control characters: load them with COPY ... FROM STDIN") + b"\n"
    return f"\\copy {name}{columns} FROM '{rows.file.name if rows.file else ''}'\n".encode()


def _comment(text: str) -> bytes:
    return "".join(f"-- {line}\n" for line in text.splitlines()).encode("utf-8", "replace")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _file_name(number: int, table: TableName) -> str:
    safe = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in str(table)
    )
    return f"rows-{number + 1:03}-{safe[:100]}.copy"
