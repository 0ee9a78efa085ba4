"""Whatever is told, how often, in whatever order, lost, or cut short by our death: we end where the marketplace is.

And every unit that is used beyond those that are included is billed once.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, cast

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from marketplace_desk_world import INCLUDED, TERMS, UNITS, offered, use

from clocks import MovableClock
from control import (
    AccessLog,
    Desk,
    Directory,
    Entitlements,
    Erasures,
    Ledger,
    Metering,
    Subscriptions,
    billed_subscriptions,
    contexts,
)
from control.marketplace import (
    AvailablePlan,
    MeterFigures,
    Notice,
    Operation,
    Reported,
    Subscription,
    SubscriptionPage,
    UsageAnswer,
    UsageEvent,
    figures,
    runs_of,
)
from control.marketplace.states import TENANT_STATUS
from core import TenantId
from core.errors import Conflict, MandateError, NotFound, Unavailable
from data import Store
from data.sqlite import open_store
from emulators.marketplace import metering
from emulators.marketplace.book import State
from emulators.marketplace.fulfillment import Fulfillment
from marketplace_world import CATALOGUE, INES, START

PAT = "pat@personal.example"
Fate = Literal["fine", "down", "lost", "dies", "dies after"]
UNIT = "completed_runs"
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

    async def change(self, subscription: str, *, plan: str | None = None, quantity: int | None = None) -> None:
        self.rules.change(subscription, plan=plan, quantity=quantity, source="Partner")

    async def pending(self, subscription: str) -> tuple[Operation, ...]:
        raise NotFound(subscription)

    async def available(self, subscription: str, plan: str) -> tuple[AvailablePlan, ...]:
        self._after(self._before())
        return (AvailablePlan(plan_id=plan),) if subscription else ()

    async def emit(self, events: Sequence[UsageEvent]) -> Sequence[UsageAnswer | None]:
        fate = self._before()
        meter, said = metering.Metering(self.state, CATALOGUE, self.clock.now()), list[UsageAnswer]()
        for event in events:
            sent = metering.UsageEvent.model_validate(
                {
                    "resourceId": event.resource.id,
                    "quantity": event.quantity,
                    "dimension": event.dimension,
                    "effectiveStartTime": event.hour,
                    "planId": event.plan,
                }
            )
            said.append(UsageAnswer.model_validate(metering.item(sent, *meter.take(sent))))
        await asyncio.sleep(0)
        self._after(fate)
        return said

    async def reported(self, since: str) -> Sequence[Reported]:
        self._after(self._before())
        return [Reported.model_validate(line) for line in metering.report(self.state.usage, since)]

    def billed(self, subscription: str) -> int:
        return sum(int(line.quantity) for line in self.state.usage if line.resource_id == subscription)

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
    used: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def start(self) -> Desk:
        clock = self.truth.clock
        directory, erasures = Mortal(self.store, self.truth), Erasures(self.store, clock)
        access = AccessLog(self.store, clock, code="1")
        self.directory = directory
        self.subscriptions = Subscriptions(self.store, clock, self.truth, directory, erasures, access, TERMS)
        self.metering = self.meter()
        return Desk(self.store, clock, self.truth, self.subscriptions)

    def meter(self) -> Metering:
        """Return a process that bills; there may be others."""
        entitlements = Entitlements(self.store, self.truth.clock, offered(**INCLUDED))
        subscriptions, ledger = self.subscriptions, Ledger(self.store, UNITS)
        return Metering(
            self.store,
            self.truth.clock,
            self.truth,
            ledger,
            lambda: billed_subscriptions(subscriptions, entitlements, self.truth.clock.now()),
        )

    async def use(self, what: str, which: int) -> None:
        """Have a run of a tenant's end, where both sides know it as active; one that is late ended an hour ago."""
        ids = list(self.truth.state.subscriptions)
        bought = self.truth.rules.get(ids[which % len(ids)])
        known = await self.subscriptions.find(bought.id)
        if not known or (known.status, known.onboarding, bought.saas_subscription_status) != (
            *("Subscribed", "done"),
            "Subscribed",
        ):
            return
        at = self.truth.clock.now()
        began = datetime.fromisoformat(known.term_start)
        if what == "late":
            at = max(min(at, began), at - timedelta(hours=1))
        data = self.store.tenant(contexts.from_meter(known.tenant))
        run = await use(data, at, completed=what != "failed")
        if what != "failed":
            self.used.setdefault(bought.id, set()).add(run)


