"""Bought, landed, activated, changed, suspended, cancelled: what becomes of the subscription and of its tenant."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from marketplace_desk_world import DeskWorld, open_desk

from control import PERSONAL_ACCOUNTS, contexts
from control.marketplace import DeliveryRecord, Notice
from core.errors import Forbidden, MandateError, NotFound, Unavailable
from emulators.marketplace import Faults
from marketplace_world import CATALOGUE

INES = CATALOGUE.buyers[0].users[0].object_id
BO = CATALOGUE.buyers[0].users[1].object_id
KESTREL, TARN = CATALOGUE.buyers[0].tid, CATALOGUE.buyers[1].tid
UMA = CATALOGUE.buyers[1].users[0].object_id
PAT = CATALOGUE.buyers[2].users[0].object_id
KIM = CATALOGUE.buyers[2].users[1].object_id


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeskWorld]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with open_desk(tmp_path) as opened:
        yield opened


async def bought_and_begun(world: DeskWorld, plan: str = "team", **form: str) -> str:
    subscription = await world.market.buy(plan, **form)
    secret = await world.landings.land(await world.market.token(subscription), KESTREL, INES)
    await world.landings.activate(secret)
    return subscription


async def told(world: DeskWorld, count: int) -> None:
    async with asyncio.timeout(5):
        while len(world.market.told.received) < count:  # noqa: ASYNC110 - told from another loop
            await asyncio.sleep(0.02)


async def test_who_bought_lands_begins_and_has_a_tenant_of_their_own(world: DeskWorld) -> None:
    subscription = await world.market.buy(name="For the depot")
    secret = await world.landings.land(await world.market.token(subscription), KESTREL, INES)
    landed = await world.landings.show(secret)
    assert (landed.subscription.status, landed.is_beneficiary) == ("PendingFulfillmentStart", True)
    assert await world.directory.bound_to(KESTREL, INES) is None
    begun = (await world.landings.activate(secret)).subscription
    assert (begun.status, begun.onboarding) == ("Subscribed", "done")
    tenant = await world.directory.tenant(begun.tenant)
    assert (tenant.name, tenant.plan, tenant.region, tenant.status) == ("For the depot", "team", "westeurope", "active")
    assert await world.directory.bound_to(KESTREL, BO) == begun.tenant
    again = (await world.landings.activate(secret)).subscription
    assert again == begun


@pytest.mark.parametrize(("tid", "oid"), [(KESTREL, BO), (TARN, INES), (PERSONAL_ACCOUNTS, INES), (KESTREL, "")])
async def test_nobody_else_lands_on_a_subscription(world: DeskWorld, tid: str, oid: str) -> None:
    token = await world.market.token(await world.market.buy())
    with pytest.raises(Forbidden) as refused:
        await world.landings.land(token, tid, oid)
    assert refused.value.code == "access.not_the_buyer"


async def test_personal_accounts_share_a_tid_and_only_the_one_who_bought_lands(world: DeskWorld) -> None:
    subscription = await world.market.buy(beneficiary="pat@personal.example")
    token = await world.market.token(subscription)
    with pytest.raises(Forbidden):
        await world.landings.land(token, PERSONAL_ACCOUNTS, KIM)
    await world.landings.activate(await world.landings.land(token, PERSONAL_ACCOUNTS, PAT))
    known = await world.known(subscription)
    assert await world.directory.bound_to(PERSONAL_ACCOUNTS, PAT) == known.tenant
    assert await world.directory.bound_to(PERSONAL_ACCOUNTS, KIM) is None


async def test_a_reseller_begins_it_and_gets_no_place_in_it(world: DeskWorld) -> None:
    subscription = await world.market.buy(purchaser="uma@tarn.example", deal="csp")
    secret = await world.landings.land(await world.market.token(subscription), TARN, UMA)
    landed = await world.landings.activate(secret)
    assert (landed.is_beneficiary, landed.subscription.bought_by_another) == (False, True)
    assert landed.subscription.allowed == ("Read",)
    assert await world.directory.bound_to(TARN, UMA) is None
    assert await world.directory.bound_to(KESTREL, INES) == landed.subscription.tenant


async def test_an_expired_link_and_a_landing_that_is_over_lead_nowhere(world: DeskWorld) -> None:
    subscription = await world.market.buy()
    token = await world.market.token(subscription)
    secret = await world.landings.land(token, KESTREL, INES)
    world.market.later(hours=25)
    with pytest.raises(NotFound):
        await world.landings.land(token, KESTREL, INES)
    with pytest.raises(NotFound):
        await world.landings.show(secret)
    await world.landings.forget_old()
    with pytest.raises(NotFound):
        await world.landings.show("x" * 43)


async def test_beginning_goes_on_where_a_lost_answer_cut_it_short(world: DeskWorld) -> None:
    subscription = await world.market.buy()
    secret = await world.landings.land(await world.market.token(subscription), KESTREL, INES)
    await world.market.faults(**Faults(cut=1).model_dump())
    with pytest.raises(Unavailable):
        await world.landings.activate(secret)
    begun = (await world.landings.activate(secret)).subscription
    assert (begun.status, begun.onboarding) == ("Subscribed", "done")


async def test_a_plan_that_nobody_knows_stands_for_one_of_ours_and_is_marked(world: DeskWorld) -> None:
    known = await world.known(await bought_and_begun(world, "business-northwind-3y"))
    assert (known.base_plan, known.review, known.term_unit) == ("business", "plan_by_rule", "P3Y")
    assert (await world.directory.tenant(known.tenant)).plan == "business"


async def test_a_change_of_plan_is_accepted_and_reaches_the_tenant(world: DeskWorld) -> None:
    subscription = await bought_and_begun(world)
    await world.market.do(subscription, "plan", plan="business")
    await told(world, 1)
    await world.deliver()
    known = await world.known(subscription)
    assert known.plan == "business"
    assert (await world.directory.tenant(known.tenant)).plan == "business"
    assert [change.plan for change in known.history][-2:] == ["team", "business"]


async def test_suspended_reinstated_and_cancelled_change_what_the_tenant_may(world: DeskWorld) -> None:
    subscription = await bought_and_begun(world)
    known = await world.known(subscription)
    seen, done = list[tuple[str, str]](), 0
    for count, act in enumerate(("suspend", "reinstate", "cancel"), start=1):
        await world.market.do(subscription, act)
        await told(world, count)
        done = await world.deliver(done)
        status = (await world.known(subscription)).status
        seen.append((status, (await world.directory.tenant(known.tenant)).status))
    assert seen == [("Suspended", "suspended"), ("Subscribed", "active"), ("Unsubscribed", "closed")]


async def test_a_thousand_deliveries_of_one_operation_have_one_effect(world: DeskWorld) -> None:
    subscription = await bought_and_begun(world)
    await world.market.do(subscription, "suspend")
    await told(world, 1)
    notice = Notice.model_validate(world.market.told.received[0])
    before = await world.known(subscription)
    for _ in range(1000):
        await world.desk.take(notice)
    await world.desk.do_due()
    for _ in range(10):
        await world.desk.take(notice)
    await world.desk.do_due()
    after = await world.known(subscription)
    assert len(after.history) == len(before.history) + 1
    records = world.store.tenant(contexts.publisher("test")).records
    assert [found.value.outcome for found in (await records.list(DeliveryRecord)).items] == ["adopted"]


async def test_what_the_marketplace_does_not_confirm_changes_nothing(world: DeskWorld) -> None:
    subscription = await bought_and_begun(world)
    before = await world.known(subscription)
    made_up = "00000000-0000-4000-8000-000000000001"
    await world.desk.take(Notice(id=made_up, subscription_id=subscription, action="Unsubscribe"))
    await world.desk.do_due()
    assert await world.known(subscription) == before
    records = world.store.tenant(contexts.publisher("test")).records
    found = await records.get(DeliveryRecord, made_up)
    assert found
    assert found.value.outcome == "unknown_operation"


async def test_a_delivery_waits_while_the_marketplace_does_not_answer(world: DeskWorld) -> None:
    subscription = await bought_and_begun(world)
    await world.market.do(subscription, "suspend")
    await told(world, 1)
    await world.market.faults(**Faults(calls=1).model_dump())
    await world.deliver()
    assert (await world.known(subscription)).status == "Subscribed"
    world.market.later(seconds=3)
    await world.desk.do_due()
    assert (await world.known(subscription)).status == "Suspended"


async def test_a_plan_that_activates_by_itself_takes_the_tenant_on_without_a_landing(world: DeskWorld) -> None:
    subscription = await world.market.buy("team-at-once")
    await told(world, 1)
    await world.deliver()
    known = await world.known(subscription)
    assert (known.status, known.onboarding, known.base_plan) == ("Subscribed", "done", "team")


async def test_lost_webhooks_are_mended_by_comparing_with_the_marketplace(tmp_path: Path, world: DeskWorld) -> None:
    first, second = await bought_and_begun(world), await world.market.buy(beneficiary="pat@personal.example")
    await world.market.faults(**Faults(lose=100).model_dump())
    await world.market.do(first, "suspend")
    await world.market.do(second, "cancel")
    assert await world.desk.reconcile() == 2
    assert (await world.known(first)).status == "Suspended"
    assert (await world.known(second)).status == "Unsubscribed"
    assert await world.desk.reconcile() == 0


async def test_a_second_subscription_of_an_organisation_is_marked_and_gets_nothing(world: DeskWorld) -> None:
    first = await bought_and_begun(world)
    second = await bought_and_begun(world)
    known = await world.known(second)
    assert (known.status, known.onboarding, known.review) == ("Subscribed", "none", "second_subscription")
    assert await world.directory.bound_to(KESTREL, INES) == (await world.known(first)).tenant


async def test_seven_days_after_the_end_the_tenant_is_to_be_erased_once(world: DeskWorld) -> None:
    subscription = await bought_and_begun(world)
    tenant = (await world.known(subscription)).tenant
    await world.market.do(subscription, "cancel")
    await world.desk.reconcile()
    world.market.later(days=6, hours=23)
    await world.desk.reconcile()
    assert not await world.erasures.took(tenant)
    world.market.later(hours=2)
    await world.desk.reconcile()
    await world.desk.reconcile()
    (erasure,) = await world.erasures.of(tenant)
    assert (erasure.subject, erasure.reason) == ("tenant", "contract_over")
    known = await world.known(subscription)
    assert (known.onboarding, known.beneficiary_oid, known.beneficiary_tid) == ("erased", "", "")


async def test_two_processes_at_once_leave_one_tenant(world: DeskWorld) -> None:
    subscription = await world.market.buy()
    secret = await world.landings.land(await world.market.token(subscription), KESTREL, INES)
    done = await asyncio.gather(*(world.landings.activate(secret) for _ in range(8)), return_exceptions=True)
    assert not [error for error in done if isinstance(error, BaseException) and not isinstance(error, MandateError)]
    known = await world.known(subscription)
    assert (known.onboarding, len((await world.directory.tenants()).items)) == ("done", 1)
