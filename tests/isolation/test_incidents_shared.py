"""Incidents that others had, by the shape of the failure: what served all of them mixed them."""

# pyright: reportPrivateUsage=false
# (a plan's budget is taken away in the process that reads it)

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from store_samples import member
from test_two_at_once import at_rest, question, started, streamed
from two_tenants import KEY, ORDERS, Product, Tenant, beside, context_of, quiet, share

from control import Amount, BudgetRecord
from control.records import BUDGET_KEY
from core import RunId, TenantContext, TenantId
from core.bodies import RunEnded, RunOpened, RunResumed
from core.errors import Defect
from core.parts import RunKind, RunState
from data import read_run
from models import ChatRequest, ModelRouter
from orchestration import Services
from orchestration.runs import Runs
from telemetry import meter_run, shutdown, span
from telemetry.setup import export_to

pytestmark = pytest.mark.timeout(120)

Pair = tuple[TenantContext, TenantContext]


@pytest.fixture
def runs(served: Product) -> Runs:
    return served.apps["orchestration"].state.runs


@pytest.fixture
def services(served: Product) -> Services:
    return served.apps["orchestration"].state.dependencies.services


@pytest.fixture
async def pair(served: Product, both: list[Tenant]) -> Pair:
    first, second = [await context_of(served, tenant.owner) for tenant in both]
    return first, second


async def test_incident_03_a_cached_answer_is_given_to_another_tenant(served: Product, both: list[Tenant]) -> None:
    """The identical request, under the same key: each has its own answer, its own call of the model, and no hit."""
    asked = {"agent": "support", "message": "How long is the warranty?"}
    first, second = [await tenant.owner.ask("POST", "/v1/runs", asked, Idempotency_Key="incident-3") for tenant in both]
    assert first.body["run"] != second.body["run"]
    for answer, mine, other in ((first, *both), (second, *both[::-1])):
        assert answer.status == 200
        assert other.canary not in str(answer.body)
        assert mine.canary in str(answer.body)
        assert not [name for name in answer.headers if "cache" in name.lower() and name.lower() != "cache-control"]
        usage: Any = answer.body["usage"]
        assert usage["model_calls"] >= 1
    again = await both[1].owner.ask("POST", "/v1/runs", asked, Idempotency_Key="incident-3")
    assert again.body["run"] == second.body["run"], "the key is good for the same request of the same person"
    other = await both[1].owner.ask("POST", "/v1/runs", {**asked, "message": "Another."}, Idempotency_Key=KEY)
    assert other.status == 422


