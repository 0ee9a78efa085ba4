"""Conversations: a person's turns with an agent, one after the other."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from core import ConversationId, RunId, TenantContext
from core.errors import NotFound, PreconditionFailed
from core.parts import RunState
from data import RUNS, Row, RunSummary, TenantData, Versioned
from interaction.answers import Given, Told, answer, described, event_stream, problems
from interaction.authority import Me
from interaction.changes import LiveChanges, live_list
from interaction.conversation_lists import (
    ConversationHits,
    ConversationLine,
    ConversationPage,
    ConversationSearch,
    conversation_list,
    find_conversations,
    line_of,
    title_of,
)
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import newest_first
from interaction.parameters import PLAIN_LINE, ConversationPath, Cursor, IfMatch, Limit, no_such
from interaction.people import names_in
from interaction.reading import readable_conversation
from interaction.run_view import Answer, told_run
from orchestration import ConversationRecord, delete_conversation, fetcher, rename_conversation

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])

_ETAG = {"ETag": "Give it as If-Match to change the conversation."}


class Exchange(Told):
    """What was asked and what came of it."""

    run: RunId
    state: RunState
    code: str
    opened_at: str
    message: str | None
    answer: Answer | None


class ConversationView(Told):
    """`runs` are in the order in which they happened, the latest of them at the end; `cursor` leads to earlier ones.

    Turns that another has replaced are not among them. `deleted_at` is null but for those who oversee the organisation
    and look at what is left of a deleted conversation.
    """

    conversation: ConversationId
    agent: str
    title: str
    owner: str
    owner_name: str | None
    deleted_at: str | None
    opened_at: str
    runs: list[Exchange]
    cursor: str | None


class ConversationChange(Given):
    """A title that you choose."""

    title: Annotated[str, StringConstraints(max_length=120, pattern=PLAIN_LINE)] = Field(examples=["Broken tent poles"])


@router.get("", responses=described(ConversationPage, 422))
async def list_conversations(me: Me, deps: Deps, cursor: Cursor = None, limit: Limit = 20) -> Response:
    """List your conversations, the one with the latest run first. Any member, their own."""
    return answer(await conversation_list(deps, me, cursor, limit))


@router.get("/events", responses=event_stream(406))
async def follow_conversations(me: Me, deps: Deps, changes: LiveChanges, request: Request) -> Response:
    """Follow the list of your conversations: a turn that begins, waits, goes on or ends. Any member, their own.

    The stream begins with `ready`: read the list then, and again after a connection broke. Each change is an event
    `conversation` with the line of the list as it is now. It lasts ten minutes at most; connect again.
    """
    data = deps.store.tenant(me)

    async def line(row: Row) -> ConversationLine | None:
        return await line_of(data, me, RunSummary.model_validate_json(row.body), fetcher(data))

    return live_list(
        changes, me, RUNS.view, owner=me.principal.id, headers=request.headers, name="conversation", line=line
    )


@router.post("/search", responses=described(ConversationHits, 413, 415, 422))
async def search_conversations(body: ConversationSearch, me: Me, deps: Deps) -> Response:
    """Look for words in your conversations: in titles, in what you wrote, in what was answered. Any member, their own.

    All words must stand in the same text; case and accents do not matter.
    """
    return answer(await find_conversations(deps, me, body))


@router.get("/{conversation}", responses=described(ConversationView, 404, 422, headers=_ETAG))
async def read_conversation(
    conversation: ConversationPath, me: Me, deps: Deps, cursor: Cursor = None, limit: Limit = 20
) -> Response:
    """Read a conversation with its latest runs. Its owner; owners, admins and auditors of the organisation."""
    found = await readable_conversation(deps.store, me, conversation)
    return await _told(deps.store.tenant(me), found, cursor, limit)


@router.patch("/{conversation}", responses=described(ConversationView, 404, 412, 413, 415, 422, headers=_ETAG))
async def rename(
    conversation: ConversationPath, body: ConversationChange, me: Me, deps: Deps, if_match: IfMatch = None
) -> Response:
    """Give a conversation of yours a title. Without If-Match, whatever it was called before."""
    data = deps.store.tenant(me)
    await _own(deps, me, conversation)
    try:
        await rename_conversation(data, conversation, body.title, if_match)
    except PreconditionFailed:
        raise PreconditionFailed(
            "The conversation is not as you have seen it. Read it again, and send its ETag as If-Match."
        ) from None
    return await _told(data, await readable_conversation(deps.store, me, conversation), None, 20)


@router.delete("/{conversation}", status_code=204, responses=problems(404, 409))
async def delete(conversation: ConversationPath, me: Me, deps: Deps) -> Response:
    """Erase a conversation of yours: title, messages, answers, and all that the agent read and did for them.

    The log keeps that it took place, without a word of it. Not while a turn is under way or waits for a decision.
    """
    etag = await delete_conversation(deps.store.tenant(me), deps.clock, conversation)
    await deps.access.admin(me, ConversationRecord.kind, conversation, etag)
    return Response(status_code=204)


async def _own(deps: InteractionDependencies, me: TenantContext, conversation: ConversationId) -> None:
    """Check that a conversation is there, the caller's own, and not deleted."""
    found = await readable_conversation(deps.store, me, conversation)
    if found.value.owner != me.principal.id:
        raise no_such("conversation")


async def _told(data: TenantData, found: Versioned[ConversationRecord], cursor: str | None, limit: int) -> Response:
    record, fetch = found.value, fetcher(data)
    page = newest_first(record.runs, cursor=cursor, limit=limit)
    exchanges = [await _exchange(data, run) for run in reversed(page.items)]
    view = ConversationView(
        conversation=record.id,
        agent=record.agent,
        title=await title_of(record, fetch),
        owner=record.owner,
        owner_name=await names_in(data)(record.owner),
        deleted_at=record.deleted_at or None,
        opened_at=record.opened_at,
        runs=[exchange for exchange in exchanges if exchange],
        cursor=page.cursor,
    )
    return answer(view, headers={"ETag": f'"{found.etag}"'})


async def _exchange(data: TenantData, run: RunId) -> Exchange | None:
    try:
        view = await told_run(data, run)
    except NotFound:
        return None  # it was joined to the conversation, and its first event never written
    return Exchange(
        run=run,
        state=view.state,
        code=view.code,
        opened_at=view.opened_at,
        message=view.message,
        answer=view.answer,
    )
