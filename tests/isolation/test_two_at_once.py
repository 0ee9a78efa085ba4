"""Runs of two tenants at the same moment, through one process, agent, model and tool: none sees the other's.

Barriers hold both at the same point. Both have the same run id, which the edge never mints twice, but nobody below it
relies on that.
"""

# pyright: reportPrivateUsage=false
# (what a process keeps of runs is looked at from inside)

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from two_tenants import ORDERS, SHARED, Product, Tenant, context_of

from control import contexts
from core import RunId, TenantContext, TenantId, derived_id, new_id
from core.bodies import ApprovalRequested, RunEnded, RunOpened, RunParked, ToolFinished
from core.errors import NotFound
from core.events import Stored
from core.parts import RunState
from data import RUNS, read_run
from models import ModelRouter
from orchestration import Services, store_driver
from orchestration import runs as runs_module
from orchestration.ingestion import DocumentRequest, begin_ingestion, carry_ingestion
from orchestration.opening import TurnRequest
from orchestration.runs import Runs
from tools.executor import Executor

pytestmark = pytest.mark.timeout(60)

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


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> asyncio.Barrier:
    """Hold two model calls until both are made and the test passes as well."""
    barrier, chat = asyncio.Barrier(3), ModelRouter.chat

    def waiting(router: ModelRouter, *args: Any, **more: Any) -> AsyncGenerator[Any, None]:
        async def answered() -> AsyncGenerator[Any, None]:
            await barrier.wait()
            async with aclosing(chat(router, *args, **more)) as pieces:
                async for piece in pieces:
                    yield piece

        return answered()

    monkeypatch.setattr(ModelRouter, "chat", waiting)
    return barrier


def question(tenant: Tenant) -> str:
    return f"How long is the warranty of the {tenant.canary}?"


async def started(
    runs: Runs, pair: Sequence[TenantContext], messages: Sequence[str], *, use_knowledge: bool = True
) -> RunId:
    """Start a turn in each tenant, under one id."""
    run = RunId(new_id("run"))
    for context, message in zip(pair, messages, strict=True):
        request = TurnRequest(run, "support", message, use_knowledge=use_knowledge)
        await runs.start(context, request, secrets.token_hex(16))
    return run


async def streamed(runs: Runs, context: TenantContext, run: RunId) -> str:
    stream = runs.follow(context, run, after=0, until_parked=True, seconds=30)
    return b"".join([piece async for piece in stream]).decode()


async def log_of(services: Services, context: TenantContext, run: RunId) -> list[Stored]:
    return await read_run(services.store.tenant(context), run)


async def at_rest(runs: Runs, services: Services) -> None:
    """Wait until nothing is carried any more, and check that nothing of it is kept."""
    async with asyncio.timeout(20):
        while runs._tasks:
            await asyncio.wait(runs._tasks)
    assert runs._turns == {}
    assert services.hub._runs == {}


async def test_each_stream_and_each_answer_is_of_its_own_tenant(
    runs: Runs, services: Services, both: list[Tenant], pair: Pair, held: asyncio.Barrier
) -> None:
    agents = {name: agent.model_dump_json() for name, agent in services.agents.items()}
    run = await started(runs, pair, [question(tenant) for tenant in both])
    following = [asyncio.create_task(streamed(runs, context, run)) for context in pair]
    await held.wait()
    told = await asyncio.gather(*following)
    for text, mine, other in zip(told, both, reversed(both), strict=True):
        assert mine.canary in text
        assert other.canary not in text
        assert "answer_given" in text
    opened = [(await log_of(services, context, run))[0].event for context in pair]
    assert [event.tenant for event in opened] == [context.tenant for context in pair]
    conversations = {event.body.conversation for event in opened if isinstance(event.body, RunOpened)}
    assert len(conversations) == 2, "the same run id gave one conversation to two tenants"
    assert agents == {name: agent.model_dump_json() for name, agent in services.agents.items()}
    await at_rest(runs, services)


async def test_who_cancels_ends_the_run_of_their_own_tenant_alone(
    runs: Runs, services: Services, both: list[Tenant], pair: Pair, held: asyncio.Barrier
) -> None:
    run = await started(runs, pair, [question(tenant) for tenant in both])
    async with asyncio.timeout(20):
        while held.n_waiting < 2:  # noqa: ASYNC110 - a barrier does not say that somebody has come
            await asyncio.sleep(0.01)
    await runs.cancel(pair[0], run)
    told = asyncio.create_task(streamed(runs, pair[0], run))
    assert "cancelled" in await asyncio.wait_for(told, 10)
    assert not any(isinstance(s.event.body, RunEnded) for s in await log_of(services, pair[1], run))
    await asyncio.gather(held.wait(), held.wait())
    assert both[1].canary in await streamed(runs, pair[1], run)
    await at_rest(runs, services)
    ends = [(await log_of(services, context, run))[-1].event.body for context in pair]
    assert [end.state for end in ends if isinstance(end, RunEnded)] == [RunState.CANCELLED, RunState.COMPLETED]


