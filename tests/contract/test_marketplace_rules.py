"""What the publisher has laid down for changes, people whom the marketplace names by puid, warnings, hints of deals."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from marketplace_desk_world import TERMS, DeskWorld, open_desk
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from control import PERSONAL_ACCOUNTS, contexts, current_notices, load_offer, log_run
from control.marketplace.deals import hints, list_price
from control.marketplace.offer import ChangeRules, RefusedChange
from control.marketplace_api import MarketplaceApi
from core import PUBLISHER
from core.bodies import RecordChanged
from core.errors import Forbidden, Unprocessable
from core.parts import RunKind
from data import read_run
from emulators.marketplace import Faults
from marketplace_world import CATALOGUE, ROOT
from telemetry.setup import current, export_to

KESTREL, INES = CATALOGUE.buyers[0].tid, CATALOGUE.buyers[0].users[0].object_id
OLA, PAT = (next(one for one in CATALOGUE.buyers[2].users if one.name.startswith(name)) for name in ("Ola", "Pat"))
OFFER = load_offer(ROOT / "environments" / "offer.yaml")
RULES = ChangeRules(
    refuse=(RefusedChange.model_validate({"from": "business", "to": "team"}),), most_seats=5, fixed=frozenset({"fixed"})
)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeskWorld]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with open_desk(tmp_path, terms=replace(TERMS, changes=RULES)) as opened:
        yield opened


async def begun(world: DeskWorld, plan: str = "team", **form: str) -> str:
    subscription = await world.market.buy(plan, **form)
    secret = await world.landings.land(await world.market.token(subscription), KESTREL, INES)
    await world.landings.activate(secret)
    return subscription


async def told(world: DeskWorld, count: int) -> None:
    async with asyncio.timeout(10):
        while len(world.market.told.received) < count:  # noqa: ASYNC110 - told from another loop
            await asyncio.sleep(0.02)


async def causes(world: DeskWorld, subscription: str) -> list[str]:
    data = world.store.tenant(contexts.publisher("test"))
    day = world.market.clock.now().strftime("%Y-%m-%d")
    events = await read_run(data, log_run(PUBLISHER, RunKind.ADMIN, day))
    bodies = [stored.event.body for stored in events]
    return [body.cause for body in bodies if isinstance(body, RecordChanged) and body.key == subscription]


async def test_who_has_no_object_id_there_is_known_by_puid_and_asked_for_an_address(world: DeskWorld) -> None:
    subscription = await world.market.buy(beneficiary=OLA.username)
    token = await world.market.token(subscription)
    for tid, oid, puid in (
        (PERSONAL_ACCOUNTS, OLA.object_id, ""),
        (PERSONAL_ACCOUNTS, PAT.object_id, PAT.puid),
        (KESTREL, OLA.object_id, OLA.puid),
    ):
        with pytest.raises(Forbidden):
            await world.landings.land(token, tid, oid, puid)
    secret = await world.landings.land(token, PERSONAL_ACCOUNTS, OLA.object_id, OLA.puid)
    assert (await world.landings.show(secret)).asks_contact
    with pytest.raises(Unprocessable):
        await world.landings.activate(secret)
    begun = await world.landings.activate(secret, "ola@elsewhere.example")
    assert (begun.subscription.onboarding, begun.asks_contact) == ("done", False)
    assert await world.directory.bound_to(PERSONAL_ACCOUNTS, OLA.object_id) == begun.subscription.tenant
    assert await world.subscriptions.said(begun.subscription.contact) == "ola@elsewhere.example"
    raw = b"".join(path.read_bytes() for path in world.folder.glob("market/*.json"))
    assert b"ola@elsewhere.example" not in raw


async def test_a_puid_does_not_help_where_there_is_an_object_id(world: DeskWorld) -> None:
    subscription = await world.market.buy(beneficiary=PAT.username)
    token = await world.market.token(subscription)
    with pytest.raises(Forbidden):
        await world.landings.land(token, PERSONAL_ACCOUNTS, OLA.object_id, PAT.puid)


async def test_a_subscription_that_began_by_itself_waits_for_whom_it_is_where_that_is_not_said(
    world: DeskWorld,
) -> None:
    subscription = await world.market.buy("team-at-once", beneficiary=OLA.username)
    await told(world, 1)
    await world.deliver()
    waiting = await world.known(subscription)
    assert (waiting.onboarding, waiting.review) == ("none", "beneficiary_unknown")
    await world.landings.land(await world.market.token(subscription), PERSONAL_ACCOUNTS, OLA.object_id, OLA.puid)
    known = await world.known(subscription)
    assert (known.onboarding, known.review) == ("done", "")


async def test_a_change_against_the_rules_is_refused_in_time_and_stays_undone(world: DeskWorld) -> None:
    subscription = await begun(world, "business")
    await world.market.do(subscription, "plan", plan="team")
    await told(world, 1)
    await world.deliver()
    world.market.later(seconds=11)
    assert (await world.market.call("GET", f"/saas/subscriptions/{subscription}"))[1]["planId"] == "business"
    assert "refused" in await causes(world, subscription)
    delivery = await world.desk.delivery(world.market.told.received[0]["id"])
    assert delivery
    assert delivery.outcome == "refused"
    await world.market.do(subscription, "revert", operation=delivery.operation)
    await told(world, 2)
    await world.deliver(1)
    assert (await world.known(subscription)).review == ""


async def test_seats_are_changed_within_bounds_alone(world: DeskWorld) -> None:
    subscription = await begun(world, "team-seats", quantity="2")
    for number, seats in enumerate((6, 5), start=1):
        await world.market.do(subscription, "quantity", quantity=str(seats))
        await told(world, number)
        await world.deliver(number - 1)
    assert (await world.known(subscription)).quantity == 5


async def test_a_change_that_is_made_though_it_was_refused_is_told_to_the_publisher(
    world: DeskWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As was seen of the real one in 2022, and as it is where the answer comes after ten seconds."""
    answered = MarketplaceApi.acknowledge

    async def ignored(self: MarketplaceApi, subscription: str, operation: str, _: object) -> None:
        await answered(self, subscription, operation, "Success")

    monkeypatch.setattr(MarketplaceApi, "acknowledge", ignored)
    subscription = await begun(world, "business")
    await world.market.do(subscription, "plan", plan="team")
    await told(world, 1)
    await world.deliver()
    known = await world.known(subscription)
    assert (known.plan, known.review) == ("team", "change_against_rule")
    await world.desk.reconcile()
    assert (await world.known(subscription)).review == "change_against_rule"


