"""Flags: say that an answer is wrong or worse; list what was said, and deal with it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from core import ContentRef, FlagId, RunId
from core.parts import FlagKind
from data import FLAGS, FlagState, FlagSummary, Row, TenantData
from interaction.answers import Given, Told, answer, described
from interaction.authority import Admin, Me, Overseer
from interaction.decisions import text_of
from interaction.dependencies import Deps
from interaction.evaluation_cases import CasePage, case_of
from interaction.parameters import Cursor, FlagPath, Limit, RunPath, no_such
from interaction.people import NameOf, names_in
from interaction.reading import readable_run
from interaction.routes.runs import lag
from orchestration import Fetch, fetcher, flag_answer, resolve_flag

router = APIRouter(prefix="/v1", tags=["flags"])

Reason = Annotated[str, StringConstraints(min_length=3, max_length=1000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


class NewFlag(Given):
    """What is wrong with the answer. The reason is kept, and read by those who oversee the agent."""

    kind: Annotated[FlagKind, Field(strict=False)]
    reason: Reason = Field(examples=["We never had a five-year warranty on tents."])


class FlagPlaced(Told):
    flag: FlagId
    run: RunId
    kind: FlagKind
    flagged_at: str
    state: FlagState


class Resolution(Given):
    """What was done about it."""

    reason: Reason = Field(examples=["The warranty page was out of date; it is corrected."])


class FlagLine(Told):
    """One flag. People are named by their pseudonym, and by their name where it is still known."""

    flag: FlagId
    run: RunId
    agent: str
    kind: FlagKind
    reason: str
    flagged_by: str
    flagged_by_name: str | None
    flagged_at: str
    state: FlagState
    resolution: str | None
    resolved_by: str | None
    resolved_by_name: str | None
    resolved_at: str | None


class FlagPage(Told):
    """`lag` is how many events the list is behind the log."""

    items: list[FlagLine]
    cursor: str | None
    lag: int


@router.post(
    "/runs/{run}/flags",
    responses=described(FlagPlaced, status=201, says="It is new")
    | described(FlagPlaced, 404, 409, 413, 415, 422, says="You had said the same before"),
)
async def flag_run(run: RunPath, body: NewFlag, me: Me, deps: Deps) -> Response:
    """Flag the answer of a run. Who may read the run, once each; the same flag sent again changes nothing."""
    await readable_run(deps.store, me, run)
    flag, is_new = await flag_answer(deps.store.tenant(me), deps.clock, run, body.kind, body.reason)
    state: FlagState = "resolved" if flag.resolved else "open"
    placed = FlagPlaced(flag=flag.id, run=run, kind=flag.kind, flagged_at=flag.at, state=state)
    return answer(placed, 201 if is_new else 200)


@router.get("/flags", responses=described(FlagPage, 422))
async def list_flags(
    me: Overseer, deps: Deps, state: FlagState | Literal["all"] = "open", cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """List flags, the latest first. Roles: owner, admin, auditor."""
    data = deps.store.tenant(me)
    page = await data.views.list(FLAGS.view, states=[] if state == "all" else [state], cursor=cursor, limit=limit)
    fetch, name = fetcher(data), names_in(data)
    items = [await _line(row, fetch, name) for row in page.items]
    return answer(FlagPage(items=items, cursor=page.cursor, lag=await lag(deps)))


@router.get("/flags/cases", responses=described(CasePage, 422))
async def list_cases(
    me: Overseer, deps: Deps, state: FlagState | Literal["all"] = "all", cursor: Cursor = None, limit: Limit = 20
) -> Response:
    """Take flagged answers along as cases for evaluating the agent, the latest first. Roles: owner, admin, auditor."""
    data = deps.store.tenant(me)
    page = await data.views.list(FLAGS.view, states=[] if state == "all" else [state], cursor=cursor, limit=limit)
    fetch, flags = fetcher(data), [FlagSummary.model_validate_json(row.body) for row in page.items]
    items = [await case_of(flag, data, fetch, deps.registry) for flag in flags]
    return answer(CasePage(items=items, cursor=page.cursor, lag=await lag(deps)))


@router.post("/flags/{flag}/resolve", responses=described(FlagPlaced, 404, 409, 413, 415, 422))
async def resolve(flag: FlagPath, body: Resolution, me: Admin, deps: Deps) -> Response:
    """Say what was done about a flag, which closes it. Roles: owner, admin."""
    data = deps.store.tenant(me)
    run = await _run_of(data, flag)
    resolved = await resolve_flag(data, deps.clock, run, flag, body.reason)
    return answer(
        FlagPlaced(flag=flag, run=run, kind=resolved.kind, flagged_at=resolved.at, state="resolved"),
    )


async def _run_of(data: TenantData, flag: FlagId) -> RunId:
    row = await data.views.get(FLAGS.view, flag)
    if row is None:
        raise no_such("flag")
    return row.run


async def _line(row: Row, fetch: Fetch, name: NameOf) -> FlagLine:
    flag = FlagSummary.model_validate_json(row.body)
    return FlagLine(
        flag=flag.flag,
        run=flag.run,
        agent=flag.agent,
        kind=flag.kind,
        reason=await text_of(flag.reason, fetch),
        flagged_by=flag.flagged_by,
        flagged_by_name=await name(flag.flagged_by),
        flagged_at=flag.flagged_at,
        state=flag.state,
        resolution=await _maybe(flag.resolution, fetch),
        resolved_by=flag.resolved_by or None,
        resolved_by_name=await name(flag.resolved_by) if flag.resolved_by else None,
        resolved_at=flag.resolved_at or None,
    )


async def _maybe(ref: ContentRef | None, fetch: Fetch) -> str | None:
    return await text_of(ref, fetch) if ref else None
