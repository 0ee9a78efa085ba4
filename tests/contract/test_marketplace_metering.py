"""What is used beyond what is included is billed once, and what the marketplace says of it is understood."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from fastapi import Request
from marketplace_desk_world import UNITS, DeskWorld, open_desk, use
from store_samples import member

from control import (
    ADMIN_ROLE,
    Caller,
    Ledger,
    Metering,
    ServiceCaller,
    Switches,
    contexts,
)
from control.entitlements import OverrideRecord
from control.marketplace import Billed, MeterFigures, Resource, figures, runs_of
from control.marketplace import metering_account as account
from control.marketplace.metering_records import Emission, MeterRecord, Term
from control.marketplace.shapes import AvailablePlan
from core import RunId, TenantId, new_id, timestamp
from core.errors import Unavailable
from emulators.marketplace import Faults
from emulators.marketplace.catalogue import Buyer
from marketplace_world import CATALOGUE, ROOT, START
from web import InProcess, PeerRequest

INES, UMA = (buyer.users[0] for buyer in CATALOGUE.buyers[:2])
UNIT = "completed_runs"
DAY = START.strftime("%Y-%m-%d")


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeskWorld]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with open_desk(tmp_path) as opened:
        yield opened


async def begun(world: DeskWorld, plan: str = "team", user: Buyer = INES) -> str:
    subscription = await world.market.buy(plan, beneficiary=user.username)
    tid = next(buyer.tid for buyer in CATALOGUE.buyers if user in buyer.users)
    secret = await world.landings.land(await world.market.token(subscription), tid, user.object_id)
    await world.landings.activate(secret)
    return subscription


async def used(world: DeskWorld, subscription: str, count: int) -> list[RunId]:
    """Have runs that end now; two are included."""
    data = world.store.tenant(member((await world.known(subscription)).tenant))
    return [await use(data, world.market.clock.now()) for _ in range(count)]


async def billed(world: DeskWorld, subscription: str) -> list[tuple[str, int]]:
    """Return what the marketplace itself reports: days and units."""
    _, lines = await world.market.call("GET", "/usageEvents?usageStartDate=2026-11-01")
    return [
        (line["usageDate"][:10], line["processedQuantity"]) for line in lines if line["usageResourceId"] == subscription
    ]


async def told(world: DeskWorld) -> MeterFigures:
    (meter,) = await figures(world.metering, START - timedelta(days=1), world.market.clock.now() + timedelta(hours=1))
    return meter


async def test_only_what_is_beyond_is_billed_once_the_hour_is_over_and_each_unit_is_a_run(world: DeskWorld) -> None:
    subscription = await begun(world)
    runs = await used(world, subscription, 5)
    assert await world.metering.look() == 0, "the hour is not over"
    world.market.later(hours=1)
    assert await world.metering.look() == 1
    assert await world.metering.look() == 0
    assert await billed(world, subscription) == [(DAY, 3)]
    hour = account.hour_of(START)
    traced = [run.run for run in await runs_of(world.metering, subscription, UNIT, hour)]
    assert len(traced) == 3
    assert set(traced) < set(runs)
    (term,) = (await told(world)).terms
    assert (term.used, term.included, term.over, term.accepted, term.owed) == (5, 2, 3, 3, 0)


async def test_a_deal_has_its_own_allowance_which_the_publishers_word_outweighs(world: DeskWorld) -> None:
    subscription = await begun(world, "business-northwind-3y")
    known = await world.known(subscription)
    assert (known.base_plan, known.deal and known.deal.included) == ("business", {UNIT: 20})
    await used(world, subscription, 5)
    world.market.later(hours=1)
    assert await world.metering.look() == 0, "the plan that it stands for has four"
    assert [term.included for term in (await told(world)).terms] == [20]
    await world.entitlements.lay_down(known.tenant, OverrideRecord(included={UNIT: 3}))
    assert await world.metering.look() == 1
    assert await billed(world, subscription) == [(DAY, 2)]


def test_what_a_price_includes_is_read_where_it_is_said() -> None:
    def plan(*terms: object) -> AvailablePlan:
        return AvailablePlan.model_validate(
            {"planId": "team", "sourceOffers": None, "planComponents": {"recurrentBillingTerms": [*terms]}}
        )

    said = {"dimensionId": UNIT, "units": "20"}
    month = {"termUnit": "P1M", "price": 10.5, "meteredQuantityIncluded": [said]}
    odd = {
        "termUnit": "P1Y",
        "meteredQuantityIncluded": [{**said, "units": "many"}, {"units": 3}, {**said, "units": -1}],
    }
    assert plan(month).included("P1M") == {UNIT: 20}
    assert plan(month).included("P3Y") == {UNIT: 20}, "there is no other"
    assert plan(month, odd).included("P1Y") == {}
    assert plan(month, odd).included("P3Y") == {}
    assert plan({**month, "meteredQuantityIncluded": None}).included("P1M") == {}
    assert AvailablePlan.model_validate({"planId": "team", "planComponents": None}).included("P1M") == {}


async def test_a_lost_answer_is_told_from_a_lost_remainder(world: DeskWorld) -> None:
    subscription = await begun(world)
    await used(world, subscription, 5)
    world.market.later(hours=1)
    await world.market.faults(**Faults(cut=1).model_dump())
    with pytest.raises(Unavailable):
        await world.metering.look()
    await used(world, subscription, 2)  # what we ask for must not grow meanwhile
    assert await world.metering.look() == 1
    assert [hour.verdict for hour in (await told(world)).hours if hour.fate == "accepted"] == ["Duplicate"]
    hour_now = account.hour_of(world.market.clock.now())
    somebodys = {
        "resourceId": subscription,
        "quantity": 1,
        "dimension": UNIT,
        "effectiveStartTime": hour_now,
        "planId": "team",
    }
    assert (await world.market.call("POST", "/usageEvent", somebodys))[0] == 200
    for _ in range(2):
        world.market.later(hours=1)
        assert await world.metering.look() == 1
    assert await billed(world, subscription) == [(DAY, 5)]


async def test_an_outage_of_more_than_a_day_is_settled_by_the_marketplaces_own_report(world: DeskWorld) -> None:
    subscription = await begun(world)
    await used(world, subscription, 5)
    world.market.later(hours=1)
    await world.market.faults(**Faults(cut=1).model_dump())
    with pytest.raises(Unavailable):
        await world.metering.look()
    world.market.later(hours=25)
    await used(world, subscription, 1)
    for _ in range(3):
        await world.metering.look()
        world.market.later(hours=1)
    (term,) = (await told(world)).terms
    assert (term.over, term.accepted, term.waiting, term.owed, term.lost) == (4, 4, 0, 0, 0)
    assert sum(units for _, units in await billed(world, subscription)) == 4


async def test_what_waits_in_a_suspension_is_billed_after_and_at_the_end_at_once(world: DeskWorld) -> None:
    subscription = await begun(world)
    await used(world, subscription, 5)
    await world.market.do(subscription, "suspend")
    await world.desk.reconcile()
    world.market.later(hours=30)
    assert await world.metering.look() == 0
    assert (await told(world)).terms[0].owed == 3
    await world.market.do(subscription, "reinstate")
    await world.desk.reconcile()
    assert await world.metering.look() == 1
    world.market.later(minutes=70)
    await used(world, subscription, 1)
    await world.market.do(subscription, "cancel")
    await world.desk.reconcile()
    assert await world.metering.look() == 1
    assert sum(units for _, units in await billed(world, subscription)) == 4


async def test_what_nobody_could_bill_within_a_day_of_the_end_is_said_to_be_lost(world: DeskWorld) -> None:
    subscription = await begun(world)
    await used(world, subscription, 5)
    await world.market.do(subscription, "cancel")
    await world.desk.reconcile()
    world.market.later(hours=25)
    for _ in range(2):
        await world.metering.look()
    (term,) = (await told(world)).terms
    assert (term.over, term.accepted, term.lost, term.owed) == (3, 0, 3, 0)


async def test_managed_applications_are_billed_by_their_uri_and_in_batches(world: DeskWorld) -> None:
    """The emulator knows no managed application: that it names each one back, and why not, is what is seen here."""
    apps = [application(number, TenantId(new_id("ten"))) for number in range(30)]
    for app in apps:
        await use(world.store.tenant(contexts.from_meter(app.tenant)), world.market.clock.now())
    world.market.later(hours=1)

    async def resources() -> AsyncIterator[Billed]:
        for app in apps:
            yield app

    metering = Metering(world.store, world.market.clock, world.api, Ledger(world.store, UNITS), resources)
    assert await metering.look() == 0
    meters = await figures(metering, START - timedelta(days=1), world.market.clock.now())
    assert {meter.uri for meter in meters} == {app.resource.uri for app in apps}
    assert {hour.verdict for meter in meters for hour in meter.hours} == {"ResourceNotFound"}


def application(number: int, tenant: TenantId) -> Billed:
    uri = f"/subscriptions/s/resourceGroups/g/providers/Microsoft.Solutions/applications/app-{number}"
    return Billed(Resource(uri=uri), tenant, "team", {UNIT: 0}, frozenset(), "active", START - timedelta(days=1))


async def test_the_publisher_gets_figures_of_all_or_of_one_and_the_reconciliation_as_a_table(world: DeskWorld) -> None:
    subscription = await begun(world)
    await used(world, subscription, 5)
    world.market.later(hours=1)
    await world.metering.look()
    tenant, another = (await world.known(subscription)).tenant, new_id("ten")
    days = f"first={DAY}&last={DAY}"
    told = json.loads(await read(world, f"/v1/metering?{days}"))["items"]
    assert [(one["resource"], one["tenant"]) for one in told] == [(subscription, tenant)]
    assert [(hour["used"], hour["emitted"], hour["accepted"]) for hour in told[0]["hours"]] == [(5, 3, 3)]
    assert json.loads(await read(world, f"/v1/metering?{days}&tenant={another}"))["items"] == []
    table = f"/v1/metering/reconciliation?{days}&form=csv&tenant="
    (line,) = csv.DictReader(io.StringIO(await read(world, table + tenant)))
    names = ("resource", "tenant", "unit", "used", "emitted", "accepted", "reported", "agrees")
    assert [line[name] for name in names] == [subscription, tenant, UNIT, "5", "3", "3", "3", "True"]
    assert list(csv.DictReader(io.StringIO(await read(world, table + another)))) == []


async def read(world: DeskWorld, path: str) -> str:
    async with publishers(world).exchange(PeerRequest("GET", path, {}, b"", 5, None)) as answer:
        assert answer.status == 200
        return b"".join([piece async for piece in answer.pieces]).decode()


async def test_each_tenants_health_and_what_is_done_to_it_are_its_own(world: DeskWorld) -> None:
    first, second = await begun(world), await begun(world, user=UMA)
    own, others = [(await world.known(one)).tenant for one in (first, second)]
    staff = contexts.publisher("test")
    switches = Switches(world.store, world.market.clock, agents=[], tools=[])
    await switches.switch_off(staff, f"tenant/{others}", "It writes to strangers.")
    wanted = {(own, first, False), (others, second, True)}
    listed = json.loads(await read(world, "/v1/health"))["items"]
    alone = [json.loads(await read(world, f"/v1/health/{tenant}"))["health"] for tenant in (own, others)]
    for told in (listed, alone):
        assert {(one["tenant"], one["subscription"], one["is_off"]) for one in told} == wanted
    await world.subscriptions.note_of_tenant(staff, others, "act.notify", "We switch you off today.")
    causes = [[change.cause for change in (await world.known(one)).history] for one in (first, second)]
    assert ["act.notify" in cause for cause in causes] == [False, True]


def publishers(world: DeskWorld) -> InProcess:
    """Return the control plane as the publisher's own services reach it."""

    async def publisher(_: Request) -> Caller:
        return ServiceCaller("operator", frozenset({ADMIN_ROLE}))

    return world.control(publisher)


