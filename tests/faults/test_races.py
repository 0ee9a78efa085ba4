"""Two people, or a person and the run, at the same moment: each is told the truth, and the service goes on."""

import asyncio
from collections import Counter

import aiohttp
from looking import store_of
from test_kill import data_of

from control import Amount, BudgetRecord
from control.records import BUDGET_KEY
from core import ConversationId, RunId, new_id
from core.parts import RunState
from mandate.client import Client
from mandate.local.stack import Stack
from mandate.people import company_of, sign_in
from mandate.turns import ended
from orchestration import ConversationRecord

ELIF = "elif@alderfinch.example"
NOOR = "noor@alderfinch.example"
REFUND = {
    "agent": "support",
    "message": "Please refund 0.01 EUR for order A-20398 because the pole was late.",
    "use_knowledge": False,
}
GREETING = {"agent": "support", "message": "Good morning", "use_knowledge": False}
SECONDS = 10.0


async def test_a_run_that_is_cancelled_in_the_moment_it_parks_is_cancelled(
    stack: Stack, session: aiohttp.ClientSession
) -> None:
    elif_ = await sign_in(session, stack.url, ELIF)
    runs = [await cancelled_when_parked(session, elif_) for _ in range(12)]
    states = Counter([(await ended(elif_, run, SECONDS)).state for run in runs])
    assert states == {RunState.CANCELLED: 12}


async def cancelled_when_parked(session: aiohttp.ClientSession, client: Client) -> str:
    """Ask for a refund, and cancel the run as soon as its stream says that it is parked."""
    headers = {"Authorization": f"Bearer {client.token}", "Accept": "text/event-stream"}
    async with session.post(f"{client.url}/v1/runs", json=REFUND, headers=headers) as answer:
        run, seen = answer.headers["Mandate-Run"], b""
        while b"event: run_parked" not in seen:
            seen += await answer.content.readany()
    assert (await client.ask("POST", f"/v1/runs/{run}/cancel")).status == 202
    return run


async def test_a_run_that_is_cancelled_and_approved_at_once_ends(stack: Stack, session: aiohttp.ClientSession) -> None:
    elif_, noor = [await sign_in(session, stack.url, name) for name in (ELIF, NOOR)]
    for _ in range(12):
        asked = await elif_.ask("POST", "/v1/runs", REFUND)
        assert asked.status == 202, asked.body
        run, pending = asked.body["run"], asked.body["pending_approval"]
        assert isinstance(pending, dict)
        decision = {"verdict": "approved", "reason": "The carrier confirms it."}
        decided, cancelled = await asyncio.gather(
            noor.ask("POST", f"/v1/approvals/{pending['approval']}/decision", decision),
            elif_.ask("POST", f"/v1/runs/{run}/cancel"),
        )
        assert decided.status in (200, 409), decided.body
        assert cancelled.status in (202, 409), cancelled.body
        found = await ended(elif_, str(run), SECONDS)
        assert found.state in (RunState.CANCELLED, RunState.COMPLETED), found
        await asyncio.sleep(0.2)  # nobody may ask faster than their plan's rate
        assert cancelled.status == 409 or found.state == RunState.CANCELLED, "a cancellation was lost"
    assert (await elif_.ask("POST", "/v1/runs", GREETING)).status == 200


async def test_a_conversation_outlives_a_kill_between_its_record_and_its_next_run(
    stack: Stack, session: aiohttp.ClientSession
) -> None:
    elif_ = await sign_in(session, stack.url, ELIF)
    first = await elif_.post("/v1/runs", GREETING)
    conversation = ConversationId(str(first["conversation"]))
    await stack.kill_product()
    async with store_of(stack) as store:
        records = data_of(store, company_of(ELIF).tenant).records
        found = await records.get(ConversationRecord, conversation)
        assert found
        with_lost = found.value.model_copy(update={"runs": (*found.value.runs, RunId(new_id("run")))})
        await records.put(conversation, with_lost, etag=found.etag)
    await stack.start_product()
    second = await elif_.post("/v1/runs", {**GREETING, "conversation": conversation})
    assert second["state"] == RunState.COMPLETED, second
    runs = (await elif_.get(f"/v1/conversations/{conversation}"))["runs"]
    assert isinstance(runs, list)
    assert [run["run"] for run in runs if isinstance(run, dict)] == [first["run"], second["run"]]


async def test_money_set_aside_for_a_call_that_a_kill_prevented_is_free_when_the_run_ends(
    stack: Stack, session: aiohttp.ClientSession
) -> None:
    elif_ = await sign_in(session, stack.url, ELIF)
    run = (await elif_.ask("POST", "/v1/runs", REFUND)).body["run"]
    await stack.kill_product()
    async with store_of(stack) as store:
        records = data_of(store, company_of(ELIF).tenant).records
        found = await records.get(BudgetRecord, BUDGET_KEY)
        assert found
        reserved = {**found.value.reserved, f"{run}/1": Amount(micros=777)}
        await records.put(BUDGET_KEY, found.value.model_copy(update={"reserved": reserved}), etag=found.etag)
        await stack.start_product()
        assert (await elif_.ask("POST", f"/v1/runs/{run}/cancel")).status == 202
        assert (await ended(elif_, str(run), SECONDS)).state == RunState.CANCELLED
        found = await records.get(BudgetRecord, BUDGET_KEY)
        assert found
        assert f"{run}/1" not in found.value.reserved
