"""`/` and `/conversations`: talking to an agent."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import StringConstraints

from core import ConversationId, RunId, TenantContext
from core.bodies import RunOpened
from core.errors import Timeout
from core.parts import FlagKind
from interaction.answers import problems
from interaction.authority import Me, User
from interaction.console.exchanges import Exchange, exchange_of, of_conversation, opened_source
from interaction.console.forms import form_of
from interaction.console.navigation import Entry, entries
from interaction.console.rendering import PageView
from interaction.conversation_lists import ConversationSearch, conversation_list, find_conversations, title_of
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import newest_first
from interaction.parameters import ConversationPath, Cursor, Flag, RunPath, no_such, run_for
from interaction.people import names_in
from interaction.reading import readable_conversation
from interaction.routes.agents import agent_named, register_entry
from interaction.routes.conversations import ConversationChange, delete, rename
from interaction.routes.flags import NewFlag, flag_run
from interaction.routes.runs import NewRun, cancel_run, turn_of
from interaction.starting import finished_turn
from orchestration import ConversationRecord, fetcher

router = APIRouter(tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="chat", path="/", icon="chat", position=10, below=("/conversations",))

_LISTED = 20
_SHOWN = 10
_SEE_OTHER = 303
_LONGEST_WAIT = timedelta(seconds=25)
"""How long a browser without script waits for an answer; then it is shown what there is."""

ListCursor = Annotated[Cursor, Query(alias="list")]
Number = Annotated[int, Path(ge=1, le=999)]
_MOVED = {303: {"description": "To the page that shows it"}}


class _Asked(NewRun):
    """The composer's form; a box that is not ticked is not sent."""

    use_knowledge: bool = False
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None


@router.get("/", responses=problems(404))
async def new_conversation(
    me: Me, deps: Deps, page: PageView, agent: Annotated[str, Query(max_length=64)] = "", cursor: ListCursor = None
) -> Response:
    """Begin a conversation, or choose one of yours. Any member."""
    chosen = agent_named(deps, agent or next(iter(deps.agents)))
    return await page.show(
        "chat.html",
        200,
        **await _surroundings(deps, me, chosen.name, cursor),
        conversation=None,
        places=[entry for entry in entries(me) if entry is not ENTRY],
    )


@router.get("/conversations/search", responses={**_MOVED, **problems()})
async def look_again(_: Me) -> Response:
    """Go to where you can search: what you looked for before is in no address. Any member."""
    return RedirectResponse("/", _SEE_OTHER)


@router.post("/conversations/search", responses=problems(422))
async def look_for_conversations(request: Request, me: Me, deps: Deps, page: PageView) -> Response:
    """Look for words in your conversations. Any member, their own."""
    asked = await form_of(request, ConversationSearch)
    return await page.show("found.html", found=await find_conversations(deps, me, asked), text=asked.text)


@router.post("/conversations", responses={**_MOVED, **problems(402, 404, 409, 422)})
async def send_message(request: Request, me: User, deps: Deps) -> Response:
    """Send a message, and see what came of it. Roles: user, approver, admin, owner."""
    asked = await form_of(request, _Asked)
    run = await run_for(deps.store.tenant(me), asked.key)
    try:
        body = NewRun.model_validate(asked.model_dump(exclude={"key"}))
        await finished_turn(deps, me, await turn_of(deps, me, body, run), within=_LONGEST_WAIT)
    except Timeout:
        if not await deps.store.tenant(me).log.read(run, limit=1):
            raise
    return _to(await _conversation_of(deps, me, run), run)


@router.get("/conversations/{conversation}", responses=problems(404, 422))
async def conversation_page(
    conversation: ConversationPath,
    me: Me,
    deps: Deps,
    page: PageView,
    *,
    cursor: Cursor = None,
    listed: ListCursor = None,
    edit: Annotated[Flag, Query(description="Whether you change your last message.")] = False,
) -> Response:
    """Show a conversation. Its owner; owners, admins and auditors of the organisation."""
    record = (await readable_conversation(deps.store, me, conversation)).value
    runs = newest_first(record.runs, cursor=cursor, limit=_SHOWN)
    exchanges = [found for run in reversed(runs.items) if (found := await exchange_of(deps, me, run))]
    return await page.show(
        "chat.html",
        200,
        **await _surroundings(deps, me, record.agent, listed),
        **await _about(deps, me, record),
        exchanges=exchanges,
        earlier=runs.cursor,
        latest=cursor is None,
        editing=_editing(exchanges) if edit and cursor is None else None,
    )


