"""The store on Azure Cosmos DB and Blob Storage, put together."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import PUBLISHER, Clock, ContentClass, SystemClock, TenantContext
from core.errors import Timeout, Unavailable
from data.cosmos.account import Account, open_blobs, open_database
from data.cosmos.calls import Calls
from data.cosmos.content import CosmosContentStore, Shelves
from data.cosmos.governed import CosmosGoverned, Decided
from data.cosmos.items import Items
from data.cosmos.knowledge import CosmosKnowledge
from data.cosmos.large import Blobs, Large, Pieces
from data.cosmos.log import CosmosRunLog, Heads
from data.cosmos.platform import CosmosPlatform
from data.cosmos.records import CosmosRecords
from data.cosmos.usage import Usage
from data.cosmos.views import CosmosViews

if TYPE_CHECKING:
    from azure.cosmos.aio import DatabaseProxy


@dataclass(frozen=True, slots=True)
class CosmosTenantData:
    context: TenantContext
    log: CosmosRunLog
    content: CosmosContentStore
    records: CosmosRecords
    knowledge: CosmosKnowledge
    views: CosmosViews


class CosmosStore:
    """See `data.ports.Store`.

    Attributes:
        usage: what the service was asked since the store was opened.
    """

    def __init__(
        self,
        database: "DatabaseProxy",
        account: Account,
        calls: Calls,
        usage: Usage,
        large: Large | None,
        clock: Clock,
        retention: Mapping[ContentClass, int],
    ) -> None:
        def items(name: str) -> Items:
            return Items(database.get_container_client(name), name, calls)

        content = items("content")
        self.usage = usage
        self._events, self._records, self._views = items("events"), items("records"), items("views")
        self._passages = items("passages")
        beside = large or Pieces(content)
        self._decided = Decided(self._records, clock, retention)
        self._shelves = Shelves(content, beside, self._decided)
        self._dimensions = account.containers.dimensions
        self._heads = Heads()
        self._clock = clock
        self._platform = CosmosPlatform(self._events, self._views, self._records)
        self._containers = {"events": self._events, "content": content, "records": self._records, "views": self._views}
        self._containers["passages"] = self._passages
        self._governed = CosmosGoverned(self._decided, self._containers, beside)

    async def begin(self) -> None:
        """Get ready for use, before anything else."""
        await asyncio.gather(*(items.begin() for items in self._containers.values()))

    def tenant(self, context: TenantContext) -> CosmosTenantData:
        content = CosmosContentStore(self._shelves, context, self._clock)
        return CosmosTenantData(
            context=context,
            log=CosmosRunLog(self._events, content, self._heads, context, self._decided, self._records),
            content=content,
            records=CosmosRecords(self._records, context.tenant, self._decided),
            knowledge=CosmosKnowledge(self._passages, context, self._dimensions, self._decided),
            views=CosmosViews(self._views, context),
        )

    @property
    def platform(self) -> CosmosPlatform:
        return self._platform

    @property
    def governed(self) -> CosmosGoverned:
        return self._governed

    async def ready(self) -> None:
        probe = {"id": "ready", "tenant": PUBLISHER, "kind": "ready"}
        try:
            await self._records.upsert((PUBLISHER, "ready"), probe)
            await self._records.read((PUBLISHER, "ready"), "ready")
        except Timeout as error:
            raise Unavailable(error.message, code="dependency.store", retry_after=1) from error


@asynccontextmanager
async def open_store(
    account: Account, *, clock: Clock | None = None, retention: Mapping[ContentClass, int] | None = None
) -> AsyncGenerator[CosmosStore]:
    """Open the store in an account. The credential stays the caller's to close.

    `retention` says for how many days content of a class stays; what it does not name stays until it is erased.

    Raises:
        Unavailable: the account cannot be reached, or does not let us in.
    """
    usage = Usage()
    calls = Calls(usage)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(account, calls))
        large = Blobs(await stack.enter_async_context(open_blobs(account, calls)), calls) if account.blobs else None
        store = CosmosStore(database, account, calls, usage, large, clock or SystemClock(), retention or {})
        await store.begin()
        yield store
