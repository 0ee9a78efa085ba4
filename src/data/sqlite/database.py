"""The threads between the event loop and the file: one that writes, in groups, and a few that read.

A caller hands over a function of a connection and awaits what it returns. Nobody who reads waits for the writer.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import apsw

from core.errors import Timeout, Unavailable
from data.sqlite.connections import Connection, as_ours, open_reader, open_writer

GROUP = 256
"""Most submissions in one transaction."""

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


class Database:
    """Reads and writes of one file, from the event loop that opened it."""

    def __init__(self, writer: "_Threads", readers: "_Threads") -> None:
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
    writer = _Threads("store-writer", [write_connection], _write_groups)
    readers = _Threads("store-reader", read_connections, _read_one_by_one)
    try:
        yield Database(writer, readers)
    finally:
        await readers.close()
        await writer.close()  # last, so that it is the one which empties the WAL into the file


class _Threads:
    """One thread per connection, all taking jobs from one queue."""

    def __init__(
        self,
        name: str,
        connections: list[Connection],
        loop_body: Callable[[Connection, "_Threads"], None],
    ) -> None:
        self.jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[_Job[object], None] = {}  # oldest first; touched on the event loop only
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._threads = [
            threading.Thread(target=loop_body, args=(connection, self), name=name, daemon=True)
            for connection in connections
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Work[T], *, alone: bool = False) -> T:
        if self._closed or len(self._waiting) >= WAITING:
            raise Unavailable("The store is busy; try again in a moment.", code="dependency.store", retry_after=1)
        future: asyncio.Future[T] = self._loop.create_future()
        job = _Job(work, future, self._loop.time() + BOUND_SECONDS, alone)
        self._waiting[job] = None
        self._watch = self._watch or self._loop.call_later(BOUND_SECONDS, self._give_up)
        self.jobs.put(job)
        return await future

    def settle(self, jobs: list[_Job[object]]) -> None:
        """Give the jobs' outcomes to those who wait; called on a thread, once per group."""
        self._loop.call_soon_threadsafe(self._settle, jobs)

    def _settle(self, jobs: list[_Job[object]]) -> None:
        for job in jobs:
            self._waiting.pop(job, None)
            if job.future.done():
                continue  # the caller has gone
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)

    def _give_up(self) -> None:
        """Tell those who have waited too long: one timer for all, since most waits take less than a millisecond."""
        now = self._loop.time()
        for job in [job for job in self._waiting if job.due <= now and not job.future.done()]:
            job.future.set_exception(Timeout("The store did not answer in time; try again.", code="timeout.store"))
        pending = next((job.due for job in self._waiting if job.due > now), None)
        self._watch = self._loop.call_at(pending, self._give_up) if pending else None

    async def close(self) -> None:
        self._closed = True
        for _ in self._threads:
            self.jobs.put(None)  # behind everything that was submitted
        for thread in self._threads:
            await asyncio.to_thread(thread.join)


def _read_one_by_one(connection: Connection, threads: _Threads) -> None:
    while (job := threads.jobs.get()) is not None:
        _do(job, connection)
        threads.settle([job])
    connection.close()


def _write_groups(connection: Connection, threads: _Threads) -> None:
    later: list[_Job[object]] = []  # one that must be alone, found while others were done
    while (first := later.pop() if later else threads.jobs.get()) is not None:
        group = [first]
        try:
            if first.alone:
                _do(first, connection)
            else:
                _commit(connection, group, threads.jobs, later)
        except apsw.Error as error:
            for job in group:
                job.error = job.error or as_ours(error)
        threads.settle(group)
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
    except Exception as error:  # noqa: BLE001 - the thread must outlive any fault of a job; the job's caller gets it raised
        job.error = as_ours(error)
