"""Who calls a tool in tests, and the permit that the gate would have given."""

from datetime import timedelta

from core import ActionKind, Permit, PrincipalId, RunId, SystemClock, TenantId, action_digest
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