fates = st.sampled_from(["fine", "down", "lost", "dies", "dies after"])
steps = st.one_of(
    st.tuples(st.just("do"), st.sampled_from(ACTS), st.integers(0, 1)),
    st.tuples(st.just("tell"), st.integers(0, 50), st.integers(1, 3)),
    st.tuples(st.just("work"), st.lists(fates, max_size=5), st.just(0)),
    st.tuples(st.just("reconcile"), st.lists(fates, max_size=5), st.just(0)),
    st.tuples(st.just("use"), st.sampled_from(["one", "one", "one", "failed", "late"]), st.integers(0, 1)),
    st.tuples(st.just("use"), st.sampled_from(["one", "one", "one", "failed", "late"]), st.integers(0, 1)),
    st.tuples(st.just("meter"), st.lists(fates, max_size=2), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([10, 60, 60, 180, 1500]), st.just(0)),
)
EARLY = [("do", "activate", 0), ("reconcile", list[Fate](), 0), ("do", "renew", 0), ("use", "one", 0)]
"""The next term is there before anybody has looked at the one that goes on."""
BEYOND = [("do", "activate", 0), ("reconcile", list[Fate](), 0), *[("use", "one", 0)] * 3]
"""One more than what is included, in the hour in which the term begins."""

begin = st.just([("do", "activate", 0), ("reconcile", list[Fate](), 0)])


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
                await _step(ours, desk, kind, what, number)
            except Died:
                desk = ours.start()
            except MandateError:
                pass
            truth.script = []
        clock.time += timedelta(hours=1)
        await desk.do_due()
        await desk.reconcile()
        await _agree(truth, ours)
        for hours in (1, 1, 1, 25, 1, 25, 1, 1):
            await ours.metering.look()
            clock.time += timedelta(hours=hours)
        await _billed_once(truth, ours)


async def _step(ours: Ours, desk: Desk, kind: str, what: object, number: int) -> None:
    truth = ours.truth
    match kind, what:
        case "do", str():
            truth.do(what, number)
        case "tell", int() if truth.state.operations:
            await _tell(truth, desk, what, number)
        case "work", list():
            truth.script = cast("list[Fate]", what)
            await desk.do_due()
        case "use", str():
            await ours.use(what, number)
        case "wait", int():
            truth.clock.time += timedelta(minutes=what)
        case "meter", list():
            truth.script = cast("list[Fate]", what)
            await _meter(ours, number)
        case "reconcile", list():
            truth.script = cast("list[Fate]", what)
            await desk.reconcile()
        case _:
            pass


async def _tell(truth: Truth, desk: Desk, which: int, times: int) -> None:
    told = list(truth.state.operations.values())[which % len(truth.state.operations)]
    for _ in range(times):
        await desk.take(Notice(id=told.id, subscription_id=told.subscription_id, action=told.action))


async def _meter(ours: Ours, number: int) -> None:
    """Have one process look, or two at once."""
    processes = [ours.metering, ours.meter()] if number == 0 else [ours.metering]
    looks = [process.look(now_too=number == 1) for process in processes]
    for failed in await asyncio.gather(*looks, return_exceptions=True):
        if isinstance(failed, BaseException):
            raise failed


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


async def _billed_once(truth: Truth, ours: Ours) -> None:
    """What the marketplace took is what was used beyond what is included, run by run."""
    now = truth.clock.now()
    for meter in await figures(ours.metering, START.replace(minute=0), now):
        used, bought = ours.used.get(meter.resource, set[str]()), truth.rules.get(meter.resource)
        over, billed = sum(term.over for term in meter.terms), truth.billed(meter.resource)
        assert sum(term.used for term in meter.terms) == len(used)
        assert sum(term.accepted for term in meter.terms) == billed
        lost, owed = sum(term.lost for term in meter.terms), sum(term.owed for term in meter.terms)
        match bought.saas_subscription_status:
            case "Subscribed":
                assert (billed, lost, owed) == (over, 0, 0)
            case "Suspended":
                assert (billed + owed, lost) == (over, 0)
            case _:
                assert (billed + lost, owed) == (over, 0)
                ended = truth.state.ended_at[meter.resource]
                assert not lost or now.timestamp() - ended > LOST_AFTER
        assert await _runs(ours, meter) <= used
        assert len(await _runs(ours, meter)) == billed


LOST_AFTER = timedelta(hours=24 + 58).total_seconds()
"""The walk's own end takes 58 hours; only what ended a day before it can have had no look in time."""


async def _runs(ours: Ours, meter: MeterFigures) -> set[str]:
    """Return the runs of all that was billed; that none is in two events is checked here."""
    found: list[str] = []
    for hour in meter.hours:
        if hour.accepted:
            found += [run.run for run in await runs_of(ours.metering, meter.resource, meter.unit, hour.hour)]
    assert len(found) == len(set(found))
    return set(found)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(begin, st.lists(steps, max_size=25)).map(lambda parts: [*parts[0], *parts[1]]))
@example([*EARLY])
@example([*BEYOND])
def test_we_end_where_the_marketplace_is(taken: list[tuple[str, object, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_walk(Path(folder), taken))
