"""The control plane's marketplace over a real store and the emulator, without the services around it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from control import AccessLog, Desk, Directory, Erasures, Landings, SubscriptionRecord, Subscriptions, Terms
from control.marketplace import Notice
from control.marketplace_api import MarketplaceApi
from data import Store
from data.sqlite import open_store
from marketplace_world import PUBLISHER_TOKEN, Market, open_market

TERMS = Terms(["team", "business"], "team", "westeurope", "local", timedelta(days=7))


@dataclass
class DeskWorld:
    folder: Path
    market: Market
    store: Store
    directory: Directory
    erasures: Erasures
    subscriptions: Subscriptions
    desk: Desk
    landings: Landings

    async def deliver(self, since: int = 0) -> int:
        """Take every webhook that came after the first `since`, do the work, and return how many there are."""
        received = self.market.told.received
        for webhook in received[since:]:
            await self.desk.take(Notice.model_validate(webhook))
        await self.desk.do_due()
        return len(received)

    async def known(self, subscription: str) -> SubscriptionRecord:
        found = await self.subscriptions.find(subscription)
        assert found
        return found


@asynccontextmanager
async def open_desk(folder: Path, page_size: int = 100) -> AsyncGenerator[DeskWorld]:
    """Open it; MANDATE_ENVIRONMENT must be `local`."""

    async def token() -> str:
        return PUBLISHER_TOKEN

    async with open_market(folder / "market", page_size) as market, open_store(folder / "mandate.db") as store:
        api = MarketplaceApi(f"{market.base}/api", token, market.session)
        directory, erasures = Directory(store, market.clock), Erasures(store, market.clock)
        access = AccessLog(store, market.clock, code="1")
        subscriptions = Subscriptions(store, market.clock, api, directory, erasures, access, TERMS)
        desk = Desk(store, market.clock, api, subscriptions)
        landings = Landings(store, market.clock, api, subscriptions)
        yield DeskWorld(folder, market, store, directory, erasures, subscriptions, desk, landings)