@router.post("/conversations/{conversation}/title", responses={**_MOVED, **problems(404, 422)})
async def give_title(conversation: ConversationPath, request: Request, me: Me, deps: Deps) -> Response:
    """Give a conversation of yours a title. Any member."""
    await rename(conversation, await form_of(request, ConversationChange), me, deps)
    return RedirectResponse(f"/conversations/{conversation}", _SEE_OTHER)


@router.post("/conversations/{conversation}/delete", responses={**_MOVED, **problems(404, 409)})
async def erase_conversation(conversation: ConversationPath, me: Me, deps: Deps) -> Response:
    """Erase a conversation of yours. Any member."""
    await delete(conversation, me, deps)
    return RedirectResponse("/", _SEE_OTHER)


@router.get("/conversations/{conversation}/exchanges/{run}", responses=problems(404))
async def exchange_page(conversation: ConversationPath, run: RunPath, me: Me, deps: Deps, page: PageView) -> Response:
    """Show one exchange of a conversation. Who may read the conversation."""
    record = (await readable_conversation(deps.store, me, conversation)).value
    shown = of_conversation(await exchange_of(deps, me, run), conversation)
    return await page.show(
        "exchange.html",
        200,
        **await _about(deps, me, record),
        agent=deps.agents.get(record.agent),
        shown=shown,
        is_last=run == record.runs[-1],
    )


@router.get("/conversations/{conversation}/exchanges/{run}/sources/{number}", responses=problems(404, 422))
async def source_page(
    conversation: ConversationPath, run: RunPath, number: Number, me: Me, deps: Deps, page: PageView
) -> Response:
    """Show a passage that an answer cites, as the agent read it. Who may read the conversation."""
    await _check_place(deps, me, conversation, run)
    opened = await opened_source(deps.store.tenant(me), run, number)
    return await page.show("source.html", opened=opened, conversation=conversation, run=run)


@router.post("/conversations/{conversation}/exchanges/{run}/stop", responses={**_MOVED, **problems(404, 409)})
async def stop_run(conversation: ConversationPath, run: RunPath, me: User, deps: Deps) -> Response:
    """End what the agent does for you. Roles: user, approver, admin, owner."""
    await _check_place(deps, me, conversation, run)
    await cancel_run(run, me, deps)
    return _to(conversation, run)


@router.post("/conversations/{conversation}/exchanges/{run}/flags", responses={**_MOVED, **problems(404, 409, 422)})
async def flag_exchange(conversation: ConversationPath, run: RunPath, request: Request, me: Me, deps: Deps) -> Response:
    """Say what is wrong with an answer. Who may read the run."""
    await _check_place(deps, me, conversation, run)
    await flag_run(run, await form_of(request, NewFlag), me, deps)
    return _to(conversation, run)


async def _surroundings(
    deps: InteractionDependencies, me: TenantContext, agent: str, cursor: str | None
) -> Mapping[str, object]:
    """Return what both kinds of conversation page have: the list beside it, the agent, and a form with a key."""
    known = deps.agents.get(agent)
    return {
        "conversations": await conversation_list(deps, me, cursor, _LISTED),
        "agents": list(deps.agents.values()),
        "agent": await register_entry(me, known, deps) if known else None,
        "key": secrets.token_urlsafe(16),
    }


async def _about(deps: InteractionDependencies, me: TenantContext, record: ConversationRecord) -> Mapping[str, object]:
    data = deps.store.tenant(me)
    return {
        "conversation": record.id,
        "agent_name": record.agent,
        "title": await title_of(record, fetcher(data)),
        "mine": record.owner == me.principal.id,
        "owner": await names_in(data)(record.owner),
        "flag_kinds": list(FlagKind),
    }


async def _check_place(
    deps: InteractionDependencies, me: TenantContext, conversation: ConversationId, run: RunId
) -> None:
    """Raise `NotFound` unless the caller may read the conversation, and the run is one of it."""
    record = (await readable_conversation(deps.store, me, conversation)).value
    if run not in (*record.runs, *record.replaced):
        raise no_such("run")


def _editing(exchanges: list[Exchange]) -> Exchange | None:
    return exchanges[-1] if exchanges and not exchanges[-1].live else None


async def _conversation_of(deps: InteractionDependencies, me: TenantContext, run: RunId) -> ConversationId:
    first = (await deps.store.tenant(me).log.read(run, limit=1))[0].event.body
    if not isinstance(first, RunOpened) or first.conversation is None:
        raise no_such("run")
    return first.conversation


def _to(conversation: ConversationId, run: RunId) -> Response:
    return RedirectResponse(f"/conversations/{conversation}#{run}", _SEE_OTHER)
