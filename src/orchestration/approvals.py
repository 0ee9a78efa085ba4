"""Approvals: asked for by a run, decided by a person once, consumed by the run once."""

from datetime import timedelta

from control import Approval
from core import ApprovalId, Content, ContentClass, Role, TenantContext, parse_timestamp, timestamp
from core.bodies import ApprovalRequested, ApprovalResolved
from core.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from data import TenantData, Versioned
from orchestration.records import ApprovalRecord
from orchestration.turn import Services, Turn

LIFETIME = timedelta(hours=72)
"""How long people have; then the action is not done, and the run goes on without it."""


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
    )
    try:
        etag = await turn.data.records.put(record.id, record, etag=None)
    except PreconditionFailed:
        return await record_for(turn, requested)
    return Versioned(key=record.id, value=record, etag=etag)


async def decide(
    services: Services, context: TenantContext, approval: ApprovalId, *, approve: bool, reason: str, nonce: str
) -> ApprovalRecord:
    """Write down a person's decision; the run is woken by the caller.

    Raises:
        NotFound: the tenant has no such approval.
        Forbidden: not an approver, or the one who asked (`approval.own`).
        Conflict: decided or expired already.
    """
    if not context.has(Role.APPROVER, Role.OWNER):
        raise Forbidden("Only an approver or the owner may decide this.", code="access.role")
    data = services.store.tenant(context)
    found = await data.records.get(ApprovalRecord, approval)
    if found is None:
        raise NotFound("There is no such approval. It may belong to another organisation, or the id is misspelt.")
    record = found.value
    if record.requester == context.principal.id:
        raise Forbidden("You asked for this yourself; a colleague must decide it.", code="approval.own")
    _must_be_open(services, record, nonce)
    content = Content.new(reason.encode(), kind=ContentClass.REASON, owner=context.principal.id)
    await data.content.put([content])
    decided = record.model_copy(
        update={
            "status": "approved" if approve else "denied",
            "approver": context.principal.actor,
            "reason": content.ref,
            "decided_at": timestamp(services.clock.now()),
            "nonce": nonce,
        }
    )
    try:
        await data.records.put(approval, decided, etag=found.etag)
    except PreconditionFailed:
        raise Conflict("Somebody else has just decided this. Reload to see how.", code="approval.decided") from None
    return decided


def _must_be_open(services: Services, record: ApprovalRecord, nonce: str) -> None:
    if record.nonce and record.nonce == nonce:
        raise Conflict("This request was sent before.", code="assertion.replayed")
    if record.status != "pending":
        raise Conflict(f"This was {record.status} already.", code="approval.decided")
    if services.clock.now() >= parse_timestamp(record.expires_at):
        raise Conflict("This has expired; the run goes on without it.", code="approval.expired")


async def settle(turn: Turn, requested: ApprovalRequested) -> ApprovalResolved | None:
    """Return how the approval ended, claiming it for this run; None while people may still decide.

    The claim is a compare-and-set that names the append which is to follow, so a run that died between the two
    recognises it, and nobody else can use the approval.
    """
    found = await record_for(turn, requested)
    record = found.value
    if record.status == "pending":
        if turn.services.clock.now() < parse_timestamp(record.expires_at):
            return None
        record = record.model_copy(update={"status": "expired"})
    claim = f"{turn.writer.run}:{turn.writer.seq + 1}"
    if record.claim not in ("", claim):
        raise Conflict("This approval was used by another run.", code="approval.claimed")
    if found.value.claim != claim or found.value.status != record.status:
        try:
            await turn.data.records.put(record.id, record.model_copy(update={"claim": claim}), etag=found.etag)
        except PreconditionFailed:
            return await settle(turn, requested)
    return _resolved(record)


async def supersede(data: TenantData, requested: ApprovalRequested) -> None:
    """Close an approval that its run will never use, since the run has ended."""
    found = await data.records.get(ApprovalRecord, requested.approval)
    if found is None or found.value.status != "pending":
        return
    closed = found.value.model_copy(update={"status": "superseded"})
    try:
        await data.records.put(requested.approval, closed, etag=found.etag)
    except PreconditionFailed:
        await supersede(data, requested)


def binding(record: ApprovalRecord) -> Approval:
    """Return what the gate compares with the action that is about to happen."""
    return Approval(
        id=record.id,
        tool=record.tool,
        arguments_commitment=record.arguments.commitment,
        policy_version=record.policy_version,
        requester=record.requester,
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
    )
