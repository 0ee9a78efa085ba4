"""A person's conversations as lists: all of them, and those that hold some words."""

from typing import Annotated

from pydantic import Field, StringConstraints

from core import ConversationId, RunId, TenantContext
from core.parts import RunState
from data import RUNS, Page, Row, RunSummary, TenantData
from interaction.answers import Given, Told
from interaction.conversation_search import Found, Words
from interaction.decisions import text_of
from interaction.dependencies import InteractionDependencies
from interaction.paging import chosen_page
from interaction.parameters import PLAIN_LINE
from interaction.routes.runs import lag
from orchestration import ConversationRecord, Fetch, fetcher
from web import WHOLE

_TITLE_LENGTH = 80
_ROWS = 10


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


class ConversationSearch(Given):
    """Words to look for in your conversations. `cursor` is what the search before gave."""

    text: Annotated[str, StringConstraints(max_length=200, pattern=PLAIN_LINE)] = Field(examples=["tent pole"])
    cursor: Annotated[str, StringConstraints(max_length=1000)] | None = None
    limit: Annotated[int, Field(ge=1, le=50), WHOLE] = 20


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


async def conversation_list(
    deps: InteractionDependencies, me: TenantContext, cursor: str | None, limit: int
) -> ConversationPage:
    """Return somebody's conversations, the one with the latest run first."""
    data = deps.store.tenant(me)
    fetch = fetcher(data)

    async def read(after: str | None, count: int) -> Page[Row]:
        return await data.views.list(RUNS.view, owner=me.principal.id, cursor=after, limit=count)

    async def choose(row: Row) -> ConversationLine | None:
        return await line_of(data, me, RunSummary.model_validate_json(row.body), fetch)

    page = await chosen_page(read, choose, cursor=cursor, limit=limit)
    return ConversationPage(items=list(page.items), cursor=page.cursor, lag=await lag(deps))


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


async def _hit(
    data: TenantData, me: TenantContext, run: RunSummary, words: Words, fetch: Fetch
) -> ConversationHit | None:
    line = await line_of(data, me, run, fetch)
    record = await data.records.get(ConversationRecord, line.conversation) if line else None
    if line is None or record is None:
        return None
    found = await words.find(data, record.value, line.title, fetch)
    return ConversationHit(**dict(line), found=found) if found else None


async def line_of(data: TenantData, me: TenantContext, run: RunSummary, fetch: Fetch) -> ConversationLine | None:
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


async def title_of(record: ConversationRecord, fetch: Fetch) -> str:
    """Return what a conversation is called: in one line, shortened."""
    text = " ".join((await text_of(record.title, fetch)).split())
    return text if len(text) <= _TITLE_LENGTH else f"{text[:_TITLE_LENGTH].rstrip()}…"
