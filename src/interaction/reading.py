"""Who may read a run, and who a conversation."""

from collections.abc import Sequence

from pydantic import ValidationError

from core import Actor, ConversationId, Role, RunId, TenantContext
from core.bodies import ApprovalGiven, ApprovalRequested, ApprovalResolved, RunEnded
from core.errors import Defect, NotFound
from core.events import Stored
from data import RawEvent, Store, Versioned, read_run
from interaction.authority import oversees
from interaction.parameters import no_such
from orchestration import ConversationRecord


async def readable_run(store: Store, context: TenantContext, run: RunId) -> list[Stored]:
    """Return all events of a run that the caller may read.

    Raises:
        NotFound: there is none, or it is not theirs to see: the two look the same.
    """
    try:
        events = await read_run(store.tenant(context), run)
    except NotFound:
        raise no_such("run") from None
    if not may_read_run(context, events):
        raise no_such("run")
    return events


async def own_run(store: Store, context: TenantContext, run: RunId) -> None:
    """Check that the caller asked for the run themselves; raises as `readable_run`."""
    first = await store.tenant(context).log.read(run, limit=1)
    if not first or first[0].event.actor != context.principal.actor:
        raise no_such("run")


async def verifiable_run(store: Store, context: TenantContext, run: RunId) -> None:
    """Check that the caller may have a run's chain verified: who may read it, though it may be unreadable.

    Where events are not as they were written, that leaves those who oversee the tenant, and who asked for the run as
    far as its first event still says so.

    Raises:
        NotFound: there is none, or it is not theirs to see.
    """
    try:
        await readable_run(store, context, run)
    except Defect:
        first = await store.tenant(context).log.raw(run, limit=1)
        if not oversees(context) and _requester(first[0]) != context.principal.actor:
            raise no_such("run") from None


def may_read_run(context: TenantContext, events: Sequence[Stored]) -> bool:
    """Return whether a member of the run's tenant may read it.

    Its requester may; who oversees the tenant may; an approver may where there is an approval that they can decide
    or have decided.
    """
    if events[0].event.actor == context.principal.actor or oversees(context):
        return True
    return context.has(Role.APPROVER) and _decides(context, events)


def _requester(first: RawEvent) -> Actor | None:
    try:
        stored = Stored.parse(first.data)
    except ValidationError:
        return None
    return stored.event.actor if stored.hash == first.hash else None


def _decides(context: TenantContext, events: Sequence[Stored]) -> bool:
    bodies = [stored.event.body for stored in events]
    asked = {body.approval for body in bodies if isinstance(body, ApprovalRequested)}
    resolved = {body.approval: body.approver for body in bodies if isinstance(body, ApprovalResolved)}
    waiting = asked - resolved.keys() and not any(isinstance(body, RunEnded) for body in bodies)
    given = [body.approver for body in bodies if isinstance(body, ApprovalGiven)]
    return bool(waiting) or context.principal.actor in (*resolved.values(), *given)


async def readable_conversation(
    store: Store, context: TenantContext, conversation: ConversationId
) -> Versioned[ConversationRecord]:
    """Return a conversation of the caller's, or any of the tenant to who oversees it.

    One that was deleted is there for others who oversee the tenant, without its content; for its owner it is gone.

    Raises:
        NotFound: there is none, or it is not theirs to see.
    """
    found = await store.tenant(context).records.get(ConversationRecord, conversation)
    if found is None:
        raise no_such("conversation")
    own = found.value.owner == context.principal.id
    if (own and found.value.deleted_at) or not (own or oversees(context)):
        raise no_such("conversation")
    return found
