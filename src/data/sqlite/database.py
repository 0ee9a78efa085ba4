"""The threads between the event loop and the file: one that writes, in groups, and a few that read.

A caller hands over a function of a connection and awaits what it returns. Nobody who reads waits for the writer.
To wake a thread costs more than most jobs: what is asked in one round of the event loop is handed over together, so
that a decision and what is set aside for it are one write. Each thread that reads has a queue of its own, since of
several that wait at one all are woken for each job.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import apsw

from core.errors import Timeout, Unavailable
from data.sqlite.connections import Connection, as_ours, open_reader, open_writer

GROUP = 256
"""Most submissions in one transaction."""

TOGETHER = 8
"""Most reads that one thread takes at once, so that many are shared among the threads."""

WAITING = 4096
"""Most submissions of either kind that may wait; beyond, callers are told to come back."""

READERS = 4
BOUND_SECONDS = 20.0
"""Longest that anybody waits: more than SQLite waits for another process's transaction, twice."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Work = Callable[[Connection], T]


@dataclass(slots=True, eq=False)
class _Job(Generic[T_co]):
    work: Work[T_co]
    future: "asyncio.Future[T_co]"
    due: float
    alone: bool = False
    result: object = None
    error: Exception | None = None


_Reads: TypeAlias = "queue.SimpleQueue[list[_Job[object]] | None]"


class Database:
    """Reads and writes of one file, from the event loop that opened it."""

    def __init__(self, writer: "_Writer", readers: "_Readers") -> None:
        self._writer = writer
        self._readers = readers

    async def write(self, work: Work[T]) -> T:
        """Run `work` within a transaction that it may share with others; on disk when this returns.

        If `work` raises, what it did is undone, what others did is not, and its error is raised here.

        Raises:
            Unavailable: too many are waiting, or the file cannot be written.
            Timeout: no answer within the bound; whether it was written is not known.
        """
        return await self._writer.run(work)

    async def maintain(self, work: Work[T]) -> T:
        """Run `work` on the connection that writes, outside of any transaction. Raises as `write` does."""
        return await self._writer.run(work, alone=True)

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a connection that only reads.

        Raises:
            Unavailable: too many are waiting, or the file cannot be read.
            Timeout: no answer within the bound.
        """
        return await self._readers.run(work)


@asynccontextmanager
async def open_database(path: Path) -> AsyncGenerator[Database]:
    """Open the file for as long as the context lasts; on leaving it, what was submitted is still done."""
    write_connection = await asyncio.to_thread(open_writer, path)
    read_connections = [await asyncio.to_thread(open_reader, path) for _ in range(READERS)]
    writer, readers = _Writer(write_connection), _Readers(read_connections)
    try:
        yield Database(writer, readers)
    finally:
        await readers.close()
        await writer.close()  # last, so that it is the one which empties the WAL into the file


class _Waiting:
    """Who waits for the outcome of a job, and for how long at most.

    Attributes:
        asked: jobs that no thread has yet. `hand_over` is called when the round of the loop is over that brought one.
    """

    def __init__(self, hand_over: Callable[[], None]) -> None:
        self.asked: list[_Job[object]] = []
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[_Job[object], None] = {}  # oldest first; touched on the event loop only
        self._watch: asyncio.TimerHandle | None = None

    def add(self, work: Work[T], *, alone: bool = False) -> _Job[T]:
        if len(self._jobs) >= WAITING:
            raise _busy()
        job = _Job(work, self._loop.create_future(), self._loop.time() + BOUND_SECONDS, alone)
        self._jobs[job] = None
        self._watch = self._watch or self._loop.call_later(BOUND_SECONDS, self._give_up)
        if not self.asked:
            self._loop.call_soon(self._hand_over)
        self.asked.append(job)
        return job

    def settle(self, jobs: list[_Job[object]], then: Callable[[], None] | None = None) -> None:
        """Give the jobs' outcomes to those who wait; called on a thread, once per group."""
        self._loop.call_soon_threadsafe(self._settle, jobs, then)

    def _settle(self, jobs: list[_Job[object]], then: Callable[[], None] | None) -> None:
        for job in jobs:
            self._jobs.pop(job, None)
            if job.future.done():
                continue  # the caller has gone
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)
        if then:
            then()

    def _give_up(self) -> None:
        """Tell those who have waited too long: one timer for all, since most waits take less than a millisecond."""
        now = self._loop.time()
        for job in [job for job in self._jobs if job.due <= now and not job.future.done()]:
            job.future.set_exception(Timeout("The store did not answer in time; try again.", code="timeout.store"))
        pending = next((job.due for job in self._jobs if job.due > now), None)
        self._watch = self._loop.call_at(pending, self._give_up) if pending else None


