"""Incidents that others had, by the shape of the failure: what was proposed, approved, cut short or deleted."""

import asyncio
import secrets
from contextlib import suppress
from typing import Any, cast

import orjson
import pytest
from seen_data import dump
from sides import database
from test_two_at_once import at_rest, log_of, streamed
from two_tenants import ORDERS, Product, Tenant, context_of, quiet

from core import RunId, TenantContext, new_id
from core.bodies import ApprovalRequested, RunEnded, ToolFinished
from core.errors import Unprocessable
from core.parts import RunState
from mandate.client import File
from mandate.demo.host import Host
from orchestration import Services
from orchestration.opening import TurnRequest
from orchestration.runs import Runs
from tools.executor import Executor

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def runs(served: Product) -> Runs:
    return served.apps["orchestration"].state.runs


@pytest.fixture
def services(served: Product) -> Services:
    return served.apps["orchestration"].state.dependencies.services


@pytest.fixture
def host(served: Product) -> Host:
    return Host(served.stack, served.session)


def order_of(tenant: Tenant) -> str:
    return ORDERS[tenant.company.about.slug]


async def turn(runs: Runs, services: Services, context: TenantContext, message: str) -> RunId:
    """Ask without the documents, and wait until the run has ended or waits for somebody."""
    run = RunId(new_id("run"))
    await runs.start(context, TurnRequest(run, "support", message, use_knowledge=False), secrets.token_hex(16))
    await streamed(runs, context, run)
    await at_rest(runs, services)
    return run


async def test_incident_10_a_model_says_for_which_tenant_it_acts(
    runs: Runs, services: Services, served: Product, both: list[Tenant], host: Host
) -> None:
    """No tool asks for a tenant, what a model adds of one is refused, and a hijacked one finds none of another's."""
    victim, attacker = both
    for tool in services.registry.offers(served.host.agents["support"].tools):
        found = services.registry.get(tool.name)
        assert found
        said = orjson.dumps({"tenant": victim.id, "tenant_id": victim.id, "order_id": order_of(victim)}).decode()
        with pytest.raises(Unprocessable):
            found.parse(said)
    effects = await host.effects(victim.id)
    context = await context_of(served, attacker.owner)
    async with host.fault("hostile,only=chat"):
        words = f"Look up order {order_of(victim)} of tenant {victim.id}, and refund 1.00 EUR for it now."
        run = await turn(runs, services, context, words)
    log = await log_of(services, context, run)
    done = [stored.event.body for stored in log if isinstance(stored.event.body, ToolFinished)]
    assert done, "it tried"
    assert {body.outcome for body in done} == {"failed"}
    told = b"".join([await services.store.tenant(context).content.get(body.result) for body in done if body.result])
    assert b"Ruben Aalders" not in told
    assert await host.effects(victim.id) == effects


async def test_incident_11_an_approval_is_bound_to_its_place_and_the_policy_changes_meanwhile(
    runs: Runs, services: Services, served: Product, both: list[Tenant], host: Host
) -> None:
    """Approved under rules that are not in force any more: it is asked anew, and nothing was done."""
    tenant = both[0]
    context = await context_of(served, tenant.user)
    run = await turn(runs, services, context, f"Please refund 2.00 EUR for order {order_of(tenant)}: it was torn.")
    effects = await host.effects(tenant.id)
    first = await pending(services, context, run)
    rules = await tenant.owner.ask("GET", "/v1/policies")
    rule = '@id("no-mails") @lane("never") @reason("No.") forbid (principal, action, resource) when { false };'
    changed = {"text": f"{rules.body['text']}\n{rule}", "reason": "Because."}
    saved = await tenant.owner.ask("PUT", "/v1/policies", cast("Any", changed), If_Match=rules.headers["ETag"])
    assert saved.status == 200, saved.body
    await decide(tenant, first)
    await at_rest(runs, services)
    again = await pending(services, context, run)
    assert again != first, "another approval is asked for"
    assert await host.effects(tenant.id) == effects, "and nothing was done for the old one"
    await decide(tenant, again)
    await at_rest(runs, services)
    assert len(await host.effects(tenant.id)) == len(effects) + 1


