"""Leave for what the bench does to parts by themselves: the gate decides, as ever; nobody else makes a permit."""

from collections.abc import Sequence

from control import (
    ActionRequest,
    AgentFacts,
    Capability,
    Entitlement,
    Gate,
    Granted,
    Policies,
    Situation,
    Switches,
)
from core import Label, Permit, RunId, SystemClock, new_id
from core.bodies import RunOpened
from core.errors import Defect
from core.parts import RunKind, Versions
from data import RunWriter, Store, TenantData

ENTITLED = Entitlement("", is_active=True, features=frozenset(Capability), models=frozenset({"chat", "embed"}))
_SITUATION = Situation(label=Label(), budget_left_micros=1, entitled=ENTITLED)
_MOST = 50
"""Of one append, which holds a hundred events at most."""


async def permits_for(
    store: Store, data: TenantData, agent: AgentFacts, requests: Sequence[ActionRequest]
) -> list[Permit]:
    """Return a permit for each request.

    Raises:
        Defect: policy does not let the bench do what it is about to do.
    """
    run = RunWriter(data, RunId(new_id("run")), actor=data.context.principal.actor)
    await run.append([RunOpened(kind=RunKind.TURN, versions=Versions(code="bench"))])
    clock = SystemClock()
    switches = Switches(store, clock, agents=[], tools=[])
    gate = Gate(policies=Policies(environment="", clock=clock), switches=switches, environment="local", clock=clock)
    permits: list[Permit] = []
    for start in range(0, len(requests), _MOST):
        verdicts = await gate.authorize(run, agent, requests[start : start + _MOST], situation=_SITUATION)
        permits += [verdict.permit for verdict in verdicts if isinstance(verdict, Granted)]
    if len(permits) != len(requests):
        raise Defect("Policy refused what the bench is to measure.", code="defect.bench")
    return permits
