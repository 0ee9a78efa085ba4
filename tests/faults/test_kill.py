"""kill -9 at random moments under load: nothing that was acknowledged is lost, and nothing is done twice."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from backoffice import Effect as Counted
from backoffice import effects, slow_down
from load import DECIDERS, OWNERS, Load, decide_all, in_state
from looking import store_of

from chosen_store import STORE
from control import BudgetRecord
from control.records import BUDGET_KEY
from core import Effect, Lane, Principal, PrincipalId, PrincipalKind, RunId, TenantContext, TenantId
from core.bodies import DecisionMade, RunEnded, RunOpened, RunResumed, ToolFinished
from core.decisions import ActionKind
from core.events import Stored
from core.parts import RunKind, RunState
from data import PROJECTIONS, Store, TenantData, read_run, rebuild_differences, verify_all
from mandate.local.kept import copy_store, open_kept
from mandate.local.stack import Stack
from mandate.local.world import load_companies
from mandate.settings import ROOT
from orchestration import DocumentRecord, fold

KILLS = int(os.environ.get("MANDATE_KILLS", "10"))
SEED = int(os.environ.get("MANDATE_SEED", "20261123"))
SETTLE_SECONDS = 30.0

TENANTS = [company.tenant for company in load_companies(ROOT)]
EFFECTS = {
    "lookup_order": Effect.READ,
    "create_ticket": Effect.WRITE,
    "issue_refund": Effect.WRITE,
}

pytestmark = pytest.mark.timeout(120 + 30 * KILLS)


async def test_kill_9_at_random_moments(
    stack: Stack, session: aiohttp.ClientSession, tmp_path: Path, tally: dict[str, Counter[str]]
) -> None:
    chance = random.Random(SEED)
    phases = tally["where runs were when the process was killed"] = Counter()
    load = Load(session)
    await load.sign_in(stack.url, SEED)
    for number in range(KILLS):
        await slow_down(stack, session, stall_before=chance.uniform(0, 0.1), stall_after=chance.uniform(0, 0.15))
        await load.go(chance.uniform(0.3, 2.0), stack.kill_product)
        await asyncio.to_thread(copy_store, stack.folder, tmp_path / str(number), stack.store)
        phases.update(await phases_of(tmp_path / str(number)))
        await stack.start_product()
        await all_rest(load)
    await nothing_waits(load)
    counted = {tenant: await effects(stack, session, tenant) for tenant in TENANTS}
    await stack.kill_product()
    try:
        async with store_of(stack) as store:
            runs = {tenant: await runs_of(store, tenant) for tenant in TENANTS}
            for run, (tenant, _) in load.runs.items():
                assert run in runs[tenant], f"{run} was acknowledged and is lost"
            for tenant in TENANTS:
                for run, log in runs[tenant].items():
                    ended_as_promised(run, log)
                at_most_once(list(runs[tenant].values()), counted[tenant])
                await nothing_is_set_aside(store, tenant)
            for tenant, document in load.documents:
                assert await data_of(store, tenant).records.get(DocumentRecord, document)
            assert [verdict async for verdict in verify_all(store.platform) if not verdict.ok] == []
            assert [await rebuild_differences(store.platform, view) for view in PROJECTIONS] == [[]] * len(PROJECTIONS)
    finally:
        await stack.start_product()
    assert sum(phases.values()) >= KILLS, "the kills struck nothing"


async def all_rest(load: Load) -> int:
    """Wait until no run is under way, and return how many wait for a person."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while sum([await in_state(load.people[name], "running") for name in OWNERS]):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    return sum([await in_state(load.people[name], "parked") for name in OWNERS])


async def nothing_waits(load: Load) -> None:
    """Have everything decided that waits, and wait until all runs have ended."""
    while await all_rest(load):
        for name in DECIDERS:
            await decide_all(load.people[name])


async def phases_of(folder: Path) -> list[str]:
    """Return behind which event each unfinished run stood, in a copy of the store of a process that was killed."""
    async with open_kept(folder, STORE) as store:
        logs = [log for tenant in TENANTS for log in (await runs_of(store, tenant)).values()]
        return [phase(log[-1]) for log in logs if not fold(log).ended]


def phase(last: Stored) -> str:
    body = last.event.body
    return f"{body.type} {body.kind} {body.target}" if isinstance(body, DecisionMade) else body.type


async def runs_of(store: Store, tenant: TenantId) -> dict[RunId, list[Stored]]:
    """Return the logs of a tenant's turns and ingestions."""
    found: dict[RunId, list[Stored]] = {}
    for run in [run async for owner, run in store.platform.runs() if owner == tenant]:
        log = await read_run(data_of(store, tenant), run)
        opened = log[0].event.body
        if isinstance(opened, RunOpened) and opened.kind in (RunKind.TURN, RunKind.INGESTION):
            found[run] = log
    return found


def ended_as_promised(run: RunId, log: Sequence[Stored]) -> None:
    """Check that a run has ended, and only one that was killed inside an effect says that it does not know."""
    last = log[-1].event.body
    assert isinstance(last, RunEnded), f"{run} hangs behind {phase(log[-1])}"
    cut = any(is_effect(before) and isinstance(after.event.body, RunResumed) for before, after in pairwise(log))
    expected = RunState.OUTCOME_UNKNOWN if cut else RunState.COMPLETED
    assert last.state is expected, f"{run} ended {last.state} {last.code}: {[phase(stored) for stored in log]}"


def is_effect(stored: Stored) -> bool:
    """Return whether this decision lets a tool change something."""
    body = stored.event.body
    if not isinstance(body, DecisionMade) or body.kind is not ActionKind.CALL_TOOL:
        return False
    allowed = body.decision.lane is Lane.AUTOMATIC or body.approval is not None
    return allowed and EFFECTS[body.target] is not Effect.READ


def at_most_once(logs: Sequence[Sequence[Stored]], counted: Sequence[Counted]) -> None:
    """Check what the back office counted against what the runs say that they did."""
    calls = {
        body.idempotency_key: (stored.event.run, body.step, body.call, body.outcome)
        for log in logs
        for stored in log
        if isinstance(body := stored.event.body, ToolFinished) and body.effect is not Effect.READ
    }
    assert len({call[:3] for call in calls.values()}) == len(calls), "one call has two keys"
    keys = Counter(effect.idempotency_key for effect in counted)
    assert [key for key, count in keys.items() if key is None or count > 1] == [], "an effect was counted twice"
    assert keys.keys() <= calls.keys(), "the back office saw an effect that no run knows of"
    assert {key for key, call in calls.items() if call[3] == "ok"} <= keys.keys(), "a run says done and it was not"


async def nothing_is_set_aside(store: Store, tenant: TenantId) -> None:
    found = await data_of(store, tenant).records.get(BudgetRecord, BUDGET_KEY)
    assert found is not None
    assert found.value.spent.micros > 0
    assert found.value.reserved == {}, "a run has ended and money is still set aside for it"


def data_of(store: Store, tenant: TenantId) -> TenantData:
    principal = Principal(PrincipalId("svc_test"), PrincipalKind.SERVICE)
    return store.tenant(TenantContext(tenant, principal, plan="team", region="eu", correlation="test"))
