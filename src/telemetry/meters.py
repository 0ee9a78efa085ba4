"""What is counted, always per tenant. Each function says by its signature what a count is broken down by."""

from typing import Literal, Unpack

from core import ActionKind, Decision, Effect, TenantContext, TenantId
from core.errors import Defect
from core.parts import RunKind, RunState, Usage
from telemetry.attributes import Attributes, Value, passed
from telemetry.setup import current


def meter_run(context: TenantContext, *, kind: RunKind, state: RunState, seconds: float) -> None:
    """Count a run that ended."""
    if current.exporting is not None:
        by = _by(context, kind=kind, state=state)
        current.exporting.instruments.runs.add(1, by)
        current.exporting.instruments.run_seconds.record(seconds, by)


def meter_decision(context: TenantContext, *, kind: ActionKind, decision: Decision) -> None:
    """Count a decision by its lane and the first policy that determined it; `none` where nothing allowed it."""
    if current.exporting is not None:
        policy = decision.policies[0] if decision.policies else "none"
        current.exporting.instruments.decisions.add(1, _by(context, kind=kind, lane=decision.lane, policy=policy))


def meter_approval(
    context: TenantContext, *, outcome: Literal["asked", "approved", "denied", "expired", "superseded"]
) -> None:
    """Count an approval that was asked for, or how one that was is resolved: what is left over waits."""
    if current.exporting is not None:
        current.exporting.instruments.approvals.add(1, _by(context, outcome=outcome))


def meter_model(
    context: TenantContext,
    *,
    operation: Literal["chat", "embeddings"],
    model: str,
    outcome: Literal["answered", "interrupted", "failed"],
    usage: Usage,
    seconds: float,
) -> None:
    """Count a model call's tokens, cost (millionths) and time. `model` is the logical name."""
    if current.exporting is None:
        return
    instruments = current.exporting.instruments
    by = _by(context, operation=operation, request_model=model)
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if tokens:
            instruments.tokens.record(tokens, {**by, **_by(context, token_type=kind)})
    instruments.cost.add(usage.cost_micros, by)
    instruments.model_seconds.record(seconds, {**by, **_by(context, outcome=outcome)})


def meter_configuration(context: TenantContext, *, outcome: Literal["changed", "rejected", "unreachable"]) -> None:
    """Count what came of looking at the configuration, where it was not as before."""
    if current.exporting is not None:
        current.exporting.instruments.configurations.add(1, _by(context, outcome=outcome))


def meter_tool(
    context: TenantContext,
    *,
    tool: str,
    effect: Effect,
    outcome: Literal["ok", "failed", "timeout", "unknown"],
    seconds: float,
) -> None:
    """Count a tool call that ended."""
    if current.exporting is not None:
        by = _by(context, tool=tool, effect=effect, outcome=outcome)
        current.exporting.instruments.tool_calls.add(1, by)
        current.exporting.instruments.tool_seconds.record(seconds, by)


def meter_drift(context: TenantContext, *, kind: Literal["unknown", "status", "plan", "quantity", "term"]) -> None:
    """Count a subscription that was not as the marketplace has it, by what differed first."""
    if current.exporting is not None:
        current.exporting.instruments.drift.add(1, _by(context, kind=kind))


def meter_store(tenant: TenantId, *, operation: str, container: str, bytes_: int, charge: float) -> None:
    """Count a request to a store that charges for it; what is for all tenants is the publisher's."""
    if current.exporting is not None:
        by = _of(tenant, store_operation=operation, store_container=container)
        current.exporting.instruments.store_requests.add(1, by)
        current.exporting.instruments.store_bytes.add(bytes_, by)
        current.exporting.instruments.store_charge.add(charge, by)


def _by(context: TenantContext, **attributes: Unpack[Attributes]) -> dict[str, Value]:
    return _of(context.tenant, **attributes)


def _of(tenant: TenantId, **attributes: Unpack[Attributes]) -> dict[str, Value]:
    if not tenant:
        raise Defect("A count has no tenant.", code="defect.telemetry")
    fixed: dict[str, Value] = {"mandate.tenant": tenant, "mandate.environment": current.environment}
    return fixed | passed(attributes, strict=current.strict)
