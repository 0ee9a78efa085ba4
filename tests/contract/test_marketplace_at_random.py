"""Whatever is told, how often, in whatever order, lost, or cut short by our death: we end where the marketplace is."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marketplace_desk_world import TERMS

from clocks import MovableClock
from control import AccessLog, Desk, Directory, Erasures, Subscriptions
from control.marketplace import Notice, Operation, Subscription, SubscriptionPage
from control.marketplace.states import TENANT_STATUS
from core import TenantId
from core.errors import Conflict, MandateError, NotFound, Unavailable
from data import Store
from data.sqlite import open_store
from emulators.marketplace.book import State
from emulators.marketplace.fulfillment import Fulfillment
from marketplace_world import CATALOGUE, INES, START

PAT = "pat@personal.example"
Fate = Literal["fine", "down", "lost", "dies", "dies after"]
ACTS = ("activate", "plan", "suspend", "reinstate", "renew", "cancel", "settle")


class Died(Exception):
    """The process ends here, in the middle of what it does."""


@dataclass
class Truth:
    """The marketplace by the emulator's own rules, in memory; `script` says what becomes of the next calls."""

    state: State
    clock: MovableClock
    script: list[Fate] = field(default_factory=list["Fate"])

    @property
    def rules(self) -> Fulfillment:
        return Fulfillment(self.state, CATALOGUE, self.clock.now())

    def _before(self) -> str:
        fate = self.script.pop() if self.script else "fine"
        if fate == "down":
            raise Unavailable("Down.")
        if fate == "dies":
            raise Died
        return fate

    def _after(self, fate: str) -> None:
        if fate == "lost":
            raise Unavailable("Lost.")
        if fate == "dies after":
            raise Died

    async def resolve(self, token: str) -> Subscription:
        raise NotFound(token)

    async def subscription(self, subscription: str) -> Subscription:
        fate = self._before()
        found = self.rules.get(subscription).model_dump(by_alias=True)
        await asyncio.sleep(0)
        self._after(fate)
        return Subscription.model_validate(found)

    async def page(self, link: str = "") -> SubscriptionPage:
        assert not link
        self._after(self._before())
        said = [Subscription.model_validate(s.model_dump(by_alias=True)) for s in self.state.subscriptions.values()]
        return SubscriptionPage(subscriptions=tuple(said))

    async def operation(self, subscription: str, operation: str) -> Operation:
        self._after(self._before())
        return Operation.model_validate(self.rules.operation(subscription, operation).model_dump(by_alias=True))

    async def activate(self, subscription: str, plan: str, quantity: int | None) -> None:
        self.rules.activate(subscription, plan, quantity)

    async def acknowledge(self, subscription: str, operation: str, status: Literal["Success", "Failure"]) -> None:
        fate = self._before()
        try:
            self.rules.acknowledge(subscription, operation, status)
        except MandateError:
            raise Conflict("Settled.") from None
        self._after(fate)

    def do(self, act: str, which: int) -> None:
        """Do something as the customer, where it is possible now."""
        ids = list(self.state.subscriptions)
        one, rules = ids[which % len(ids)], self.rules
        found = rules.get(one)
        try:
            match act:
                case "activate":
                    rules.activate(one, found.plan_id, found.quantity)
                case "plan":
                    rules.change(one, plan="business" if found.plan_id == "team" else "team", source="Azure")
                case "settle":
                    for operation in self.state.operations.values():
                        if operation.status == "InProgress":
                            rules.settle(operation, accepted=True)
                case "cancel":
                    rules.cancel(one, "Azure")
                case "suspend":
                    rules.suspend(one)
                case "reinstate":
                    rules.reinstate(one)
                case _:
                    rules.renew(one)
        except MandateError:
            return


class Mortal(Directory):
    """Dies before it tells a tenant what its subscription is, where the script has that next."""

    def __init__(self, store: Store, truth: Truth) -> None:
        super().__init__(store, truth.clock)
        self._truth = truth

    async def update(self, tenant: TenantId, *, plan: str, status: Literal["active", "suspended", "closed"]) -> None:
        if self._truth.script and self._truth.script.pop() == "dies":
            raise Died
        await super().update(tenant, plan=plan, status=status)


@dataclass
class Ours:
    """Our process: what is on disk stays when it dies."""

    store: Store
    truth: Truth

    def start(self) -> Desk:
        clock = self.truth.clock
        directory, erasures = Mortal(self.store, self.truth), Erasures(self.store, clock)
        access = AccessLog(self.store, clock, code="1")
        self.directory = directory
        self.subscriptions = Subscriptions(self.store, clock, self.truth, directory, erasures, access, TERMS)
        return Desk(self.store, clock, self.truth, self.subscriptions)


fates = st.sampled_from(["fine", "down", "lost", "dies", "dies after"])
steps = st.one_of(
    st.tuples(st.just("do"), st.sampled_from(ACTS), st.integers(0, 1)),
    st.tuples(st.just("tell"), st.integers(0, 50), st.integers(1, 3)),
    st.tuples(st.just("work"), st.lists(fates, max_size=5), st.just(0)),
    st.tuples(st.just("reconcile"), st.lists(fates, max_size=5), st.just(0)),
)


async def _walk(folder: Path, taken: list[tuple[str, object, int]]) -> None:
    clock = MovableClock(START)
    truth = Truth(State(), clock)
    for username in (INES, PAT):
        buyer, plan = CATALOGUE.buyer(username), CATALOGUE.plan("team")
        assert buyer
        assert plan
        truth.rules.buy(buyer, buyer, plan, name="One", quantity=None)
    async with open_store(folder / "mandate.db") as store:
        ours = Ours(store, truth)
        desk = ours.start()
        for kind, what, number in taken:
            try:
                await _step(truth, desk, kind, what, number)
            except Died:
                desk = ours.start()
            except MandateError:
                pass
            truth.script = []
        clock.time += timedelta(hours=1)
        await desk.do_due()
        await desk.reconcile()
        await _agree(truth, ours)


async def _step(truth: Truth, desk: Desk, kind: str, what: object, number: int) -> None:
    match kind, what:
        case "do", str():
            truth.do(what, number)
        case "tell", int() if truth.state.operations:
            told = list(truth.state.operations.values())[what % len(truth.state.operations)]
            for _ in range(number):
                await desk.take(Notice(id=told.id, subscription_id=told.subscription_id, action=told.action))
        case "work", list():
            truth.script = cast("list[Fate]", what)
            await desk.do_due()
        case "reconcile", list():
            truth.script = cast("list[Fate]", what)
            await desk.reconcile()
        case _:
            pass


async def _agree(truth: Truth, ours: Ours) -> None:
    tenants = {found.value.id: found.value for found in (await ours.directory.tenants()).items}
    for wanted in truth.state.subscriptions.values():
        known = await ours.subscriptions.find(wanted.id)
        assert known
        assert (known.status, known.plan, known.term_end) == (
            wanted.saas_subscription_status,
            wanted.plan_id,
            wanted.term.end_date or "",
        )
        if known.status in ("Subscribed", "Suspended") and known.onboarding != "none":
            assert known.onboarding == "done"
        if known.status == "Subscribed":
            assert known.onboarding == "done"
        if known.onboarding == "done":
            tenant = tenants.pop(known.tenant)
            assert (tenant.status, tenant.plan) == (TENANT_STATUS[known.status], known.base_plan)
    assert tenants == {}, "there are tenants of no subscription"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=25))
def test_we_end_where_the_marketplace_is(taken: list[tuple[str, object, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_walk(Path(folder), taken))
