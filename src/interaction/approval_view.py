"""An approval as the person who decides it sees it: what would happen, for whom, and what speaks for it."""

from datetime import datetime

from pydantic import JsonValue

from core import ApprovalId, Effect, Label, RunId, TenantContext, parse_timestamp
from core.events import ApprovalRequested, Stored
from core.tenancy import Role
from interaction.answers import Told
from interaction.decisions import ApprovalStatus, DecisionTold, decisions_of, text_of
from interaction.explanation import Source, sources_of
from interaction.run_view import message_text
from orchestration import ApprovalRecord, Fetch, fold
from tools import Registry


class ApprovalView(Told):
    """One approval.

    Attributes:
        consequence: what happens if it is approved, in plain words. Values in quotation marks were chosen by the model.
        argument_labels: who could have chosen each argument: `untrusted` is what the person who asks did not write.
        on_behalf_of: pseudonym of the person whose run it is.
        why: why the rules leave this to a person.
        message: what that person wrote.
        sources: what the agent had read.
        may_decide: whether you may; nobody decides on what they asked for themselves.
    """

    approval: ApprovalId
    run: RunId
    status: ApprovalStatus
    agent: str
    tool: str
    effect: Effect
    consequence: str
    arguments: dict[str, JsonValue] | None
    argument_labels: dict[str, Label]
    on_behalf_of: str
    why: str
    policies: list[str]
    policy_version: str
    message: str | None
    sources: list[Source]
    requested_at: str
    expires_at: str
    approver: str | None
    decided_at: str | None
    reason: str | None
    may_decide: bool


async def view_approval(
    record: ApprovalRecord,
    *,
    events: list[Stored],
    fetch: Fetch,
    registry: Registry,
    context: TenantContext,
    now: datetime,
) -> ApprovalView:
    decision = await _decision(record, events, fetch, registry)
    status = _status(record, now)
    return ApprovalView(
        approval=record.id,
        run=record.run,
        status=status,
        agent=record.agent,
        tool=record.tool,
        effect=record.effect,
        consequence=decision.consequence or f"Calls {record.tool}.",
        arguments=decision.arguments,
        argument_labels=decision.argument_labels,
        on_behalf_of=record.requester,
        why=decision.reason,
        policies=decision.policies,
        policy_version=record.policy_version,
        message=await message_text(fold(events), fetch),
        sources=await sources_of(events, fetch),
        requested_at=record.requested_at,
        expires_at=record.expires_at,
        approver=record.approver.id if record.approver else None,
        decided_at=record.decided_at or None,
        reason=await text_of(record.reason, fetch) if record.reason else None,
        may_decide=status == "pending" and may_decide(context, record),
    )


def may_decide(context: TenantContext, record: ApprovalRecord) -> bool:
    """Return whether a member may ever decide it, as far as roles go."""
    return context.has(Role.APPROVER, Role.OWNER) and context.principal.id != record.requester


def _status(record: ApprovalRecord, now: datetime) -> ApprovalStatus:
    if record.status == "pending" and now >= parse_timestamp(record.expires_at):
        return "expired"
    return record.status


async def _decision(record: ApprovalRecord, events: list[Stored], fetch: Fetch, registry: Registry) -> DecisionTold:
    """Return the decision that asked for the approval: the last on this action before it."""
    asked = next(
        stored.event.seq
        for stored in events
        if isinstance(stored.event.body, ApprovalRequested) and stored.event.body.approval == record.id
    )
    before = [d for d in await decisions_of(events, fetch, registry) if d.seq < asked]
    return [d for d in before if (d.step, d.call, d.target) == (record.step, record.call, record.tool)][-1]