async def test_incident_05_an_agent_that_is_shared_is_changed_by_a_request(
    runs: Runs, services: Services, both: list[Tenant], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of one agent overlap in the model: each call has its own prompt, documents and tools alone."""
    barrier, chat, seen = asyncio.Barrier(2), ModelRouter.chat, list[ChatRequest]()

    def waiting(router: ModelRouter, permit: Any, request: ChatRequest, **more: Any) -> AsyncGenerator[Any]:
        async def answered() -> AsyncGenerator[Any]:
            seen.append(request)
            await barrier.wait()
            async with aclosing(chat(router, permit, request, **more)) as pieces:
                async for piece in pieces:
                    yield piece

        return answered()

    monkeypatch.setattr(ModelRouter, "chat", waiting)
    before = {name: (id(agent), agent.model_dump_json()) for name, agent in services.agents.items()}
    run = await started(runs, pair, [question(tenant) for tenant in both])
    await asyncio.gather(*(streamed(runs, context, run) for context in pair))
    words = [repr(request) for request in seen]
    for tenant in both:
        assert sum(tenant.canary in text for text in words) == 1
    assert len({str(request.tools) for request in seen}) == 1
    assert before == {name: (id(agent), agent.model_dump_json()) for name, agent in services.agents.items()}
    await at_rest(runs, services)


async def test_incident_06_a_missing_context_falls_back_to_the_last_ones() -> None:
    """Spans and counts of two tenants at once are each one's own, and without a tenant there are none."""
    barrier, seen = asyncio.Barrier(2), dict[str, str]()

    async def work(context: TenantContext) -> None:
        with span("run", context) as active:
            await barrier.wait()
            seen[context.tenant] = active.context.tenant
            await barrier.wait()

    contexts = [member(), member()]
    await asyncio.gather(*(work(context) for context in contexts))
    assert seen == {context.tenant: context.tenant for context in contexts}
    nobody = replace(contexts[0], tenant=TenantId(""))
    with pytest.raises(Defect), span("run", nobody):
        pass
    export_to("test", "1", SimpleSpanProcessor(InMemorySpanExporter()), InMemoryMetricReader())
    with pytest.raises(Defect):
        meter_run(nobody, kind=RunKind.TURN, state=RunState.COMPLETED, seconds=1.0)
    await shutdown()


async def test_incident_07_the_tenant_is_lost_when_another_process_goes_on(
    served: Product, both: list[Tenant], tmp_path: Path
) -> None:
    """A run that parked in one process is decided and carried on in another, under the authority that opened it."""
    tenant = both[0]
    order = ORDERS[tenant.company.about.slug]
    wanted = f"Please refund 1.00 EUR for order {order} because it was torn."
    parked = await tenant.user.post("/v1/runs", {"agent": "support", "message": wanted})
    await quiet(served)
    async with beside(await share(served, both, tmp_path / "world.json"), tmp_path) as (other, known):
        pending: Any = parked["pending_approval"]
        decided = await known[0].owner.ask(
            "POST", f"/v1/approvals/{pending['approval']}/decision", {"verdict": "approved", "reason": "It was torn."}
        )
        assert decided.status == 200, decided.body
        await quiet(other)
        context = await context_of(other, known[0].user)
        log = await read_run(other.store.tenant(context), RunId(str(parked["run"])))
    opened, ended = log[0].event, log[-1].event
    assert isinstance(opened.body, RunOpened)
    assert (opened.tenant, opened.actor.id) == (tenant.id, context.principal.id)
    assert any(isinstance(stored.event.body, RunResumed) for stored in log)
    assert {stored.event.tenant for stored in log} == {tenant.id}
    assert isinstance(ended.body, RunEnded)
    assert ended.body.state is RunState.COMPLETED


async def test_incident_14_money_is_counted_when_it_is_spent_already(
    runs: Runs, services: Services, both: list[Tenant], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is set aside before the model is called, per tenant; where there is none, nothing is called."""
    chat, held = ModelRouter.chat, list[BudgetRecord]()

    def looking(router: ModelRouter, *args: Any, **more: Any) -> AsyncGenerator[Any]:
        async def answered() -> AsyncGenerator[Any]:
            found = await services.store.tenant(pair[0]).records.get(BudgetRecord, BUDGET_KEY)
            assert found
            held.append(found.value)
            async with aclosing(chat(router, *args, **more)) as pieces:
                async for piece in pieces:
                    yield piece

        return answered()

    monkeypatch.setattr(ModelRouter, "chat", looking)
    run = await started(runs, pair[:1], [question(both[0])])
    await streamed(runs, pair[0], run)
    await at_rest(runs, services)
    assert len(held) == 1
    assert sum(amount.micros for amount in held[0].reserved.values()) > 0

    async def limit(context: TenantContext) -> Amount:
        return Amount() if context.tenant == pair[0].tenant else Amount(micros=10**9, tokens=10**9)

    monkeypatch.setattr(services.budgets, "_limit", limit)
    asked = {"agent": "support", "message": "How long is the warranty?"}
    answers = [await tenant.owner.ask("POST", "/v1/runs", asked) for tenant in both]
    assert [answer.body.get("code") or answer.body["state"] for answer in answers] == ["budget.spent", "completed"]
    assert len(held) == 2, "the other tenant's call alone was made"
