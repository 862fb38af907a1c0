"""Workers of a run: threads with a database connection each. The first failure, or a signal, stops all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import Self, TypeVar

import psycopg

from permafrost.postgres.locked_snapshot import HELD_LOCK_TIMEOUT_MS, LockedSnapshot, lock_error
from permafrost.postgres.loggable_tables import lock_tables
from permafrost.postgres.snapshot import imported_snapshot
from permafrost.processes.running import end_every_program

T = TypeVar("T")
Task = Callable[[psycopg.Connection], None]


class Workers:
    """Runs tasks on `jobs` connections, and other work beside them. Use as a context manager.

    If the block fails, or a signal ends it, running queries are cancelled and running programs ended before it is
    left; what the workers raise then means nothing.
    """

    def __init__(self, connect: Callable[[], AbstractContextManager[psycopg.Connection]], jobs: int) -> None:
        self._connect, self._jobs = connect, jobs
        self._executor = ThreadPoolExecutor(jobs + 1)
        self._futures: list[Future[object]] = []
        self._connections: set[psycopg.Connection] = set()
        self._ahead: SimpleQueue[Future[tuple[ExitStack, psycopg.Connection]]] = SimpleQueue()
        self._lock = Lock()
        self._is_given_up = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._give_up()
        while not self._ahead.empty():  # nobody took it
            future = self._ahead.get()
            if not future.cancel() and future.exception() is None:
                future.result()[0].close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def connect_ahead(self) -> None:
        """Begin to connect, so that the first tasks need not wait for that; what fails is raised by `do_all`."""
        for _ in range(self._jobs):
            self._ahead.put(self._executor.submit(self._connected))

    def _connected(self) -> tuple[ExitStack, psycopg.Connection]:
        with ExitStack() as stack:
            connection = stack.enter_context(self._connect())
            return stack.pop_all(), connection

    def beside(self, work: Callable[[], T]) -> Future[T]:
        """Start work that needs no connection of the workers'."""
        future = self._executor.submit(work)
        self._futures.append(future)  # type: ignore[arg-type] # Future is invariant, and only its end is looked at
        return future

    def beside_all(self, work: Callable[[int], None], numbers: Iterable[int]) -> None:
        """Return once `work` is done for every number, without the workers' connections."""
        for future in [self.beside(partial(work, number)) for number in numbers]:
            future.result()

    def do_all(self, tasks: Iterable[Task]) -> None:
        """Return once every task, and all work beside them, is done; raise what the first failure raised."""
        queue: SimpleQueue[Task] = SimpleQueue()
        for task in tasks:
            queue.put(task)
        for _ in range(min(self._jobs, queue.qsize())):
            self._futures.append(self._executor.submit(self._drain, queue))
        done, _ = wait(self._futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()

    def _drain(self, queue: SimpleQueue[Task]) -> None:
        try:
            stack, connection = self._ahead.get_nowait().result()
        except Empty:
            stack, connection = self._connected()
        with stack:
            with self._lock:
                self._connections.add(connection)
            try:
                while not self._is_given_up.is_set():
                    try:
                        task = queue.get_nowait()
                    except Empty:
                        return
                    task(connection)
            finally:
                with self._lock:
                    self._connections.discard(connection)

    def _give_up(self) -> None:
        self._is_given_up.set()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)
        end_every_program()


@contextmanager
def snapshot_connection(conninfo: str, snapshot: LockedSnapshot) -> Iterator[psycopg.Connection]:
    """Yield a connection that sees the snapshot and has locked its tables for itself.

    It locks at once, before anybody else queues for one of them: behind an exclusive request it would wait for ever,
    as that waits for the snapshot's holder. Raise `DatabaseError` if a lock cannot be had in time.
    """
    with imported_snapshot(conninfo, snapshot.name) as connection:
        try:
            lock_tables(connection, list(snapshot.tables.values()), HELD_LOCK_TIMEOUT_MS)
        except psycopg.errors.LockNotAvailable as error:
            raise lock_error(error) from error
        yield connection
