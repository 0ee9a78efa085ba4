"""Approvals: asked for by a run, decided by as many people as the rules say, each once, consumed by the run once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from control import Approval
from core import ApprovalId, Content, ContentClass, PrincipalId, TenantContext, parse_timestamp, timestamp
from core.bodies import ApprovalEscalated, ApprovalGiven, ApprovalRequested, ApprovalResolved
from core.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from data import TenantData, Versioned
from orchestration.deputies import DECIDERS, places_taken
from orchestration.records import ApprovalRecord, Yes
from orchestration.state import ProposalState
from orchestration.turn import Services, Turn

LIFETIME = timedelta(hours=72)
"""How long people have; then the action is not done, and the run goes on without it."""

ESCALATES_AFTER = LIFETIME / 2
"""When owners and admins are told that it still waits."""

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person says, the nonce of the request in which they do, and the app in which they signed it, if any."""

    approve: bool
    reason: str
    nonce: str
    through: str = ""


async def record_for(turn: Turn, requested: ApprovalRequested) -> Versioned[ApprovalRecord]:
    """Return the approval's record, made from the event that asked for it where a crash came between the two."""
    found = await turn.data.records.get(ApprovalRecord, requested.approval)
    if found is not None:
        return found
    record = ApprovalRecord(
        id=requested.approval,
        run=turn.writer.run,
        step=requested.step,
        call=requested.call,
        agent=turn.agent.name,
        tool=requested.tool,
        effect=requested.effect,
        arguments=requested.arguments,
        policy_version=requested.policy_version,
        requester=turn.context.principal.id,
        requested_at=timestamp(turn.services.clock.now()),
        expires_at=requested.expires_at,
        approvers=requested.approvers,
    )
    try:
        etag = await turn.data.records.put(record.id, record, etag=None)
    except PreconditionFailed:
        return await record_for(turn, requested)
    return Versioned(key=record.id, value=record, etag=etag)


async def decide(services: Services, context: TenantContext, approval: ApprovalId, verdict: Verdict) -> ApprovalRecord:
    """Write down a person's decision; the run is woken by the caller.

    Of several who decide at the same moment each counts: whoever comes second decides on what the first has left.

    Raises:
        NotFound: the tenant has no such approval.
        Forbidden: neither an approver nor the deputy of one, or the one who asked (`approval.own`).
        Conflict: decided or expired already, or approved by the same person before (`approval.given`).
    """
    data = services.store.tenant(context)
    places = await places_taken(data, services.clock)
    content = Content.new(verdict.reason.encode(), kind=ContentClass.REASON, owner=context.principal.id)
    for attempt in range(_ATTEMPTS):
        found = await data.records.get(ApprovalRecord, approval)
        if found is None:
            raise NotFound("There is no such approval. It may belong to another organisation, or the id is misspelt.")
        place = place_in(found.value, context, places, approve=verdict.approve)
        _must_be_open(services, found.value, verdict)
        if attempt == 0:
            await data.content.put([content])
        said = Yes(
            by=context.principal.actor,
            reason=content.ref,
            at=timestamp(services.clock.now()),
            nonce=verdict.nonce,
            in_place_of=place,
            through=verdict.through,
        )
        decided = _after(found.value, said, approve=verdict.approve)
        try:
            await data.records.put(approval, decided, etag=found.etag)
        except PreconditionFailed:
            continue
        return decided
    raise Conflict("Too many people decide at once; try again in a moment.", code="conflict.sequence")


def place_in(
    record: ApprovalRecord, context: TenantContext, places: Sequence[PrincipalId], *, approve: bool = True
) -> str:
    """Return whose place the principal takes when they decide this: that of one of `places`, or empty for their own.

    Raises:
        Forbidden: they asked for it themselves, or have no right to decide it, of their own or as a deputy.
        Conflict: they have approved it before, or somebody has in their place.
    """
    me = context.principal
    if record.requester == me.id:
        raise Forbidden("You asked for this yourself; a colleague must decide it.", code="approval.own")
    if approve and me.actor in record.yes:
        raise Conflict("You have approved this already; somebody else has to as well.", code="approval.given")
    used = {name for one in record.given for name in (one.by.id, one.in_place_of)}
    if context.has(*DECIDERS):
        if approve and me.id in used:
            raise Conflict("Your deputy has approved this in your place.", code="approval.given")
        return ""
    # Nobody decides by another's right on what that other one asked for.
    free = [absent for absent in places if absent != record.requester and not (approve and absent in used)]
    if not free:
        message = "Only an approver or the owner of your organisation may decide this, or whom they named their deputy."
        raise Forbidden(message, code="access.role")
    return free[0]


