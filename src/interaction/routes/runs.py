"""Runs: start one, list them, read one, cancel one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, StringConstraints

from core import ConversationId, RunId, TenantContext
from core.bodies import RunOpened
from core.errors import Forbidden
from core.parts import RunState
from data import RUNS, Page, Projector, RunSummary
from interaction.answers import Given, Told, answer, described
from interaction.authority import Me, User, oversees
from interaction.dependencies import Deps, InteractionDependencies
from interaction.paging import newest_first
from interaction.parameters import (
    ConversationField,
    Cursor,
    Flag,
    IdempotencyKey,
    Limit,
    RunField,
    RunPath,
    no_such,
    run_for,
)
from interaction.people import names_in
from interaction.reading import own_run, readable_conversation, readable_run
from interaction.relay import EVENT_STREAM, relayed, wants_stream
from interaction.run_view import RunView, told_run, view_run
from interaction.starting import (
    MESSAGE_CHARACTERS,
    MESSAGE_PATTERN,
    NewTurn,
    finished_turn,
    started_headers,
    streamed_turn,
)
from orchestration import fetcher

router = APIRouter(prefix="/v1/runs", tags=["runs"])

CALL_TIME = timedelta(seconds=30)

_STARTED = {"Location": "Where the run can be read.", "Mandate-Run": "Its id."}


class NewRun(Given):
    """What you ask an agent.

    Attributes:
        conversation: to go on with one of yours; leave it out to begin a new one.
        use_knowledge: whether the agent looks into the organisation's documents first.
        replaces: the last run of a conversation of yours, ended: this one takes its place there.
    """

    agent: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(examples=["support"])
    message: Annotated[str, StringConstraints(min_length=1, max_length=MESSAGE_CHARACTERS, pattern=MESSAGE_PATTERN)] = (
        Field(examples=["How long does a customer have to send a drill back?"])
    )
    conversation: ConversationField | None = None
    use_knowledge: bool = True
    replaces: RunField | None = None


class RunPage(Told):
    """`lag` is how many events the list is behind the log."""

    items: list[RunSummary]
    cursor: str | None
    lag: int


_START_ANSWERS = {
    **described(RunView, status=202, headers=_STARTED, says="It waits for a person's decision"),
    **described(RunView, 402, 404, 406, 409, 413, 415, 422, 504, headers=_STARTED, says="It has ended; see `state`"),
}
_START_ANSWERS[200]["content"] = {EVENT_STREAM: {"schema": {"type": "string"}}}


@router.post("", responses=_START_ANSWERS)
async def start_run(body: NewRun, me: User, deps: Deps, request: Request, key: IdempotencyKey = None) -> Response:
    """Ask an agent. Roles: user, approver, admin, owner.

    With `Accept: text/event-stream` you see the run as it happens: events with their number as id, and the text as it
    is written. Otherwise the answer comes when the run has ended or waits for a person.
    """
    as_stream = wants_stream(request.headers)
    run = await run_for(deps.store.tenant(me), key)
    turn = await turn_of(deps, me, body, run)
    headers = started_headers(run)
    if as_stream:
        return await relayed(streamed_turn(deps, me, turn), headers)
    data = deps.store.tenant(me)
    view = await view_run(await finished_turn(deps, me, turn), fetcher(data), names_in(data), me)
    return answer(view, 200 if view.state.ended else 202, headers)


async def turn_of(deps: InteractionDependencies, me: TenantContext, body: NewRun, run: RunId) -> NewTurn:
    """Return what to start for `body`."""
    conversation = await _conversation(deps, me, body)
    return NewTurn(run, body.agent, body.message, conversation, body.use_knowledge, replaces=body.replaces)


@router.get("", responses=described(RunPage, 404, 422))
async def list_runs(
    me: Me,
    deps: Deps,
    *,
    state: RunState | None = None,
    conversation: ConversationField | None = None,
    mine: Annotated[Flag, Query(description="Owners, admins and auditors may ask for all: `false`.")] = True,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List runs, the latest first. Any member, their own; owners, admins and auditors, all."""
    if not mine and not oversees(me):
        raise Forbidden("Only an owner, admin or auditor may list what others do.", code="access.role")
    states = [state] if state else []
    if conversation:
        page = await _of_conversation(deps, me, conversation, states=states, cursor=cursor, limit=limit)
    else:
        owner = me.principal.id if mine else None
        views = deps.store.tenant(me).views
        rows = await views.list(RUNS.view, owner=owner, states=states, cursor=cursor, limit=limit)
        page = Page([RunSummary.model_validate_json(row.body) for row in rows.items], rows.cursor)
    return answer(RunPage(items=list(page.items), cursor=page.cursor, lag=await lag(deps)))


@router.get("/{run}", responses=described(RunView, 404))
async def read_one_run(run: RunPath, me: Me, deps: Deps) -> Response:
    """Read a run. Its requester; owners, admins, auditors; an approver who can decide in it, or has."""
    data = deps.store.tenant(me)
    events = await readable_run(deps.store, me, run)
    return answer(await view_run(events, fetcher(data), names_in(data), me))


@router.post("/{run}/cancel", status_code=202, responses=described(RunView, 404, 409, 504, status=202))
async def cancel_run(run: RunPath, me: User, deps: Deps) -> Response:
    """End a run that you started, as soon as it can stop. What was done before stays done.

    Roles: user, approver, admin, owner.
    """
    await own_run(deps.store, me, run)
    await deps.orchestration.call(me, "POST", f"/internal/runs/{run}/cancel", deadline=deps.clock.now() + CALL_TIME)
    return answer(await told_run(deps.store.tenant(me), run), 202)


async def _conversation(deps: InteractionDependencies, me: TenantContext, body: NewRun) -> ConversationId | None:
    """Return the conversation to go on with: what is replaced says by itself where it belongs."""
    if body.replaces is None:
        return body.conversation
    await own_run(deps.store, me, body.replaces)
    first = (await deps.store.tenant(me).log.read(body.replaces, limit=1))[0].event.body
    conversation = first.conversation if isinstance(first, RunOpened) else None
    if conversation is None or body.conversation not in (None, conversation):
        raise no_such("run")
    return conversation


async def lag(deps: InteractionDependencies) -> int:
    """Return how many events the views are behind."""
    return await Projector(deps.store.platform).lag()


async def catch_up(deps: InteractionDependencies) -> None:
    """Bring the views up to the log, for who must find what was written a moment ago."""
    await Projector(deps.store.platform).catch_up()


async def _of_conversation(
    deps: InteractionDependencies,
    me: TenantContext,
    conversation: ConversationId,
    *,
    states: Sequence[RunState],
    cursor: str | None,
    limit: int,
) -> Page[RunSummary]:
    record = (await readable_conversation(deps.store, me, conversation)).value
    page = newest_first(record.runs, cursor=cursor, limit=limit)
    found = [await _summary(deps, me, run) for run in page.items]
    return Page([line for line in found if line and (not states or line.state in states)], page.cursor)


async def _summary(deps: InteractionDependencies, me: TenantContext, run: RunId) -> RunSummary | None:
    row = await deps.store.tenant(me).views.get(RUNS.view, run)
    return RunSummary.model_validate_json(row.body) if row else None