def test_what_plans_meter_are_units_and_dimensions_of_the_offer() -> None:
    files = {name: yaml.safe_load((ROOT / f"environments/{name}.yaml").read_text()) for name in ("plans", "units")}
    units = files["units"]["units"].keys()
    assert units == set(CATALOGUE.dimensions)
    for plan in files["plans"]["plans"].values():
        assert plan["meters"].keys() <= units


# The account by itself.

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(hour: int) -> str:
    return timestamp(NOON.replace(hour=hour))


def bought(**changes: object) -> Billed:
    said: dict[str, object] = {
        "resource": Resource(id="a-subscription"),
        "tenant": TenantId(new_id("ten")),
        "plan": "team",
        "included": {UNIT: 2},
        "exactly": frozenset[str](),
        "status": "active",
        "term_start": NOON - timedelta(days=10),
    }
    return Billed(**(said | changes))  # pyright: ignore[reportArgumentType] - a test's own words


def opened(**hours: int) -> MeterRecord:
    """Return an account whose term has used so many units in hours such as `h9`."""
    term = Term(
        start=timestamp(NOON - timedelta(days=10)),
        included=2,
        counted=timestamp(NOON - timedelta(days=1)),
        recent={at(int(name[1:])): count for name, count in hours.items()},
    )
    return MeterRecord(resource=Resource(id="a-subscription"), tenant=TenantId(new_id("ten")), unit=UNIT, terms=(term,))


