"""How long the gate thinks: Cedar over the shipped policies, and over sixty."""

import time

from pydantic import BaseModel

from control import Layer, Question, Ruleset, ordinary_facts, publisher_text
from core import ActionKind, Facts, Lane, PrincipalKind
from core.errors import Defect
from mandate.bench.figures import Figures, spread
from mandate.bench.programs import read_order, tell
from mandate.local.world import load_companies
from mandate.settings import ROOT

_SIXTY = 60


class Order(BaseModel):
    """How often to decide."""

    decisions: int


def measure(order: Order) -> Figures:
    """Return the time of a decision, by set of policies, in microseconds."""
    environment = (ROOT / "environments" / "local" / "policies.cedar").read_text()
    tenant = load_companies(ROOT)[0].policies
    shipped = Ruleset.compose(publisher=publisher_text(), environment=environment, tenant=tenant)
    more = "".join(_policy(number) for number in range(_SIXTY - len(shipped.rules)))
    sixty = Ruleset.compose(publisher=publisher_text(), environment=environment, tenant=tenant + more)
    return {"shipped": _decide(shipped, order.decisions), "policies_60": _decide(sixty, order.decisions)}


def _policy(number: int) -> str:
    return f"""
    @id("bench-{number}") @lane("never") @reason("Never so many calls in a run.")
    forbid (principal, action == Mandate::Action::"call_tool", resource)
    when {{ context.calls_in_run > {1_000_000 + number} && context.effect == "read" }};"""


def _decide(rules: Ruleset, count: int) -> Figures:
    times: list[float] = []
    for number in range(count):
        question = Question((PrincipalKind.AGENT, "support"), ActionKind.CALL_TOOL, "lookup_order", _facts(number))
        began = time.perf_counter()
        decision = rules.decide(question)
        times.append(time.perf_counter() - began)
        if decision.lane is not Lane.AUTOMATIC:
            raise Defect(f"The bench's decision was {decision.lane}: {decision.reason}", code="defect.bench")
    kinds = {layer.value: sum(rule.layer is layer for rule in rules.rules.values()) for layer in Layer}
    return {"policies": sum(kinds.values()), **{f"{k}_us": v for k, v in spread(times, scale=1e6, digits=1).items()}}


def _facts(number: int) -> Facts:
    tools = ("create_ticket", "delete_customer", "issue_refund", "lookup_order", "send_email")
    own: Facts = {"environment": "local", "user_groups": ("returns-desk",), "agent_tools": tools}
    own = {**own, "tool": "lookup_order", "calls_in_run": number, "calls_limit": 1_000_000}
    return ordinary_facts(ActionKind.CALL_TOOL, {**own, "budget_left_micros": 49_000_000 - number})


def main() -> None:
    tell(measure(read_order(Order)))
