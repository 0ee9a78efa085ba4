"""The SQLite store, put together."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core import Clock, ContentClass, SystemClock, TenantContext
from core.errors import Timeout, Unavailable
from data.sqlite.connections import SCHEMA_VERSION
from data.sqlite.database import Database, open_database
from data.sqlite.governed import SqliteGoverned
from data.sqlite.knowledge import SqliteKnowledge
from data.sqlite.log import SqliteContentStore, SqliteRunLog
from data.sqlite.platform import SqlitePlatform
from data.sqlite.ranking import Indexes
from data.sqlite.records import SqliteRecords
from data.sqlite.views import SqliteViews
from data.store import Store


@dataclass(frozen=True, slots=True)
class SqliteTenantData:
    context: TenantContext
    log: SqliteRunLog
    content: SqliteContentStore
    records: SqliteRecords
    knowledge: SqliteKnowledge
    views: SqliteViews


class SqliteStore:
    def __init__(self, database: Database, clock: Clock, retention: Mapping[ContentClass, int]) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention
        self._indexes = Indexes()
        self._platform = SqlitePlatform(database)
        self._governed = SqliteGoverned(database, clock, self._indexes, retention)

    def tenant(self, context: TenantContext) -> SqliteTenantData:
        return SqliteTenantData(
            context=context,
            log=SqliteRunLog(self._database, context, self._clock),
            content=SqliteContentStore(self._database, context, self._clock, self._retention),
            records=SqliteRecords(self._database, context),
            knowledge=SqliteKnowledge(self._database, context, self._indexes, self._clock, self._retention),
            views=SqliteViews(self._database, context),
        )

    @property
    def platform(self) -> SqlitePlatform:
        return self._platform

    @property
    def governed(self) -> SqliteGoverned:
        return self._governed

    async def ready(self) -> None:
        try:
            await self._database.read(lambda connection: connection.pragma("user_version"))
            # Writes the number that is there already: nothing changes, yet it takes the lock and reaches the disk.
            await self._database.write(lambda connection: connection.pragma("user_version", SCHEMA_VERSION))
        except Timeout as error:
            raise Unavailable(error.message, code="dependency.store", retry_after=1) from error


@asynccontextmanager
async def open_store(
    path: Path, *, clock: Clock | None = None, retention: Mapping[ContentClass, int] | None = None
) -> AsyncGenerator[Store]:
    """Open the store in the file at `path`, which is made if it is not there; its folder must be.

    `retention` says for how many days content of a class stays; what it does not name stays until it is erased.

    Up to a few processes may have the same file open. On leaving the context everything submitted is on disk.

    Raises:
        Unavailable: the file cannot be opened, or another version of the product wrote it: nothing is changed in it.
    """
    async with open_database(path) as database:
        yield SqliteStore(database, clock or SystemClock(), retention or {})