@pytest.fixture
def tools_held(monkeypatch: pytest.MonkeyPatch) -> asyncio.Barrier:
    """Hold two tool calls until both are made."""
    barrier, execute = asyncio.Barrier(2), Executor.execute

    async def waiting(executor: Executor, *args: Any, **more: Any) -> Any:
        await barrier.wait()
        return await execute(executor, *args, **more)

    monkeypatch.setattr(Executor, "execute", waiting)
    return barrier


async def test_one_tool_answers_each_from_the_system_of_its_own_tenant(
    runs: Runs, services: Services, both: list[Tenant], pair: Pair, tools_held: asyncio.Barrier
) -> None:
    orders = [ORDERS[tenant.company.about.slug] for tenant in both]
    for own, asked in ((True, orders), (False, orders[::-1])):
        run = await started(
            runs, pair, [f"What is the status of order {order}?" for order in asked], use_knowledge=False
        )
        told = await asyncio.gather(*(streamed(runs, context, run) for context in pair))
        for context, text, order in zip(pair, told, asked, strict=True):
            done = [
                s.event.body for s in await log_of(services, context, run) if isinstance(s.event.body, ToolFinished)
            ]
            assert [body.outcome for body in done] == ["ok" if own else "failed"], text
            assert order in text
    await at_rest(runs, services)


async def test_what_waits_for_a_person_under_one_run_id_waits_in_each_tenant_by_itself(
    runs: Runs, services: Services, both: list[Tenant], pair: Pair
) -> None:
    orders = [ORDERS[tenant.company.about.slug] for tenant in both]
    wanted = [f"Please refund 1.00 EUR for order {order} because it was torn." for order in orders]
    run = await started(runs, pair, wanted, use_knowledge=False)
    await asyncio.gather(*(streamed(runs, context, run) for context in pair))
    await at_rest(runs, services)
    asked = [
        s.event.body
        for context in pair
        for s in await log_of(services, context, run)
        if isinstance(s.event.body, ApprovalRequested)
    ]
    assert len({body.approval for body in asked}) == 2
    await runs.cancel(pair[0], run)
    await at_rest(runs, services)
    ends = [(await log_of(services, context, run))[-1].event.body for context in pair]
    assert isinstance(ends[0], RunEnded)
    assert ends[0].state is RunState.CANCELLED
    assert isinstance(ends[1], RunParked)


async def test_who_cancels_while_a_run_is_let_go_of_is_heard(
    runs: Runs, services: Services, both: list[Tenant], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has parked, and is not yet out of this process's hands: it is taken up again, for the same tenant."""
    carry_on, context = runs_module.carry_on, pair[0]

    async def carried(turn: Any) -> None:
        await carry_on(turn)
        monkeypatch.setattr(runs_module, "carry_on", carry_on)
        await runs.cancel(context, turn.writer.run)

    monkeypatch.setattr(runs_module, "carry_on", carried)
    run = RunId(new_id("run"))
    wanted = f"Please refund 1.00 EUR for order {ORDERS[both[0].company.about.slug]} because it was torn."
    await runs.start(context, TurnRequest(run, "support", wanted, use_knowledge=False), secrets.token_hex(16))
    await at_rest(runs, services)
    end = (await log_of(services, context, run))[-1].event.body
    assert isinstance(end, RunEnded)
    assert end.state is RunState.CANCELLED


async def test_a_document_taken_in_under_one_run_id_is_another_in_each_tenant(services: Services, pair: Pair) -> None:
    run = RunId(new_id("run"))
    documents: set[str] = set()
    for context in pair:
        request = DocumentRequest(run, SHARED, "Dry", "Keep it dry.")
        writer, document = await begin_ingestion(services, context, request, secrets.token_hex(16))
        await carry_ingestion(services, writer)
        documents.add(document)
    assert len(documents) == 2


async def test_a_work_item_of_no_known_tenant_is_left_and_said_so(
    runs: Runs, services: Services, served: Product, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is carried on under a default: not without a tenant, not for one that the directory does not know."""

    async def look(tenant: TenantId, run: RunId) -> bool:
        return await runs.look(contexts.platform(await served.host.directory.tenant(tenant), "driver"), run)

    for tenant in ("", derived_id("ten", "nobody")):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            await store_driver._try(look, TenantId(tenant), RunId("run_x"))
        left = [record for record in caplog.records if record.message == "A run was left behind"]
        assert [record.__dict__["mandate"]["tenant"] for record in left] == [tenant]
    assert runs._turns == {}


async def test_a_run_is_not_carried_on_by_the_id_of_another_tenants(runs: Runs, services: Services, pair: Pair) -> None:
    await at_rest(runs, services)
    first, second = (services.store.tenant(context) for context in pair)
    page = await first.views.list(RUNS.view, limit=200)
    run, *_ = [row.run for row in page.items if not await second.log.read(row.run)]
    before = await log_of(services, pair[0], run)
    with pytest.raises(NotFound):
        await runs.look(pair[1], run)
    assert await log_of(services, pair[0], run) == before
