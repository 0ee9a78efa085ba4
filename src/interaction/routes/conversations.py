"""Conversations: a person's turns with an agent, one after the other."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field, StringConstraints

from core import ConversationId, RunId, TenantContext
from core.errors import NotFound, PreconditionFailed
from core.events import RunState
from data import RUNS, Page, Row, RunSummary, TenantData, Versioned
from interaction.answers import Given, Told, answer, described, event_stream, problems
from interaction.authority import Me
from interaction.changes import LiveChanges, live_list
from interaction.conversation_search import Found, Words
from interaction.decisions import text_of
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import chosen_page, newest_first
from interaction.parameters import PLAIN_LINE, ConversationPath, Cursor, IfMatch, Limit, no_such, whole
from interaction.people import names_in
from interaction.reading import readable_conversation
from interaction.routes.runs import lag
from interaction.run_view import Answer, told_run
from orchestration import ConversationRecord, Fetch, delete_conversation, fetcher, rename_conversation

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])

_TITLE_LENGTH = 80
_ROWS = 10
_ETAG = {"ETag": "Give it as If-Match to change the conversation."}


class ConversationLine(Told):
    """`title` is the beginning of the first message; `state` is that of the last run."""

    conversation: ConversationId
    agent: str
    title: str
    opened_at: str
    updated_at: str
    runs: int
    state: RunState


class ConversationPage(Told):
    """`lag` is how many events the list is behind the log."""

    items: list[ConversationLine]
    cursor: str | None
    lag: int


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


class ConversationSearch(Given):
    """Words to look for in your conversations. `cursor` is what the search before gave."""

    text: Annotated[str, StringConstraints(max_length=200, pattern=PLAIN_LINE)] = Field(examples=["tent pole"])
    cursor: Annotated[str, StringConstraints(max_length=1000)] | None = None
    limit: Annotated[int, Field(ge=1, le=50), BeforeValidator(whole)] = 20


class ConversationHit(ConversationLine):
    found: Found


class ConversationHits(Told):
    """What was found, the conversation with the latest run first.

    Attributes:
        cursor: to look further back; null once all conversations have been looked at.
        turns: how many turns were read for this. A search reads 200 or a few more, and of one conversation the latest
            50, then it stops.
        back_to: of the last conversation looked at, when its latest run began; null if there was none.
        lag: how many events the list of conversations is behind the log.
    """

    items: list[ConversationHit]
    cursor: str | None
    turns: int
    back_to: str | None
    lag: int


@router.get("", responses=described(ConversationPage, 422))
async def list_conversations(me: Me, deps: Deps, cursor: Cursor = None, limit: Limit = 20) -> Response:
    """List your conversations, the one with the latest run first. Any member, their own."""
    return answer(await conversation_list(deps, me, cursor, limit))


async def conversation_list(
    deps: InteractionDependencies, me: TenantContext, cursor: str | None, limit: int
) -> ConversationPage:
    """Return somebody's conversations, the one with the latest run first."""
    data = deps.store.tenant(me)
    fetch = fetcher(data)

    async def read(after: str | None, count: int) -> Page[Row]:
        return await data.views.list(RUNS.view, owner=me.principal.id, cursor=after, limit=count)

    async def choose(row: Row) -> ConversationLine | None:
        return await _line(data, me, RunSummary.model_validate_json(row.body), fetch)

    page = await chosen_page(read, choose, cursor=cursor, limit=limit)
    return ConversationPage(items=list(page.items), cursor=page.cursor, lag=await lag(deps))


@router.get("/events", responses=event_stream(406))
async def follow_conversations(me: Me, deps: Deps, changes: LiveChanges, request: Request) -> Response:
    """Follow the list of your conversations: a turn that begins, waits, goes on or ends. Any member, their own.

    The stream begins with `ready`: read the list then, and again after a connection broke. Each change is an event
    `conversation` with the line of the list as it is now. It lasts ten minutes at most; connect again.
    """
    data = deps.store.tenant(me)

    async def line(row: Row) -> ConversationLine | None:
        return await _line(data, me, RunSummary.model_validate_json(row.body), fetcher(data))

    return live_list(
        changes, me, RUNS.view, owner=me.principal.id, headers=request.headers, name="conversation", line=line
    )


@router.post("/search", responses=described(ConversationHits, 413, 415, 422))
async def search_conversations(body: ConversationSearch, me: Me, deps: Deps) -> Response:
    """Look for words in your conversations: in titles, in what you wrote, in what was answered. Any member, their own.

    All words must stand in the same text; case and accents do not matter.
    """
    return answer(await find_conversations(deps, me, body))


async def find_conversations(
    deps: InteractionDependencies, me: TenantContext, body: ConversationSearch
) -> ConversationHits:
    """Look for words in somebody's conversations."""
    data = deps.store.tenant(me)
    fetch, words, hits = fetcher(data), Words(body.text), list[ConversationHit]()
    cursor, back_to = body.cursor, None
    while True:
        count = min(_ROWS, body.limit - len(hits))
        page = await data.views.list(RUNS.view, owner=me.principal.id, cursor=cursor, limit=count)
        cursor = page.cursor
        for row in page.items:
            run = RunSummary.model_validate_json(row.body)
            back_to = run.opened_at
            if hit := await _hit(data, me, run, words, fetch):
                hits.append(hit)
        if cursor is None or words.exhausted or len(hits) == body.limit:
            break
    return ConversationHits(items=hits, cursor=cursor, turns=words.turns, back_to=back_to, lag=await lag(deps))


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


async def _hit(
    data: TenantData, me: TenantContext, run: RunSummary, words: Words, fetch: Fetch
) -> ConversationHit | None:
    line = await _line(data, me, run, fetch)
    record = await data.records.get(ConversationRecord, line.conversation) if line else None
    if line is None or record is None:
        return None
    found = await words.find(data, record.value, line.title, fetch)
    return ConversationHit(**dict(line), found=found) if found else None


async def _line(data: TenantData, me: TenantContext, run: RunSummary, fetch: Fetch) -> ConversationLine | None:
    """Return the conversation at its last run in the view, and nothing at its earlier ones: each is listed once."""
    found = await data.records.get(ConversationRecord, run.conversation) if run.conversation else None
    if (
        found is None
        or found.value.owner != me.principal.id
        or found.value.deleted_at
        or run.run in found.value.replaced
        or await _goes_on(data, found.value, run.run)
    ):
        return None
    record = found.value
    return ConversationLine(
        conversation=record.id,
        agent=record.agent,
        title=await title_of(record, fetch),
        opened_at=record.opened_at,
        updated_at=run.updated_at,
        runs=len(record.runs),
        state=run.state,
    )


async def _goes_on(data: TenantData, record: ConversationRecord, run: RunId) -> bool:
    """Return whether a later run of the conversation is in the view. The last may be missing: it was never opened."""
    later = record.runs[record.runs.index(run) + 1 :] if run in record.runs else ()
    for candidate in later:
        if await data.views.get(RUNS.view, candidate):
            return True
    return False


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


async def title_of(record: ConversationRecord, fetch: Fetch) -> str:
    """Return what a conversation is called: in one line, shortened."""
    text = " ".join((await text_of(record.title, fetch)).split())
    return text if len(text) <= _TITLE_LENGTH else f"{text[:_TITLE_LENGTH].rstrip()}…"