def asked(record: MeterRecord) -> dict[int, int]:
    return {int(hour[11:13]): event.quantity for hour, event in record.events.items()}


def test_each_hour_is_asked_for_its_own_units_beyond_those_included() -> None:
    record = account.planned(opened(h8=1, h9=3, h11=4), bought(), NOON, before=NOON)
    assert asked(record) == {9: 2, 11: 4}


def test_a_unit_that_becomes_known_late_goes_into_the_next_free_hour_and_no_earlier_one() -> None:
    record = account.planned(opened(h8=2, h9=3), bought(), NOON, before=NOON)
    late = record.model_copy(update={"terms": opened(h8=2, h9=4).terms})
    assert asked(account.planned(late, bought(), NOON, before=NOON)) == {9: 3, 10: 1}
    only = account.planned(opened(h8=2, h11=3), bought(), NOON, before=NOON)
    later = only.model_copy(update={"terms": opened(h8=2, h11=4).terms})
    assert asked(account.planned(later, bought(), NOON, before=NOON)) == {11: 3}, "no hour after it is over yet"
    after = NOON + timedelta(hours=1)
    assert asked(account.planned(later, bought(), after, before=after)) == {11: 3, 12: 1}


def test_a_new_term_has_its_own_allowance_and_a_smaller_plan_takes_none_away() -> None:
    smaller = account.with_terms(opened(h9=3), bought(included={UNIT: 1}))
    assert smaller.terms[0].included == 2
    agreed = account.with_terms(opened(h9=3), bought(included={UNIT: 1}, exactly=frozenset({UNIT})))
    assert agreed.terms[0].included == 1
    renewed = account.with_terms(opened(h9=3), bought(term_start=NOON))
    assert [(term.start, term.until) for term in renewed.terms] == [
        (timestamp(NOON - timedelta(days=10)), timestamp(NOON)),
        (timestamp(NOON), ""),
    ]


def test_the_day_on_which_a_term_ends_is_part_of_it() -> None:
    midnight = NOON.replace(hour=0)
    term, tomorrow = opened().terms[0], NOON + timedelta(days=3)
    assert account.counted_until(term, bought(term_end=midnight), tomorrow) == midnight + timedelta(days=1)
    assert account.counted_until(term, bought(term_end=NOON), tomorrow) == NOON


def test_what_the_report_has_beyond_what_we_know_of_is_what_we_did_not_know_of() -> None:
    event = Emission(
        hour=at(9), term=opened().terms[0].start, quantity=3, plan="team", planned_at=at(10), fate="unknown"
    )
    record = opened(h8=2, h9=3).model_copy(update={"events": {event.hour: event}})
    soon, late = NOON + timedelta(days=1), NOON + timedelta(days=2)
    assert account.told(record, DAY, 7, 4, soon).events[at(9)].accepted == 3
    assert account.told(record, DAY, 4, 4, soon) == record, "the report may not be complete"
    assert account.told(record, DAY, 4, 4, late).events[at(9)].fate == "refused"
