"""An approval as the person who decides it sees it: what would happen, for whom, and what speaks for it."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from core import ApprovalId, Effect, Label, Origin, PrincipalId, RunId, TenantContext, parse_timestamp
from core.bodies import ApprovalEscalated, ApprovalRequested
from core.errors import Conflict, Forbidden
from core.events import Stored
from interaction.alternatives import Alternative, alternatives_of
from interaction.answers import Told
from interaction.decisions import ApprovalStatus, DecisionTold, YesTold, decisions_of, text_of
from interaction.explanation import Source, sources_of
from interaction.people import NameOf
from interaction.plain_words import day_and_time
from interaction.proposal_words import ArgumentTold, Consequences, consequences_of, told_arguments
from interaction.run_view import message_text
from orchestration import ApprovalRecord, Fetch, Yes, fold, place_in
from tools import Registry


class ApprovalView(Told):
    """One approval.

    Attributes:
        consequence: what happens if it is approved, in plain words. Values in quotation marks were chosen by the model.
        then: what follows from each decision, and whether it can be undone.
        argument_labels: who could have chosen each argument: `untrusted` is what the person who asks did not write.
        argument_origins: what each of these rests on.
        told: the arguments one by one, in words, with marks on those that nobody vouches for.
        on_behalf_of: pseudonym of the person whose run it is; their name is null where it is not known any more.
        why: why the rules leave this to a person.
        message: what that person wrote.
        takes_back: what an earlier run did, in plain words, where this takes it back; `message` is then why.
        sources: what the agent had read.
        alternatives: what else it had wanted to do by then and was not let, and why.
        seconds_left: until it expires; 0 once it is no longer open.
        approvers: how many different people have to approve it.
        given: who has, of several, before the last: `approver`.
        in_place_of: whose deputy that was; null for a right of their own.
        through: the organisation's own app in which they signed it; null for the console and the API.
        escalated: it has waited for long, and owners and admins were told.
        decided: who decided and why, in a sentence; null while it is open.
        may_decide: whether you may; nobody decides on what they asked for themselves.
        may_not_because: why you may not; null if you may.
    """

    approval: ApprovalId
    run: RunId
    status: ApprovalStatus
    agent: str
    tool: str
    effect: Effect
    consequence: str
    then: Consequences
    arguments: dict[str, JsonValue] | None
    argument_labels: dict[str, Label]
    argument_origins: dict[str, Origin]
    told: list[ArgumentTold]
    on_behalf_of: str
    on_behalf_of_name: str | None
    why: str
    policies: list[str]
    policy_version: str
    message: str | None
    takes_back: str | None
    sources: list[Source]
    alternatives: list[Alternative]
    requested_at: str
    expires_at: str
    seconds_left: int
    approvers: int
    given: list[YesTold]
    approver: str | None
    approver_name: str | None
    in_place_of: str | None
    in_place_of_name: str | None
    through: str | None
    escalated: bool
    decided_at: str | None
    reason: str | None
    decided: str | None
    may_decide: bool
    may_not_because: str | None


async def view_approval(
    record: ApprovalRecord,
    *,
    events: list[Stored],
    takes_back: str | None = None,
    fetch: Fetch,
    registry: Registry,
    context: TenantContext,
    places: Sequence[PrincipalId],
    name: NameOf,
    now: datetime,
) -> ApprovalView:
    decision = await _decision(record, events, fetch, registry)
    status, tool = _status(record, now), registry.get(record.tool)
    consequence = decision.consequence or f"Calls {record.tool}."
    because = _may_not_because(context, places, record, status)
    reason = await text_of(record.reason, fetch) if record.reason else None
    approver_name = await name(record.approver.id) if record.approver else None
    left = (parse_timestamp(record.expires_at) - now).total_seconds() if status == "pending" else 0
    return ApprovalView(
        approval=record.id,
        run=record.run,
        status=status,
        agent=record.agent,
        tool=record.tool,
        effect=record.effect,
        consequence=consequence,
        then=consequences_of(record, consequence, tool),
        arguments=decision.arguments,
        argument_labels=decision.argument_labels,
        argument_origins=decision.argument_origins,
        told=told_arguments(decision, tool),
        on_behalf_of=record.requester,
        on_behalf_of_name=await name(record.requester),
        why=decision.reason,
        policies=decision.policies,
        policy_version=record.policy_version,
        message=await message_text(fold(events), fetch),
        takes_back=takes_back,
        sources=await sources_of(events, fetch),
        alternatives=await _alternatives(record, events, fetch, registry),
        requested_at=record.requested_at,
        expires_at=record.expires_at,
        seconds_left=max(0, int(left)),
        approvers=record.approvers,
        given=[await _yes(one, fetch, name) for one in record.given],
        approver=record.approver.id if record.approver else None,
        approver_name=approver_name,
        in_place_of=record.in_place_of or None,
        in_place_of_name=await name(record.in_place_of) if record.in_place_of else None,
        through=record.through or None,
        escalated=_escalated(record, events),
        decided_at=record.decided_at or None,
        reason=reason,
        decided=_decided(record, status, approver_name, reason),
        may_decide=because is None,
        may_not_because=because,
    )


def _may_not_because(
    context: TenantContext, places: Sequence[PrincipalId], record: ApprovalRecord, status: ApprovalStatus
) -> str | None:
    if status != "pending":
        return "It is no longer open."
    try:
        place_in(record, context, places)
    except (Forbidden, Conflict) as refused:
        return refused.message
    return None


def _escalated(record: ApprovalRecord, events: list[Stored]) -> bool:
    bodies = (stored.event.body for stored in events)
    return any(isinstance(body, ApprovalEscalated) and body.approval == record.id for body in bodies)


async def _yes(one: Yes, fetch: Fetch, name: NameOf) -> YesTold:
    reason = await text_of(one.reason, fetch)
    absent = await name(one.in_place_of) if one.in_place_of else None
    return YesTold(
        approver=one.by.id,
        approver_name=await name(one.by.id),
        in_place_of=one.in_place_of or None,
        in_place_of_name=absent,
        through=one.through or None,
        at=one.at,
        reason=reason,
    )


def _decided(record: ApprovalRecord, status: ApprovalStatus, name: str | None, reason: str | None) -> str | None:
    who = name or "A person with the right to decide"
    match status:
        case "approved":
            return f"{who} approved it on {day_and_time(record.decided_at)}: “{reason}”"
        case "denied":
            return f"{who} said no on {day_and_time(record.decided_at)}: “{reason}”"
        case "expired":
            return f"Nobody decided by {day_and_time(record.expires_at)}, so it was not done."
        case "superseded":
            return "The run ended before anybody decided, so it was not done."
        case "pending":
            return None


def _status(record: ApprovalRecord, now: datetime) -> ApprovalStatus:
    if record.status == "pending" and now >= parse_timestamp(record.expires_at):
        return "expired"
    return record.status


async def _alternatives(
    record: ApprovalRecord, events: list[Stored], fetch: Fetch, registry: Registry
) -> list[Alternative]:
    """Return what was refused before this was asked."""
    before = events[: _asked_at(record, events)]
    return alternatives_of(await decisions_of(before, fetch, registry), before)


def _asked_at(record: ApprovalRecord, events: list[Stored]) -> int:
    return next(
        stored.event.seq
        for stored in events
        if isinstance(stored.event.body, ApprovalRequested) and stored.event.body.approval == record.id
    )


async def _decision(record: ApprovalRecord, events: list[Stored], fetch: Fetch, registry: Registry) -> DecisionTold:
    """Return the decision that asked for the approval: the last on this action before it."""
    asked = _asked_at(record, events)
    before = [d for d in await decisions_of(events, fetch, registry) if d.seq < asked]
    return [d for d in before if (d.step, d.call, d.target) == (record.step, record.call, record.tool)][-1]
