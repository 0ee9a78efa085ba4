"""The file: one thread that writes, in groups and durable before anybody is answered, and a few that read."""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import apsw

_SCHEMA = """
CREATE TABLE databases (id TEXT PRIMARY KEY, rid TEXT NOT NULL, etag TEXT NOT NULL, ts INTEGER NOT NULL) STRICT;
CREATE TABLE containers (
  key INTEGER PRIMARY KEY,
  database TEXT NOT NULL REFERENCES databases (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  throughput TEXT NOT NULL,
  lsn INTEGER NOT NULL DEFAULT 1,
  UNIQUE (database, id)
) STRICT;
CREATE TABLE ranges (
  container INTEGER NOT NULL REFERENCES containers (key) ON DELETE CASCADE,
  id INTEGER NOT NULL,
  low TEXT NOT NULL,
  high TEXT NOT NULL,
  parents TEXT NOT NULL,
  PRIMARY KEY (container, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE items (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  container INTEGER NOT NULL REFERENCES containers (key) ON DELETE CASCADE,
  epk TEXT NOT NULL,
  id TEXT NOT NULL,
  etag TEXT NOT NULL,
  lsn INTEGER NOT NULL,
  ts INTEGER NOT NULL,
  expires INTEGER,
  body TEXT NOT NULL,
  UNIQUE (container, epk, id)
) STRICT;
CREATE INDEX items_scope ON items (container, epk, key);
CREATE INDEX items_feed ON items (container, lsn, key);
CREATE INDEX items_expiry ON items (expires) WHERE expires IS NOT NULL;
CREATE TABLE unique_values (
  container INTEGER NOT NULL,
  epk TEXT NOT NULL,
  number INTEGER NOT NULL,
  value TEXT NOT NULL,
  item INTEGER NOT NULL REFERENCES items (key) ON DELETE CASCADE,
  PRIMARY KEY (container, epk, number, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX unique_values_item ON unique_values (item);
CREATE TABLE vectors (
  item INTEGER NOT NULL REFERENCES items (key) ON DELETE CASCADE,
  path TEXT NOT NULL,
  data BLOB NOT NULL, -- float32, little-endian
  PRIMARY KEY (item, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE texts (
  item INTEGER NOT NULL REFERENCES items (key) ON DELETE CASCADE,
  path TEXT NOT NULL,
  length INTEGER NOT NULL, -- in words
  PRIMARY KEY (item, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE postings (
  container INTEGER NOT NULL,
  path TEXT NOT NULL,
  word TEXT NOT NULL,
  epk TEXT NOT NULL,
  item INTEGER NOT NULL REFERENCES items (key) ON DELETE CASCADE,
  times INTEGER NOT NULL,
  PRIMARY KEY (container, path, word, epk, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX postings_item ON postings (item);
"""
_FORMAT = 1
_GROUP = 256
_READERS = 2
_BUSY_MS = 5_000

SqlValue: TypeAlias = "int | float | bytes | str | None"
T = TypeVar("T")


class Cursor(Protocol):
    """Rows are tuples of what the SQL names; only whoever wrote the SQL knows their types."""

    def fetchone(self) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What we use of `apsw.Connection`, whose own types need Python 3.12."""

    def execute(self, statements: str, bindings: Sequence[SqlValue] | None = None, /) -> Cursor: ...
    def last_insert_rowid(self) -> int: ...
    def close(self) -> None: ...


Work = Callable[[Connection], T]


@dataclass(slots=True)
class _Job:
    work: Work[object]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[object]"
    result: object = None
    error: Exception | None = None


class Database:
    """Reads and writes of one file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writes: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        writer = _open(path)
        _make_schema(writer)
        self._threads = [threading.Thread(target=_write_groups, args=(writer, self._writes), daemon=True)]
        self._threads += [
            threading.Thread(target=_read_one_by_one, args=(_open(path), self._reads), daemon=True)
            for _ in range(_READERS)
        ]
        for thread in self._threads:
            thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a savepoint of a transaction that others may share; it is on disk when this returns.

        What `work` did is undone if it raises, and its error is raised here.
        """
        return await self._submit(self._writes, work)

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one snapshot."""
        return await self._submit(self._reads, work)

    async def _submit(self, jobs: "queue.SimpleQueue[_Job | None]", work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        jobs.put(_Job(work, loop, cast("asyncio.Future[object]", future)))
        return await future

    def close(self) -> None:
        """Do what was submitted, then close the file, in which nothing is left of what was deleted."""
        self._writes.put(None)
        for _ in range(_READERS):
            self._reads.put(None)
        for thread in self._threads:
            thread.join()


def _open(path: Path) -> Connection:
    connection = cast("Connection", apsw.Connection(str(path)))
    for name, value in {
        "busy_timeout": _BUSY_MS,
        "journal_mode": "WAL",
        "synchronous": "FULL",
        "foreign_keys": "ON",
        "secure_delete": "ON",  # what is deleted is overwritten, so that erasure can be looked for in the file
        "cache_size": -32_768,  # in KiB
    }.items():
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


def _make_schema(connection: Connection) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == 0:
        connection.execute(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT")
    elif found != _FORMAT:
        raise RuntimeError(f"The file has format {found} and this emulator knows {_FORMAT}: remove the file.")


def _read_one_by_one(connection: Connection, jobs: "queue.SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        connection.execute("BEGIN")
        _do(job, connection)
        connection.execute("ROLLBACK")
        _settle([job])
    connection.close()


def _write_groups(connection: Connection, jobs: "queue.SimpleQueue[_Job | None]") -> None:
    while (first := jobs.get()) is not None:
        group = [first]
        try:
            _commit(connection, group, jobs)
        except apsw.Error as error:
            connection.execute("ROLLBACK")
            for job in group:
                job.error = job.error or error
        _settle(group)
    connection.execute("VACUUM")  # pages whose content has moved keep it, whatever `secure_delete` says
    connection.close()


def _commit(connection: Connection, group: list[_Job], jobs: "queue.SimpleQueue[_Job | None]") -> None:
    """Do the group, and who comes until it is done, in one transaction: one wait for the disk."""
    connection.execute("BEGIN IMMEDIATE")
    for job in group:
        connection.execute("SAVEPOINT job")
        _do(job, connection)
        connection.execute("ROLLBACK TO job; RELEASE job" if job.error else "RELEASE job")
        if len(group) < _GROUP and (another := _waiting(jobs)):
            group.append(another)
    connection.execute("COMMIT")


def _waiting(jobs: "queue.SimpleQueue[_Job | None]") -> _Job | None:
    try:
        job = jobs.get_nowait()
    except queue.Empty:
        return None
    if job is None:
        jobs.put(None)  # the signal to end is for the next round
    return job


def _do(job: _Job, connection: Connection) -> None:
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - raised to whoever awaits the job, as an executor does; the thread serves others
        job.error = error


def _settle(jobs: list[_Job]) -> None:
    """Give the outcomes to those who wait; called on a thread."""
    for loop in {job.loop for job in jobs}:
        loop.call_soon_threadsafe(_tell, [job for job in jobs if job.loop is loop])


def _tell(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue  # the caller has gone
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
