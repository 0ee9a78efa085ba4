"""The marketplace's emulator, over a socket: it gives what the real one is documented to give, and forgives nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from core import timestamp
from core.errors import Defect
from emulators.marketplace import Faults, create_app
from marketplace_world import BO, CATALOGUE, OTHERS_TOKEN, START, Market, authorize, open_market


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")


@pytest.fixture
async def market(tmp_path: Path, local: None) -> AsyncIterator[Market]:
    async with open_market(tmp_path) as opened:
        yield opened


def one(subscription: str) -> str:
    return f"/saas/subscriptions/{subscription}"


async def status_of(market: Market, subscription: str) -> tuple[str, str]:
    _, found = await market.call("GET", one(subscription))
    return found["saasSubscriptionStatus"], found["planId"]


async def told(market: Market, count: int) -> list[dict[str, Any]]:
    """Wait until the publisher was told so often."""
    async with asyncio.timeout(5):
        while len(market.told.received) < count:  # noqa: ASYNC110 - what is told comes from another process's loop
            await asyncio.sleep(0.02)
    return market.told.received


async def test_a_purchase_is_resolved_by_its_landing_token_and_activated_once(market: Market) -> None:
    bought = await market.buy(name="For the depot")
    token = await market.token(bought)
    status, resolved = await market.call("POST", "/saas/subscriptions/resolve", **{"x-ms-marketplace-token": token})
    assert (status, resolved["id"], resolved["planId"]) == (200, bought, "team")
    assert resolved["subscription"]["saasSubscriptionStatus"] == "PendingFulfillmentStart"
    activated = await market.call("POST", f"{one(bought)}/activate", {"planId": "team"})
    assert activated == (200, None)
    assert await status_of(market, bought) == ("Subscribed", "team")
    assert (await market.call("POST", f"{one(bought)}/activate", {"planId": "team"}))[0] == 400


async def test_a_landing_token_is_good_for_a_day(market: Market) -> None:
    token = await market.token(await market.buy())
    market.later(hours=24, seconds=1)
    asked = {"x-ms-marketplace-token": token}
    assert (await market.call("POST", "/saas/subscriptions/resolve", **asked))[0] == 400
    assert (await market.call("POST", "/saas/subscriptions/resolve"))[0] == 400


@pytest.mark.parametrize(("token", "expected"), [(OTHERS_TOKEN, 403), ("nonsense", 401), ("", 401)])
async def test_only_the_offers_own_application_may_call(market: Market, token: str, expected: int) -> None:
    given = {"authorization": f"Bearer {token}"}
    assert (await market.call("GET", "/saas/subscriptions", **given))[0] == expected


async def test_another_api_version_is_refused(market: Market) -> None:
    assert (await market.call("GET", "/saas/subscriptions?api-version=2018-09-15"))[0] == 400


@pytest.mark.parametrize("body", [{}, {"planId": "business"}, {"planId": "team", "quantity": 3}])
async def test_activating_something_else_than_was_bought_is_refused(market: Market, body: dict[str, object]) -> None:
    bought = await market.buy()
    assert (await market.call("POST", f"{one(bought)}/activate", body))[0] == 400


async def test_a_change_that_nobody_rejects_is_made_after_ten_seconds(market: Market) -> None:
    subscription = await market.activated()
    await market.do(subscription, "plan", plan="business")
    (webhook,) = await told(market, 1)
    assert (webhook["action"], webhook["status"], webhook["planId"]) == ("ChangePlan", "InProgress", "business")
    assert webhook["subscription"]["planId"] == "team"
    assert webhook["operationRequestSource"] == "Azure"
    assert await status_of(market, subscription) == ("Subscribed", "team")
    market.later(seconds=11)
    async with asyncio.timeout(5):
        while (await status_of(market, subscription))[1] != "business":  # noqa: ASYNC110 - it is another's loop
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("said", "plan"), [("Success", "business"), ("Failure", "team")])
async def test_a_change_is_accepted_or_rejected_by_its_operation(market: Market, said: str, plan: str) -> None:
    subscription = await market.activated()
    await market.do(subscription, "plan", plan="business")
    (webhook,) = await told(market, 1)
    path = f"{one(subscription)}/operations/{webhook['id']}"
    assert (await market.call("GET", f"{one(subscription)}/operations"))[1]["operations"][0]["id"] == webhook["id"]
    assert (await market.call("PATCH", path, {"status": said}))[0] == 200
    assert await status_of(market, subscription) == ("Subscribed", plan)
    assert (await market.call("PATCH", path, {"status": said}))[0] == 409
    assert (await market.call("GET", f"{one(subscription)}/operations"))[1] == {}


async def test_a_change_is_rejected_by_the_answer_to_its_webhook_too_and_is_then_taken_back(market: Market) -> None:
    subscription = await market.activated()
    market.told.answers = 400
    await market.do(subscription, "plan", plan="business")
    (rejected,) = await told(market, 1)
    market.told.answers = 200
    await asyncio.sleep(0.3)
    assert await status_of(market, subscription) == ("Subscribed", "team")
    await market.do(subscription, "revert", operation=rejected["id"])
    revert = (await told(market, 2))[1]
    assert (revert["action"], revert["planId"], revert["subscription"]["planId"]) == ("ChangePlan", "team", "team")


async def test_seats_are_changed_within_the_plans_limits(market: Market) -> None:
    subscription = await market.activated("team-seats", quantity="5")
    assert (await market.do(subscription, "quantity", quantity="51"))[0] == 400
    assert (await market.do(subscription, "quantity", quantity="9"))[0] == 303
    (webhook,) = await told(market, 1)
    assert (webhook["action"], webhook["quantity"], webhook["subscription"]["quantity"]) == ("ChangeQuantity", 9, 5)


async def test_suspending_changes_the_state_first_and_reinstating_gives_it_back(market: Market) -> None:
    subscription = await market.activated()
    await market.do(subscription, "suspend")
    assert (await status_of(market, subscription))[0] == "Suspended"
    await market.do(subscription, "reinstate")
    suspended, reinstated = await told(market, 2)
    assert [(w["action"], w["status"]) for w in (suspended, reinstated)] == [
        ("Suspend", "Succeeded"),
        ("Reinstate", "InProgress"),
    ]
    assert (await status_of(market, subscription))[0] == "Subscribed"


async def test_renewing_moves_the_term_and_cancelling_is_the_end(market: Market) -> None:
    subscription = await market.activated()
    _, before = await market.call("GET", one(subscription))
    await market.do(subscription, "renew")
    _, after = await market.call("GET", one(subscription))
    assert after["term"]["startDate"] == before["term"]["endDate"]
    await market.do(subscription, "cancel")
    assert [webhook["action"] for webhook in await told(market, 2)] == ["Renew", "Unsubscribe"]
    assert (await status_of(market, subscription))[0] == "Unsubscribed"
    assert (await market.call("POST", f"{one(subscription)}/activate", {"planId": "team"}))[0] == 404


async def test_a_plan_that_activates_by_itself_sends_subscribe(market: Market) -> None:
    subscription = await market.buy("team-at-once")
    (webhook,) = await told(market, 1)
    assert (webhook["action"], webhook["subscriptionId"]) == ("Subscribe", subscription)
    assert (await status_of(market, subscription))[0] == "Subscribed"


async def test_the_publishers_own_change_is_told_too_but_not_acknowledged(market: Market) -> None:
    subscription = await market.activated()
    assert (await market.call("PATCH", one(subscription), {"planId": "business", "quantity": 2}))[0] == 400
    assert (await market.call("PATCH", one(subscription), {"planId": "business"}))[0] == 202
    (webhook,) = await told(market, 1)
    assert webhook["operationRequestSource"] == "Partner"
    path = f"{one(subscription)}/operations/{webhook['id']}"
    assert (await market.call("PATCH", path, {"status": "Success"}))[0] == 500


async def test_what_a_reseller_bought_can_only_be_read(market: Market) -> None:
    subscription = await market.activated(purchaser="uma@tarn.example", deal="csp")
    _, found = await market.call("GET", one(subscription))
    assert (found["allowedCustomerOperations"], found["sandboxType"]) == (["Read"], "Csp")
    assert found["purchaser"]["tenantId"] != found["beneficiary"]["tenantId"]
    assert (await market.call("PATCH", one(subscription), {"planId": "business"}))[0] == 400
    assert (await market.call("DELETE", one(subscription)))[0] == 400


async def test_the_list_comes_in_pages_with_those_that_ended(tmp_path: Path) -> None:
    async with open_market(tmp_path, page_size=2) as market:
        bought = {await market.buy() for _ in range(5)}
        await market.do(next(iter(bought)), "cancel")
        seen, link = list[str](), "/saas/subscriptions"
        while link:
            _, page = await market.call("GET", link)
            assert len(page["subscriptions"]) <= 2
            seen += [found["id"] for found in page["subscriptions"]]
            link = page.get("@nextLink", "")
        assert sorted(seen) == sorted(bought)


async def test_a_private_plan_names_the_offer_that_it_came_from(market: Market) -> None:
    subscription = await market.activated("business-northwind-3y")
    _, plans = await market.call("GET", f"{one(subscription)}/listAvailablePlans?planId=business-northwind-3y")
    (plan,) = plans["plans"]
    assert plan["isPrivate"]
    assert plan["sourceOffers"][0]["externalId"]
    included = plan["planComponents"]["recurrentBillingTerms"][0]["meteredQuantityIncluded"]
    assert included == [{"dimensionId": "completed_runs", "units": "20"}]


async def test_webhooks_are_sent_again_until_they_are_taken(market: Market) -> None:
    subscription = await market.activated()
    market.told.answers = 503
    await market.do(subscription, "suspend")
    await told(market, 1)
    market.told.answers = 200
    await asyncio.sleep(0.3)
    assert len(market.told.received) == 1
    market.later(seconds=2)
    first, second = await told(market, 2)
    assert first == second


async def test_webhooks_can_be_lost_repeated_and_turned_around(market: Market) -> None:
    subscription = await market.activated()
    await market.faults(**Faults(lose=1).model_dump())
    await market.do(subscription, "suspend")
    await asyncio.sleep(0.3)
    assert market.told.received == []
    await market.faults(**Faults(hold=True).model_dump())
    await market.do(subscription, "reinstate")
    await market.do(subscription, "suspend")
    await asyncio.sleep(0.3)
    await market.faults(**Faults(extra=1).model_dump())
    assert [w["action"] for w in await told(market, 4)] == ["Suspend", "Suspend", "Reinstate", "Reinstate"]


async def test_a_call_can_fail_before_or_after_its_effect(market: Market) -> None:
    bought = await market.buy()
    await market.faults(**Faults(calls=1, status=429).model_dump())
    assert (await market.call("GET", one(bought)))[0] == 429
    await market.faults(**Faults(cut=1).model_dump())
    with pytest.raises(aiohttp.ClientError):
        await market.call("POST", f"{one(bought)}/activate", {"planId": "team"})
    assert (await status_of(market, bought))[0] == "Subscribed"


def usage(subscription: str, **changes: object) -> dict[str, object]:
    at = timestamp(START.replace(minute=0))
    return {
        "resourceId": subscription,
        "quantity": 3,
        "dimension": "completed_runs",
        "effectiveStartTime": at,
        "planId": "team",
    } | changes


async def test_one_event_for_each_dimension_and_hour_is_accepted(market: Market) -> None:
    subscription = await market.activated()
    assert (await market.call("POST", "/usageEvent", usage(subscription)))[1]["status"] == "Accepted"
    status, said = await market.call("POST", "/usageEvent", usage(subscription, quantity=7))
    assert (status, said["additionalInfo"]["acceptedMessage"]["quantity"]) == (409, 3)
    other = usage(subscription, dimension="documents_indexed")
    assert (await market.call("POST", "/usageEvent", other))[0] == 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"quantity": 0}, "InvalidQuantity"),
        ({"dimension": "smiles"}, "InvalidDimension"),
        ({"resourceId": "nobody"}, "ResourceNotFound"),
        ({"planId": "business"}, "BadArgument"),
        ({"effectiveStartTime": timestamp(START - timedelta(hours=25))}, "Expired"),
        ({"effectiveStartTime": timestamp(START + timedelta(hours=1))}, "BadArgument"),
    ],
)
async def test_a_batch_says_of_each_event_what_became_of_it(
    market: Market, change: dict[str, object], expected: str
) -> None:
    subscription = await market.activated()
    batch = {"request": [usage(subscription), usage(subscription), usage(subscription, **change)]}
    _, said = await market.call("POST", "/batchUsageEvent", batch)
    assert [line["status"] for line in said["result"]] == ["Accepted", "Duplicate", expected]
    assert said["result"][1]["error"]["additionalInfo"]["acceptedMessage"]["quantity"] == 3
    too_many = {"request": [usage(subscription)] * 26}
    assert (await market.call("POST", "/batchUsageEvent", too_many))[0] == 400
    _, reported = await market.call("GET", "/usageEvents?usageStartDate=2026-11-01")
    assert [(line["usageResourceId"], line["processedQuantity"]) for line in reported] == [(subscription, 3)]


async def test_after_the_end_only_what_was_used_before_is_accepted(market: Market) -> None:
    subscription = await market.activated()
    await market.do(subscription, "suspend")
    assert (await market.call("POST", "/usageEvent", usage(subscription)))[0] == 400
    await market.do(subscription, "cancel")
    assert (await market.call("POST", "/usageEvent", usage(subscription)))[0] == 200
    market.later(hours=2)
    late = usage(subscription, effectiveStartTime=timestamp(START + timedelta(hours=1)))
    assert (await market.call("POST", "/usageEvent", late))[0] == 400


async def test_what_was_bought_is_there_after_a_restart(tmp_path: Path) -> None:
    async with open_market(tmp_path) as market:
        subscription = await market.activated()
    async with open_market(tmp_path) as market:
        assert await status_of(market, subscription) == ("Subscribed", "team")


async def test_nobody_is_made_to_buy_by_another_site(market: Market) -> None:
    url, form = f"{market.base}/shop/buy", {"plan": "team", "beneficiary": BO}
    async with market.session.post(url, data=form, headers={"sec-fetch-site": "cross-site"}) as response:
        assert response.status == 403


async def test_it_does_not_start_outside_of_a_laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "prod")
    with pytest.raises(Defect):
        create_app(
            authorize=authorize,
            catalogue=CATALOGUE,
            folder=tmp_path,
            webhook="",
            landing="",
            token=lambda: asyncio.sleep(0, ""),
            session=cast("aiohttp.ClientSession", None),
        )
