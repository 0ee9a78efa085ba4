"""The door to a database: `tenant` gives the only handle through which a tenant's data is reached.

`platform` and `governed` are the few things that by their nature have no tenant who asks: what is written from the
change feed, runs to be carried on, what is erased, held and expires.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from core import TenantContext
from data.governed import Governed
from data.platform import Platform
from data.ports import TenantData


class Store(Protocol):
    def tenant(self, context: TenantContext) -> TenantData: ...

    @property
    def platform(self) -> Platform: ...

    @property
    def governed(self) -> Governed: ...

    async def ready(self) -> None:
        """Raise `Unavailable` unless reads and writes work."""
        ...


OpenStore = AbstractAsyncContextManager[Store]
