"""Conversations: a person's turns with an agent, one after the other."""

from fastapi import APIRouter, Response

from core import ConversationId, RunId, TenantContext
from core.errors import NotFound
from core.events import RunState
from data import RUNS, Page, Row, RunSummary, TenantData, read_run
from interaction.answers import Told, answer, described
from interaction.authority import Me
from interaction.decisions import text_of
from interaction.dependencies import Deps
from interaction.paging import chosen_page, newest_first
from interaction.parameters import ConversationPath, Cursor, Limit
from interaction.reading import readable_conversation
from interaction.routes.runs import lag
from interaction.run_view import Answer, view_run
from orchestration import ConversationRecord, Fetch, fetcher

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])

_TITLE_LENGTH = 80


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
    """`runs` are in the order in which they happened, the latest of them at the end; `cursor` leads to earlier ones."""

    conversation: ConversationId
    agent: str
    title: str
    owner: str
    opened_at: str
    runs: list[Exchange]
    cursor: str | None


@router.get("", responses=described(ConversationPage, 422))
async def list_conversations(me: Me, deps: Deps, cursor: Cursor = None, limit: Limit = 20) -> Response:
    """List your conversations, the one with the latest run first. Any member, their own."""
    data = deps.store.tenant(me)
    fetch = fetcher(data)

    async def read(after: str | None, count: int) -> Page[Row]:
        return await data.views.list(RUNS.view, owner=me.principal.id, cursor=after, limit=count)

    async def choose(row: Row) -> ConversationLine | None:
        return await _line(data, me, RunSummary.model_validate_json(row.body), fetch)

    page = await chosen_page(read, choose, cursor=cursor, limit=limit)
    return answer(ConversationPage(items=list(page.items), cursor=page.cursor, lag=await lag(deps)))


@router.get("/{conversation}", responses=described(ConversationView, 404, 422))
async def read_conversation(
    conversation: ConversationPath, me: Me, deps: Deps, cursor: Cursor = None, limit: Limit = 20
) -> Response:
    """Read a conversation with its latest runs. Its owner; owners, admins and auditors of the organisation."""
    record = await readable_conversation(deps.store, me, conversation)
    data = deps.store.tenant(me)
    fetch = fetcher(data)
    page = newest_first(record.runs, cursor=cursor, limit=limit)
    found = [await _exchange(data, run, fetch) for run in reversed(page.items)]
    return answer(
        ConversationView(
            conversation=record.id,
            agent=record.agent,
            title=await _title(record, fetch),
            owner=record.owner,
            opened_at=record.opened_at,
            runs=[exchange for exchange in found if exchange],
            cursor=page.cursor,
        )
    )


async def _line(data: TenantData, me: TenantContext, run: RunSummary, fetch: Fetch) -> ConversationLine | None:
    """Return the conversation at its last run in the view, and nothing at its earlier ones: each is listed once."""
    found = await data.records.get(ConversationRecord, run.conversation) if run.conversation else None
    if found is None or found.value.owner != me.principal.id or await _goes_on(data, found.value, run.run):
        return None
    record = found.value
    return ConversationLine(
        conversation=record.id,
        agent=record.agent,
        title=await _title(record, fetch),
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


async def _exchange(data: TenantData, run: RunId, fetch: Fetch) -> Exchange | None:
    try:
        view = await view_run(await read_run(data, run), fetch)
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


async def _title(record: ConversationRecord, fetch: Fetch) -> str:
    text = " ".join((await text_of(record.title, fetch)).split())
    return text if len(text) <= _TITLE_LENGTH else f"{text[:_TITLE_LENGTH].rstrip()}…"
