"""The control plane's marketplace over a real store and the emulator, without the services around it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from fastapi import Request
from store_samples import opened

from clocks import MovableClock
from control import (
    AccessLog,
    Acts,
    Amount,
    Caller,
    Capability,
    ControlServices,
    Desk,
    Directory,
    Entitlements,
    Erasures,
    Landings,
    Ledger,
    MarketplaceServices,
    Metering,
    Offered,
    Policies,
    SubscriptionRecord,
    Subscriptions,
    Switches,
    Terms,
    Unit,
    WebhookCallers,
    billed_subscriptions,
    create_app,
    load_offer,
)
from control.marketplace import Notice
from control.marketplace_api import MarketplaceApi
from core import Actor, PrincipalKind, RunId, new_id
from core.bodies import RunEnded
from core.parts import RunKind, RunState, Usage
from data import RunWriter, Store, TenantData
from data.sqlite import open_store
from emulators.marketplace import Catalogue
from marketplace_world import CATALOGUE, PUBLISHER_TOKEN, ROOT, Market, open_market
from web import InProcess

UNITS = {"completed_runs": Unit(name="completed_runs", runs=RunKind.TURN, title="Completed runs", says="Each.")}
OFFER = load_offer(ROOT / "environments" / "offer.yaml")
TERMS = Terms(["team", "business"], "team", "westeurope", "local", timedelta(days=7))


INCLUDED = {"team": 2, "business": 4}
"""Completed runs, by plan, as the offer has them in Partner Center and as we do."""


def small() -> Catalogue:
    """Return the marketplace's catalogue with so few runs in these plans; private ones have what was agreed."""
    plans = [
        plan.model_copy(update={"included": {"completed_runs": INCLUDED[plan.id]}}) if plan.id in INCLUDED else plan
        for plan in CATALOGUE.plans
    ]
    return CATALOGUE.model_copy(update={"plans": plans})


def offered(**included: int) -> dict[str, Offered]:
    """Return plans that have everything, and so many completed runs."""
    everything, models = frozenset(Capability), frozenset({"chat", "embed"})
    return {
        plan: Offered(everything, models, Amount(micros=10**9, tokens=10**9), {"completed_runs": units})
        for plan, units in included.items()
    }


async def use(data: TenantData, at: datetime, *, completed: bool = True) -> RunId:
    """Have a run that ended at a time."""
    actor = Actor(kind=PrincipalKind.AGENT, id=f"agt_{data.context.tenant[4:]}")
    writer = RunWriter(data, RunId(new_id("run")), actor=actor, clock=MovableClock(at))
    state = RunState.COMPLETED if completed else RunState.FAILED
    await writer.append([opened(), RunEnded(state=state, usage=Usage(model_calls=1))])
    return writer.run


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
    entitlements: Entitlements
    metering: Metering
    acts: Acts
    api: MarketplaceApi

    async def deliver(self, since: int = 0) -> int:
        """Take every webhook that came after the first `since`, do the work, and return how many there are."""
        received = self.market.told.received
        for webhook in received[since:]:
            await self.desk.take(Notice.model_validate(webhook))
        await self.desk.do_due()
        return len(received)

    def control(
        self, authenticate: Callable[[Request], Awaitable[Caller]], callers: WebhookCallers | None = None
    ) -> InProcess:
        """Return the control plane's own API, as those reach it whom `authenticate` and `callers` let in."""
        clock = self.market.clock
        services = ControlServices(
            store=self.store,
            directory=self.directory,
            policies=Policies(environment="", clock=clock),
            switches=Switches(self.store, clock, agents=[], tools=[]),
            access=AccessLog(self.store, clock, code="1"),
            erasures=self.erasures,
            entitlements=self.entitlements,
            units=UNITS,
            authenticate=authenticate,
            version="1",
            rings=lambda: ["general"],
            marketplace=MarketplaceServices(
                callers=callers or cast("WebhookCallers", None),
                desk=self.desk,
                landings=self.landings,
                subscriptions=self.subscriptions,
                metering=self.metering,
                acts=self.acts,
                offer=OFFER,
                marketplace=self.api,
            ),
        )
        return InProcess(create_app(services))

    async def known(self, subscription: str) -> SubscriptionRecord:
        found = await self.subscriptions.find(subscription)
        assert found
        return found


@asynccontextmanager
async def open_desk(folder: Path, page_size: int = 100, terms: Terms = TERMS) -> AsyncGenerator[DeskWorld]:
    """Open it; MANDATE_ENVIRONMENT must be `local`."""

    async def token() -> str:
        return PUBLISHER_TOKEN

    async with open_market(folder / "market", page_size, small()) as market, open_store(folder / "mandate.db") as store:
        api = MarketplaceApi(f"{market.base}/api", token, market.session)
        directory, erasures = Directory(store, market.clock), Erasures(store, market.clock)
        access = AccessLog(store, market.clock, code="1")
        subscriptions = Subscriptions(store, market.clock, api, directory, erasures, access, terms)
        desk = Desk(store, market.clock, api, subscriptions)
        landings = Landings(store, market.clock, api, subscriptions)
        acts = Acts(store, market.clock, api, subscriptions)
        entitlements = Entitlements(store, market.clock, offered(**INCLUDED))
        metering = Metering(
            store,
            market.clock,
            api,
            Ledger(store, UNITS),
            lambda: billed_subscriptions(subscriptions, entitlements, market.clock.now()),
        )
        offices = (subscriptions, desk, landings, entitlements, metering, acts)
        yield DeskWorld(folder, market, store, directory, erasures, *offices, api)
