"""Which store a process uses: `MANDATE_STORE` is the path of a SQLite file, or the URL of a Cosmos DB account."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from control import Governance
from core import Clock
from data import Store
from data.sqlite import open_store
from mandate.settings import Settings
from web import make_credential


@asynccontextmanager
async def open_configured(
    settings: Settings, client_id: str, clock: Clock, governance: Governance
) -> AsyncGenerator[Store]:
    """Open the store that the settings name.

    Args:
        settings: of this process.
        client_id: of the managed identity that Azure lets in.
        clock: tells when content is written.
        governance: says for how long it stays.

    Raises:
        Unavailable: it cannot be reached or opened.
    """
    if "://" not in settings.store:
        async with open_store(Path(settings.store), clock=clock, retention=governance.retention) as store:
            yield store
        return
    from data.cosmos import Account, Containers
    from data.cosmos import open_store as open_cosmos

    async with await asyncio.to_thread(make_credential, client_id) as credential:
        account = Account(
            settings.store,
            credential,
            Containers.load(settings.root / "environments"),
            blobs=settings.blobs,
            regions=[region.strip() for region in settings.store_regions.split(",") if region.strip()],
            ca_file=str(settings.ca_file) if settings.ca_file else None,
        )
        async with open_cosmos(account, clock=clock, retention=governance.retention) as store:
            yield store
