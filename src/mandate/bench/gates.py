"""How long a whole decision takes: facts gathered, policies asked; the append that puts it on disk apart.

The gate is asked for a tool that reads, as a run's step asks it, and as it is shipped: with the policies of the
publisher, the environment and an organisation, a sponsored agent, and the switches.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from pydantic import BaseModel

from control import (
    ActionRequest,
    AgentFacts,
    Checked,
    Gate,
    Granted,
    NewPolicies,
    Policies,
    Principals,
    Situation,
    Switches,
    load_agents,
    ordinary_facts,
)
from core import ActionKind, Actor, Content, Facts, Label, RunId, SystemClock, TenantContext, new_id
from core.bodies import Body, RunOpened
from core.errors import Defect
from core.events import Stored
from core.parts import RunKind, Versions
from data import RunWriter, Seen, Store
from data.sqlite import open_store
from mandate.bench.appends import throw_away_context
from mandate.bench.figures import Figures, spread
from mandate.bench.permits import ENTITLED
from mandate.bench.programs import read_order, tell
from mandate.local.world import load_companies
from mandate.serve import calm_the_collector
from mandate.settings import ROOT

_ASKED = (
    *("effect", "reversible", "egress", "choice_integrity", "untrusted_arguments", "untrusted_prose"),
    *("arguments_rank", "tool_ceiling", "tool_named", "secrets", "personal_data"),
)
"""Facts that the step states itself; the rest the gate gathers."""

_SITUATION = Situation(
    label=Label(), budget_left_micros=49_000_000, entitled=ENTITLED, checked=Checked(guards=("local",))
)
_AGENT = "support"
_TOGETHER = 16
_PROPOSED = 8
"""By a model in one step: what holds for all of them is looked up once, and one append has all decisions."""


class Order(BaseModel):
    """Where, and how many decisions, alone and sixteen at once."""

    folder: Path
    decisions: int


class _Timed(RunWriter):
    """Knows how long its last append took."""

    waited = 0.0

    async def append(
        self,
        bodies: Sequence[Body],
        content: Sequence[Content] = (),
        *,
        actor: Actor | None = None,
        resting_on: Sequence[Seen] = (),
    ) -> list[Stored]:
        began = time.perf_counter()
        written = await super().append(bodies, content, actor=actor, resting_on=resting_on)
        self.waited = time.perf_counter() - began
        return written


async def measure(order: Order) -> Figures:
    """Return microseconds of a decision, and milliseconds of its append, alone and in a group commit."""
    async with open_store(order.folder / "gates.db") as store:
        context = throw_away_context()
        gate, agent, count = await _equipped(store, context)
        calm_the_collector()
        alone = await _decided(store, context, gate, agent, order.decisions)
        step = await _decided(store, context, gate, agent, order.decisions, proposed=_PROPOSED)
        group = await _decided(store, context, gate, agent, order.decisions, at_once=_TOGETHER)
    return {
        "policies": count,
        **{f"{name}_us": value for name, value in spread([one for one, _ in alone], scale=1e6, digits=1).items()},
        "each_of_eight_us": spread([one / _PROPOSED for one, _ in step], scale=1e6, digits=1),
        "append_alone_ms": spread([waited for _, waited in alone], scale=1000),
        "append_together_ms": spread([waited for _, waited in group], scale=1000),
    }


async def _equipped(store: Store, context: TenantContext) -> tuple[Gate, AgentFacts, int]:
    """Return a gate with the policies of a demo company, and its sponsored agent."""
    clock, agents = SystemClock(), load_agents(ROOT / "agents")
    policies = Policies(environment=(ROOT / "environments" / "local" / "policies.cedar").read_text(), clock=clock)
    new = NewPolicies(load_companies(ROOT)[0].policies, reason="Measured.")
    await policies.save(store.tenant(context), new, etag=None)
    switches = Switches(store, clock, agents=list(agents), tools=[])
    await Principals(store, clock, agents).take_on(context, _AGENT, days=30)
    gate = Gate(policies=policies, switches=switches, environment="local", clock=clock)
    rules = await policies.ruleset(store.tenant(context))
    return gate, agents[_AGENT].facts(context.tenant), len(rules.rules)


async def _decided(
    store: Store,
    context: TenantContext,
    gate: Gate,
    agent: AgentFacts,
    count: int,
    *,
    at_once: int = 1,
    proposed: int = 1,
) -> list[tuple[float, float]]:
    """Return, of each time that the gate was asked, the seconds without the append, and those of the append."""
    took: list[tuple[float, float]] = []

    async def run() -> None:
        data = store.tenant(context)
        writer = _Timed(data, RunId(new_id("run")), actor=data.context.principal.actor)
        await writer.append([RunOpened(kind=RunKind.TURN, versions=Versions(code="bench"))])
        for step in range(count // at_once):
            requests = [_request(step) for _ in range(proposed)]
            began = time.perf_counter()
            verdicts = await gate.authorize(writer, agent, requests, situation=_SITUATION)
            took.append((time.perf_counter() - began - writer.waited, writer.waited))
            for verdict in verdicts:
                if not isinstance(verdict, Granted):
                    raise Defect(f"The bench's decision was refused: {verdict.decision.reason}", code="defect.bench")

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(run())
    return took


def _request(step: int) -> ActionRequest:
    """Return what the agent asks for: to look an order up."""
    day = ordinary_facts(ActionKind.CALL_TOOL, {})
    facts: Facts = {name: day[name] for name in _ASKED}
    return ActionRequest(ActionKind.CALL_TOOL, "lookup_order", step, {"order_id": "A-20417"}, facts)


def main() -> None:
    tell(uvloop.run(measure(read_order(Order))))