async def test_drift_is_an_event_and_a_metric_and_is_kept_for_the_console(world: DeskWorld) -> None:
    subscription = await begun(world)
    await world.market.faults(**Faults(lose=100).model_dump())
    await world.market.do(subscription, "suspend")
    export_to("test", "1", SimpleSpanProcessor(InMemorySpanExporter()), reader := InMemoryMetricReader())
    try:
        assert await world.desk.reconcile() == 1
        metrics = str(reader.get_metrics_data())
    finally:
        current.exporting = None
    assert "mandate.marketplace.drift" in metrics
    assert "'mandate.kind': 'status'" in metrics
    assert (await causes(world, subscription))[-1] == "drift"
    last = await world.desk.last_comparison()
    assert last
    assert (last.seen, last.drifted) == (1, (subscription,))


async def test_owners_are_warned_once_before_a_term_ends(world: DeskWorld) -> None:
    subscription = await begun(world, "business", deal="customer")
    await world.desk.reconcile()
    data = world.store.tenant(
        contexts.platform(await world.directory.tenant((await world.known(subscription)).tenant), "test")
    )
    assert list(await current_notices(data, world.market.clock.now())) == []
    world.market.later(days=340)
    await world.desk.reconcile()
    await world.desk.reconcile()
    (notice,) = await current_notices(data, world.market.clock.now())
    assert notice.what == "term_renews"
    assert (await causes(world, subscription)).count("term_ends") == 1
    world.market.later(days=30)
    assert list(await current_notices(data, world.market.clock.now())) == []


@pytest.mark.parametrize(
    ("deal", "purchaser", "seen"),
    [
        ("public", "", []),
        ("customer", "", ["offer_ids", "renews_at_list_price"]),
        ("multiparty", "", ["offer_ids", "renews_at_list_price"]),
        ("resale", "", ["offer_ids", "renews_at_list_price"]),
        ("csp", "uma@tarn.example", ["bought_by_another", "read_only", "as_of_a_provider"]),
    ],
)
async def test_all_kinds_of_sale_begin_alike_and_only_what_was_seen_is_told(
    world: DeskWorld, deal: str, purchaser: str, seen: list[str]
) -> None:
    known = await world.known(await begun(world, deal=deal, purchaser=purchaser))
    assert (known.status, known.onboarding) == ("Subscribed", "done")
    assert hints(known, OFFER) == seen
    assert list_price(known, OFFER) == 49_000_000


async def test_whoever_is_erased_leaves_no_address_and_no_reason(world: DeskWorld) -> None:
    subscription = await begun(world)
    actor = contexts.publisher("test", "operator")
    await world.subscriptions.note(actor, subscription, "act.fix", "Inês said so", fixed=True)
    known = await world.known(subscription)
    assert known.fixed
    assert [await world.subscriptions.said(piece) for piece in known.said] == [
        "Inês said so",
        "ines@kestrelmoor.example",
    ]
    await world.market.do(subscription, "cancel")
    await world.desk.reconcile()
    world.market.later(days=8)
    await world.desk.reconcile()
    after = await world.known(subscription)
    assert (after.onboarding, after.said) == ("erased", ())
    assert [await world.subscriptions.said(piece) for piece in known.said] == ["", ""]