class _Writer:
    """One thread that writes, in groups."""

    def __init__(self, connection: Connection) -> None:
        self._waiting = _Waiting(self._hand_over)
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = _started("store-writer", _write_groups, connection, self._jobs, self._waiting)

    async def run(self, work: Work[T], *, alone: bool = False) -> T:
        if self._closed:
            raise _busy()
        return await self._waiting.add(work, alone=alone).future

    def _hand_over(self) -> None:
        for job in self._waiting.asked:
            self._jobs.put(job)
        self._waiting.asked.clear()

    async def close(self) -> None:
        self._closed = True
        self._hand_over()
        self._jobs.put(None)  # behind everything that was submitted
        await asyncio.to_thread(self._thread.join)


class _Readers:
    """A thread for each connection, with a queue of its own: of several that wait at one, each job would wake two."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._waiting = _Waiting(self._hand_over)
        self._idle: list[_Reads] = [queue.SimpleQueue() for _ in connections]
        self._closed = False
        self._threads = [
            (reads, _started("store-reader", _read_groups, connection, reads, self._done(reads)))
            for connection, reads in zip(connections, list(self._idle), strict=True)
        ]

    async def run(self, work: Work[T]) -> T:
        if self._closed:
            raise _busy()
        return await self._waiting.add(work).future

    def _hand_over(self) -> None:
        asked = self._waiting.asked
        while asked and self._idle:
            self._idle.pop().put(asked[:TOGETHER])
            del asked[:TOGETHER]

    def _done(self, reads: _Reads) -> Callable[[list[_Job[object]]], None]:
        def idle() -> None:
            self._idle.append(reads)
            self._hand_over()

        return lambda jobs: self._waiting.settle(jobs, idle)

    async def close(self) -> None:
        self._closed = True
        self._threads[0][0].put(self._waiting.asked[:])
        self._waiting.asked.clear()
        for reads, thread in self._threads:
            reads.put(None)
            await asyncio.to_thread(thread.join)


def _busy() -> Unavailable:
    return Unavailable("The store is busy; try again in a moment.", code="dependency.store", retry_after=1)


def _started(name: str, work: Callable[..., None], *args: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=args, name=name, daemon=True)
    thread.start()
    return thread


def _read_groups(connection: Connection, reads: _Reads, done: Callable[[list[_Job[object]]], None]) -> None:
    while (group := reads.get()) is not None:
        for job in group:
            _do(job, connection)
        done(group)
    connection.close()


def _write_groups(connection: Connection, jobs: queue.SimpleQueue[_Job[object] | None], waiting: "_Waiting") -> None:
    later: list[_Job[object]] = []  # one that must be alone, found while others were done
    while (first := later.pop() if later else jobs.get()) is not None:
        group = [first]
        try:
            if first.alone:
                _do(first, connection)
            else:
                _commit(connection, group, jobs, later)
        except apsw.Error as error:
            for job in group:
                job.error = job.error or as_ours(error)
        waiting.settle(group)
    connection.close()


def _commit(
    connection: Connection,
    group: list[_Job[object]],
    jobs: queue.SimpleQueue[_Job[object] | None],
    later: list[_Job[object]],
) -> None:
    """Do the group, and who comes until it is done, in one transaction: one wait for the disk, no outcome before."""
    with _transaction(connection):
        for job in group:
            connection.execute("SAVEPOINT job")
            _do(job, connection)
            if not connection.in_transaction:  # SQLite itself has given up, as it does when the disk is full
                raise apsw.FullError from job.error
            connection.execute("ROLLBACK TO job; RELEASE job" if job.error else "RELEASE job")
            if len(group) < GROUP and not later and (another := _waiting(jobs)):
                (later if another.alone else group).append(another)


def _waiting(jobs: queue.SimpleQueue[_Job[object] | None]) -> _Job[object] | None:
    """Return who waits already, if anybody does."""
    try:
        job = jobs.get_nowait()
    except queue.Empty:
        return None
    if job is None:
        jobs.put(None)  # the signal to end is for the next round
    return job


@contextmanager
def _transaction(connection: Connection) -> Generator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _do(job: _Job[object], connection: Connection) -> None:
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - raised to whoever awaits the job, as an executor does; the thread serves others
        job.error = as_ours(error)
