"""What a person does with a conversation as a whole: give it a title, take it away with all that was said in it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from core import Clock, Content, ContentClass, ContentId, ContentRef, ConversationId, PrincipalId, RunId, timestamp
from core.bodies import (
    AnswerFlagged,
    AnswerGiven,
    ApprovalRequested,
    DecisionMade,
    ModelFinished,
    PassagesRetrieved,
    RunOpened,
    ToolFinished,
)
from core.errors import Conflict, NotFound, PreconditionFailed
from core.events import Event, Stored
from data import TenantData, Versioned, read_run
from orchestration.records import ConversationRecord
from orchestration.state import fold

_ATTEMPTS = 10
_ERASED_AT_ONCE = 500


async def own_conversation(data: TenantData, conversation: ConversationId) -> Versioned[ConversationRecord]:
    """Return the principal's conversation, one that they have deleted too.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    found = await data.records.get(ConversationRecord, conversation)
    if found is None or found.value.owner != data.context.principal.id:
        raise NotFound("There is no such conversation. Leave `conversation` out to begin a new one.")
    return found


async def rename_conversation(data: TenantData, conversation: ConversationId, title: str, etag: str | None) -> str:
    """Give a conversation a title, and return the new ETag; without `etag` whatever it was called before.

    Raises:
        NotFound: it is not there, not the principal's, or deleted.
        PreconditionFailed: `etag` is not the current one.
    """
    content = Content.new(title.encode(), kind=ContentClass.TITLE, owner=data.context.principal.id)
    await data.content.put([content])
    for attempt in range(1, _ATTEMPTS + 1):
        found = await own_conversation(data, conversation)
        renamed = found.value.model_copy(update={"title": content.ref})
        try:
            if found.value.deleted_at:
                raise NotFound("There is no such conversation any more.")
            changed = await data.records.put(conversation, renamed, etag=etag or found.etag)
        except (NotFound, PreconditionFailed) as error:
            if isinstance(error, PreconditionFailed) and not etag and attempt < _ATTEMPTS:
                continue  # a turn was added at this moment
            await data.content.erase([content.ref.id])
            raise
        if found.value.title.kind is ContentClass.TITLE:  # else it is the first message, which stays
            with suppress(Conflict):  # a legal hold keeps the former one
                await data.content.erase([found.value.title.id])
        return changed
    raise PreconditionFailed("The conversation changes too fast; try again.")


async def delete_conversation(data: TenantData, clock: Clock, conversation: ConversationId) -> str:
    """Erase all that was said in a conversation, and return the ETag of what is left: its ids, for the evidence.

    First the record says that it is deleted, so that nothing is added; then the content goes. Repeated after a crash
    between the two, it goes on.

    Raises:
        NotFound: it is not there, or not the principal's.
        Conflict: a turn is under way, waits for a decision, or was added at this moment (`conversation.busy`).
    """
    found = await own_conversation(data, conversation)
    record = found.value
    ids = {record.title.id}
    for run in (*record.runs, *record.replaced):
        ids |= await _said_in(data, run)
    etag = found.etag
    if not record.deleted_at:
        deleted = record.model_copy(update={"deleted_at": timestamp(clock.now())})
        try:
            etag = await data.records.put(conversation, deleted, etag=etag)
        except PreconditionFailed:
            raise _busy() from None
    ordered = sorted(ids)
    for start in range(0, len(ordered), _ERASED_AT_ONCE):
        await data.content.erase(ordered[start : start + _ERASED_AT_ONCE])
    return etag


async def _said_in(data: TenantData, run: RunId) -> set[ContentId]:
    try:
        events = await read_run(data, run)
    except NotFound:
        return set()  # it joined the conversation, and its first event was never written
    if not fold(events).ended:
        raise _busy()
    return {ref.id for ref in content_of(events, data.context.principal.id)}


def content_of(events: Sequence[Stored], person: PrincipalId) -> Iterator[ContentRef]:
    """Yield where the content of a run is that belongs to `person`, who asked for it; others' reasons are theirs."""
    for stored in events:
        yield from (ref for ref in _content_of(stored.event, person) if ref)


def _content_of(event: Event, person: PrincipalId) -> Sequence[ContentRef | None]:
    match event.body:
        case RunOpened(message=message, quoted=quoted, attachment=attachment):
            return (message, quoted, attachment)
        case ModelFinished(message=ref) | AnswerGiven(message=ref):
            return (ref,)
        case DecisionMade(arguments=ref) | ApprovalRequested(arguments=ref):
            return (ref,)
        case PassagesRetrieved(content=ref) | ToolFinished(result=ref):
            return (ref,)
        case AnswerFlagged(reason=ref) if event.actor.id == person:
            return (ref,)
        case _:
            return ()


def _busy() -> Conflict:
    return Conflict(
        "A turn of this conversation is under way or waits for a decision. Wait for it, or cancel that run.",
        code="conversation.busy",
    )
