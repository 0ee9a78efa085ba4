"""Calls of tools in tests: what is asked of the gate, who calls, and the permit that the gate would have given."""

from datetime import timedelta

from control import ActionRequest, ordinary_facts
from core import ActionKind, Effect, Facts, Permit, PrincipalId, RunId, SystemClock, TenantId, action_digest
from tools import Arguments, Caller, Tool

CALLER = Caller(
    tenant=TenantId("ten_a"),
    run=RunId("run_a"),
    on_behalf_of=PrincipalId("prn_a"),
    correlation="cor_a",
    idempotency_key="idem_a",
    deadline=SystemClock().now() + timedelta(hours=1),
    held=lambda: True,
)


def permit_for(tool: Tool, arguments: Arguments, caller: Caller = CALLER) -> Permit:
    digest = action_digest(caller.tenant, caller.run, ActionKind.CALL_TOOL, tool.name, arguments.values)
    return Permit(tenant=caller.tenant, run=caller.run, decision_seq=1, digest=digest)


_STATED = (
    *("effect", "reversible", "egress", "choice_integrity", "untrusted_arguments", "untrusted_prose"),
    *("arguments_rank", "tool_ceiling", "tool_named", "secrets", "personal_data"),
)
"""What a call states itself; all else the gate knows."""


def trusted_facts(effect: Effect = Effect.READ) -> Facts:
    """Return what is known of a call that only trusted people and records have led to."""
    day = ordinary_facts(ActionKind.CALL_TOOL, {"effect": effect.value})
    return {name: day[name] for name in _STATED}


def trusted_call(tool: str, effect: Effect = Effect.READ) -> ActionRequest:
    return ActionRequest(kind=ActionKind.CALL_TOOL, target=tool, step=1, arguments={}, facts=trusted_facts(effect))