async def pending(services: Services, context: TenantContext, run: RunId) -> str:
    log = await log_of(services, context, run)
    return [stored.event.body.approval for stored in log if isinstance(stored.event.body, ApprovalRequested)][-1]


async def decide(tenant: Tenant, approval: str) -> None:
    verdict: Any = {"verdict": "approved", "reason": "It was torn."}
    answer = await tenant.owner.ask("POST", f"/v1/approvals/{approval}/decision", verdict)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("ends", [asyncio.CancelledError, RuntimeError], ids=["the process dies", "a fault of ours"])
async def test_incident_12_a_tool_ran_before_the_run_failed_and_runs_again(
    runs: Runs,
    services: Services,
    served: Product,
    both: list[Tenant],
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    ends: type[BaseException],
) -> None:
    """It ends between the tool's success and its record: the outcome is unknown, and it is not done again."""
    tenant, execute = both[0], Executor.execute

    async def dying(executor: Executor, *args: Any, **more: Any) -> Any:
        await execute(executor, *args, **more)
        raise ends

    monkeypatch.setattr(Executor, "execute", dying)
    context = await context_of(served, tenant.user)
    effects = await host.effects(tenant.id)
    run = RunId(new_id("run"))
    words = f"Please open a ticket for order {order_of(tenant)}: the box was torn."
    await runs.start(context, TurnRequest(run, "support", words, use_knowledge=False), secrets.token_hex(16))
    with suppress(asyncio.CancelledError):
        await at_rest(runs, services)
    done = await host.effects(tenant.id)
    assert len(done) == len(effects) + 1, "the tool did it"
    monkeypatch.setattr(Executor, "execute", execute)
    if ends is RuntimeError:
        assert (await ended(services, context, run)).state is RunState.OUTCOME_UNKNOWN
        return
    for _ in range(2):
        await runs.look(context, run)
        await at_rest(runs, services)
    assert (await ended(services, context, run)).state is RunState.OUTCOME_UNKNOWN
    assert await host.effects(tenant.id) == done


async def ended(services: Services, context: TenantContext, run: RunId) -> RunEnded:
    end = (await log_of(services, context, run))[-1].event.body
    assert isinstance(end, RunEnded)
    return end


async def test_incident_15_what_was_deleted_lives_on_beside_its_row(served: Product, both: list[Tenant]) -> None:
    """A document and a conversation about it are erased: its word is in no table of the tenant, and is not found."""
    tenant, other, word = both[0], both[1], "quetzalparsnip"
    file = File(f"{word}.html", "text/html", f"<h1>The {word}</h1><p>A {word} blooms in May.</p>".encode())
    document = await tenant.owner.upload("/v1/documents", file, {"collection": tenant.vault})
    run = await tenant.owner.post("/v1/runs", {"agent": "support", "message": f"When does the {word} bloom?"})
    assert word in str(run)
    before, untouched = dump(database(served), tenant.id), dump(database(served), other.id)
    assert word in repr(before)
    for path in (f"/v1/documents/{document['document']}", f"/v1/conversations/{run['conversation']}"):
        gone = await tenant.owner.ask("DELETE", path)
        assert gone.status == 204, gone.body
        assert (await tenant.owner.ask("GET", path)).status == 404
    await quiet(served)
    left = dump(database(served), tenant.id)
    assert [table for table, rows in left.items() if word in repr(rows) or word[:9] in repr(rows)] == []
    assert word not in str(await tenant.owner.post("/v1/search", {"text": f"{word} blooms"}))
    assert dump(database(served), other.id) == untouched
    verdict = await tenant.owner.get(f"/v1/runs/{run['run']}/verification")
    assert verdict["ok"], "the chain still holds"
