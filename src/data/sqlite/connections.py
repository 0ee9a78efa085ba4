"""Connections to the one file, and the schema that all of them expect."""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, LiteralString, Protocol, cast

import apsw

from core.errors import Defect, Unavailable

SCHEMA_VERSION = 4
BUSY_MS = 5_000
_SCHEMA = Path(__file__).with_name("schema.sql")
_OUTSIDE = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
)


Value = str | int | bytes | None


class Cursor(Protocol):
    """Rows are tuples of what the SQL names; only whoever wrote the SQL knows their types."""

    def fetchone(self) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(AbstractContextManager[object, None], Protocol):
    """What we use of `apsw.Connection`, whose own types need Python 3.12; as a context, one snapshot or savepoint.

    A statement is a `LiteralString`: the type checker refuses any that holds a value, which has to be bound.
    """

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, statements: LiteralString, bindings: Sequence[Value] | None = None, /) -> Cursor: ...
    def executemany(self, statements: LiteralString, bindings: Sequence[Sequence[Value]], /) -> Cursor: ...
    def pragma(self, name: str, value: Value = None, /) -> Any: ...
    def changes(self) -> int: ...
    def last_insert_rowid(self) -> int: ...
    def close(self) -> None: ...


def open_writer(path: Path) -> Connection:
    """Open the connection that writes, and make the schema in a new file.

    Raises:
        Unavailable: the file cannot be written, or another version of the product wrote it: nothing is changed in it.
    """
    with translated():
        path.touch(mode=0o600)
        connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        _keep_a_log(connection)
        for name, value in {
            "synchronous": "FULL",
            "fullfsync": True,  # macOS: a plain fsync stops at the drive's cache
            "secure_delete": True,  # what is erased is overwritten, not only unlinked
            "temp_store": "MEMORY",  # what a savepoint may undo never reaches a file
            "journal_size_limit": 64 * 1024 * 1024,
            "wal_autocheckpoint": 10_000,  # pages; every checkpoint makes one writer wait for two more syncs
        }.items():
            connection.pragma(name, value)
        _make_schema(connection)
        return connection


def open_reader(path: Path) -> Connection:
    """Open a connection that cannot write; `open_writer` must have been called before."""
    with translated():
        return _open(path, apsw.SQLITE_OPEN_READONLY)


def _open(path: Path, flags: int) -> Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(BUSY_MS)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # else statements are planned anew for what is bound to them
    return cast("Connection", connection)


def _keep_a_log(connection: Connection) -> None:
    """Have the file keep a write-ahead log: for that alone SQLite does not wait for another process that opens it."""
    end = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.pragma("journal_mode", "WAL")
        except apsw.BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _make_schema(connection: Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # other processes may be starting on the same new file
    version: int = connection.pragma("user_version")
    if version not in (0, SCHEMA_VERSION):
        connection.close()
        raise Unavailable(
            f"The data file has format {version} and this program knows {SCHEMA_VERSION}: "
            "start the version that wrote it, or choose another data folder.",
            code="dependency.store_format",
        )
    if version == 0:
        connection.execute(cast("LiteralString", _SCHEMA.read_text("utf-8")))  # a file of the program's own
        connection.pragma("user_version", SCHEMA_VERSION)
    connection.execute("COMMIT")


@contextmanager
def translated() -> Generator[None]:
    """Turn what SQLite and the file system raise into our own errors."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise as_ours(error) from error


def as_ours(error: Exception) -> Exception:
    """Return our error, with the cause attached, for one of SQLite's; anything else as it is."""
    if isinstance(error, (*_OUTSIDE, OSError)):
        message = "The data file cannot be used at the moment; try again shortly."
        ours = Unavailable(message, code="dependency.store", retry_after=1)
    elif isinstance(error, apsw.Error):
        ours = Defect("The store was asked something that it cannot do.", code="defect.store")
    else:
        return error
    ours.__cause__ = error
    return ours