def _must_be_open(services: Services, record: ApprovalRecord, verdict: Verdict) -> None:
    if verdict.nonce in (record.nonce, *(one.nonce for one in record.given)):
        raise Conflict("This request was sent before.", code="assertion.replayed")
    if record.status != "pending":
        raise Conflict(f"This was {record.status} already.", code="approval.decided")
    if services.clock.now() >= parse_timestamp(record.expires_at):
        raise Conflict("This has expired; the run goes on without it.", code="approval.expired")


def _after(record: ApprovalRecord, said: Yes, *, approve: bool) -> ApprovalRecord:
    """Return the record with what somebody said: the last yes that it takes, or one no, decides it."""
    if approve and len(record.given) + 1 < record.approvers:
        return record.model_copy(update={"given": (*record.given, said)})
    decision = {"status": "approved" if approve else "denied", "approver": said.by, "reason": said.reason}
    how = {"decided_at": said.at, "nonce": said.nonce, "in_place_of": said.in_place_of, "through": said.through}
    return record.model_copy(update={**decision, **how})


def unheard(record: ApprovalRecord, proposal: ProposalState) -> list[ApprovalGiven]:
    """Return the approvals, of several that it takes, that are not in the run's log yet."""
    return [
        ApprovalGiven(
            approval=record.id,
            step=record.step,
            call=record.call,
            approver=one.by,
            reason=one.reason,
            decided_at=one.at,
            in_place_of=one.in_place_of,
            through=one.through,
        )
        for one in record.given[len(proposal.given) :]
    ]


async def settle(
    turn: Turn, requested: ApprovalRequested, proposal: ProposalState
) -> tuple[list[ApprovalGiven], ApprovalResolved | None]:
    """Return who approved since the run last looked, and how it ended, claiming it for this run; None while it is open.

    The claim is a compare-and-set that names the append which is to follow, so a run that died between the two
    recognises it, and nobody else can use the approval.
    """
    found = await record_for(turn, requested)
    record = found.value
    if record.status == "pending":
        if turn.services.clock.now() < parse_timestamp(record.expires_at):
            return unheard(record, proposal), None
        record = record.model_copy(update={"status": "expired"})
    claim = f"{turn.writer.run}:{turn.writer.seq + 1}"
    if record.claim not in ("", claim):
        raise Conflict("This approval was used by another run.", code="approval.claimed")
    if found.value.claim != claim or found.value.status != record.status:
        try:
            await turn.data.records.put(record.id, record.model_copy(update={"claim": claim}), etag=found.etag)
        except PreconditionFailed:
            return await settle(turn, requested, proposal)
    return unheard(record, proposal), _resolved(record)


def escalated(turn: Turn, requested: ApprovalRequested, proposal: ProposalState) -> list[ApprovalEscalated]:
    """Return the event that says that it has waited for long, once that is so and is not told yet."""
    due = requested.escalates_at
    if not due or proposal.escalated or turn.services.clock.now() < parse_timestamp(due):
        return []
    return [ApprovalEscalated(approval=requested.approval, step=requested.step, call=requested.call)]


async def supersede(data: TenantData, requested: ApprovalRequested, proposal: ProposalState) -> Sequence[ApprovalGiven]:
    """Close an approval that its run will never use, since the run ends; return who approved and was not heard yet."""
    found = await data.records.get(ApprovalRecord, requested.approval)
    if found is None:
        return []
    if found.value.status == "pending":
        closed = found.value.model_copy(update={"status": "superseded"})
        try:
            await data.records.put(requested.approval, closed, etag=found.etag)
        except PreconditionFailed:
            return await supersede(data, requested, proposal)
    return unheard(found.value, proposal)


def binding(record: ApprovalRecord) -> Approval:
    """Return what the gate compares with the action that is about to happen."""
    return Approval(
        id=record.id,
        tool=record.tool,
        arguments_commitment=record.arguments.commitment,
        policy_version=record.policy_version,
        requester=record.requester,
        approvers=record.yes,
    )


def _resolved(record: ApprovalRecord) -> ApprovalResolved:
    if record.status == "pending":
        raise Conflict("This approval is still open.", code="approval.open")
    return ApprovalResolved(
        approval=record.id,
        step=record.step,
        call=record.call,
        verdict=record.status,
        approver=record.approver,
        reason=record.reason,
        decided_at=record.decided_at,
        in_place_of=record.in_place_of,
        through=record.through,
    )
