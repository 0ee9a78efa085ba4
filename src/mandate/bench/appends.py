"""How many events reach the disk in a second: the write path of a run, and nothing around it."""

import asyncio
import time
from pathlib import Path

import uvloop
from pydantic import BaseModel

from control import TenantRecord, contexts
from core import (
    ActionKind,
    Content,
    ContentClass,
    Decision,
    Effect,
    Fact,
    Lane,
    PrincipalId,
    Role,
    RunId,
    TenantContext,
    TenantId,
    new_id,
)
from core.bodies import Body, DecisionMade, ModelFinished, ToolFinished
from core.parts import Proposal, Usage
from data import RunWriter, TenantData
from data.sqlite import open_store
from mandate.bench.figures import Figures, spread
from mandate.bench.programs import read_order, tell
from mandate.serve import calm_the_collector

_OWNER = PrincipalId("prn_bench")
_FACTS: dict[str, Fact] = {
    "environment": "local",
    "plan": "team",
    "user_roles": ("user",),
    "user_groups": ("returns-desk",),
    "agent_tools": ("create_ticket", "lookup_order"),
    "budget_left_micros": 49_000_000,
    "context_integrity": "trusted",
    "effect": "read",
}


class Order(BaseModel):
    """Where to write, for how long at each number of appenders at once."""

    folder: Path
    seconds: float
    appenders: tuple[int, ...]


async def measure(order: Order) -> Figures:
    """Return, by number of appenders, events per second and the time until an append is on disk."""
    async with open_store(order.folder / "appends.db") as store:
        data = store.tenant(throw_away_context())
        await _append_for(data, 1, order.seconds / 5)
        calm_the_collector()
        return {f"c{count}": await _append_for(data, count, order.seconds) for count in order.appenders}


def throw_away_context() -> TenantContext:
    """Return authority over a tenant that exists in a temporary store alone."""
    record = TenantRecord(id=TenantId(new_id("ten")), name="Bench", plan="team", region="westeurope")
    return contexts.from_directory(record, _OWNER, roles=[Role.USER, Role.ADMIN], groups=[], correlation="bench")


async def _append_for(data: TenantData, appenders: int, seconds: float) -> Figures:
    waits: list[float] = []
    end = time.perf_counter() + seconds

    async def appender() -> None:
        writer = RunWriter(data, RunId(new_id("run")), actor=data.context.principal.actor)
        while (began := time.perf_counter()) < end:
            await writer.append(*_step(writer.seq))
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(appenders):
            group.create_task(appender())
    events = len(waits) * len(_step(0)[0])
    return {
        "events_per_second": round(events / (time.perf_counter() - began)),
        "append_ms": spread(waits, scale=1000),
    }


def _step(number: int) -> tuple[list[Body], list[Content]]:
    """Return what one step of a turn writes at once: the model's answer, the decision about it, what came of that."""
    said = Content.new(b'{"text":"","calls":[]}' * 8, kind=ContentClass.ANSWER, owner=_OWNER)
    told = Content.new(b'{"id":"A-20417","status":"shipped"}' * 12, kind=ContentClass.RESULT, owner=_OWNER)
    decision = Decision(
        lane=Lane.AUTOMATIC,
        policies=("publisher/tools-that-read",),
        reason="A tool that only reads changes nothing.",
        policy_version="0" * 64,
        facts={**_FACTS, "calls_in_run": number},
    )
    answered = ModelFinished(
        step=number,
        outcome="answered",
        logical="chat",
        target="mandate-stand-in",
        version="1",
        message=said.ref,
        proposals=(Proposal(call=0, tool="lookup_order"),),
        usage=Usage(input_tokens=1800, output_tokens=60, cost_micros=2040, model_calls=1),
    )
    decided = DecisionMade(
        step=number, kind=ActionKind.CALL_TOOL, target="lookup_order", arguments=said.ref, decision=decision
    )
    finished = ToolFinished(
        step=number,
        call=0,
        tool="lookup_order",
        effect=Effect.READ,
        outcome="ok",
        idempotency_key="0" * 64,
        result=told.ref,
    )
    return [answered, decided, finished], [said, told]


def main() -> None:
    tell(uvloop.run(measure(read_order(Order))))
