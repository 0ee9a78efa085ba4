"""`/runs`: what agents did, read from the log: why, in which order, and where the time went."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import StringConstraints

from core import Role, RunId, TenantContext
from core.errors import Defect, Forbidden
from core.events import Stored
from core.parts import RunKind, RunState
from data import RUNS, RunSummary, Views
from interaction.answers import problems
from interaction.authority import Admin, Me, User, oversees
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.console.run_events import GROUPS, Group, event_lines, group_of
from interaction.console.waterfall_bars import bars_of
from interaction.decisions import text_of
from interaction.dependencies import Deps, InteractionDependencies
from interaction.effects import effects_told
from interaction.parameters import After, Cursor, FlagPath, RunPath
from interaction.people import names_in
from interaction.reading import readable_run, verifiable_run
from interaction.routes.effects import EffectPath, UndoReason, undone
from interaction.routes.flags import Resolution
from interaction.routes.run_evidence import explained, verified
from interaction.run_view import view_run
from interaction.timeline import timeline_of
from orchestration import fetcher, flags_of, fold, resolve_flag

router = APIRouter(prefix="/runs", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="runs", path="/runs", icon="run", position=30)

PAGE = 50
MOST_READS = 4
"""Of the list, to find what a filter wants that the list has no index for; the next page goes on from there."""

EVENTS = 200
"""On one page of a timeline."""

_SEE_OTHER = 303

Whose = Literal["mine", "all"]


@router.get("", responses=problems(422))
async def runs_page(
    me: Me,
    deps: Deps,
    page: PageView,
    *,
    whose: Whose | None = None,
    state: RunState | Literal[""] = "",
    kind: RunKind | Literal[""] = "",
    agent: Annotated[str, StringConstraints(max_length=64)] = "",
    cursor: Cursor = None,
) -> Response:
    """Show runs. Any member, their own; owners, admins and auditors, all."""
    everybody = oversees(me) and whose != "mine"
    if whose == "all" and not everybody:
        raise Forbidden("Only an owner, admin or auditor may list what others do.", code="access.role")
    data = deps.store.tenant(me)
    owner = None if everybody else me.principal.id
    items, more = await _found(data.views, owner, state, (kind, agent), cursor)
    name = names_in(data)
    return await page.show(
        "runs.html",
        items=items,
        cursor=more,
        names={item.requester: await name(item.requester) for item in items},
        whose="all" if everybody else "mine",
        oversees=oversees(me),
        chosen={"state": state, "kind": kind, "agent": agent},
        states=list(RunState),
        kinds=list(RunKind),
        agents=deps.agents.values(),
    )


@router.get("/{run}", responses=problems(404))
async def run_page(run: RunPath, me: Me, deps: Deps, page: PageView) -> Response:
    """Show why a run did what it did. Who may read the run."""
    events = await _readable(me, deps, run)
    if events is None:
        return await _broken(me, deps, page, run)
    shared = await _shared(me, deps, events)
    data = deps.store.tenant(me)
    effects = await effects_told(events, data, fetcher(data), deps.registry)
    return await page.show("run_why.html", 200, **shared, told=await explained(me, deps, events), effects=effects)


@router.get("/{run}/timeline", responses=problems(404, 422))
async def timeline_page(
    run: RunPath,
    me: Me,
    deps: Deps,
    page: PageView,
    *,
    only: Annotated[Group | None, Query(description="Events of this kind alone.")] = None,
    after: After = None,
) -> Response:
    """Show every event of a run. Who may read the run."""
    events = await _readable(me, deps, run)
    if events is None:
        return await _broken(me, deps, page, run)
    data = deps.store.tenant(me)
    chosen = [stored for stored in events if only in (None, group_of(stored)) and stored.event.seq > (after or 0)]
    lines = await event_lines(
        chosen[:EVENTS],
        opened_at=events[0].event.at,
        agent=fold(events).run.agent,
        fetch=fetcher(data),
        name=names_in(data),
    )
    counts = {group: sum(group_of(stored) == group for stored in events) for group in GROUPS}
    more = lines[-1].seq if len(chosen) > EVENTS else None
    shared = await _shared(me, deps, events)
    return await page.show(
        "run_timeline.html", 200, **shared, lines=lines, only=only, counts=counts, more=more, total=len(events)
    )


@router.get("/{run}/waterfall", responses=problems(404))
async def waterfall_page(run: RunPath, me: Me, deps: Deps, page: PageView) -> Response:
    """Show where a run's time, tokens and money went. Who may read the run."""
    events = await _readable(me, deps, run)
    if events is None:
        return await _broken(me, deps, page, run)
    timeline = timeline_of(events, now=deps.clock.now(), currency=deps.currency)
    shared = await _shared(me, deps, events)
    return await page.show("run_waterfall.html", 200, **shared, timeline=timeline, bars=bars_of(timeline.spans))


@router.post("/{run}/flags/{flag}", responses={303: {"description": "To the run"}, **problems(404, 409, 413, 422, 504)})
async def resolve_page(run: RunPath, flag: FlagPath, me: Admin, deps: Deps, request: Request) -> Response:
    """Say by a form what was done about a flag: `reason`. Roles: owner, admin."""
    await readable_run(deps.store, me, run)
    said = await form_of(request, Resolution)
    await resolve_flag(deps.store.tenant(me), deps.clock, run, flag, said.reason)
    return RedirectResponse(f"/runs/{run}#flags", _SEE_OTHER)


@router.post(
    "/{run}/effects/{seq}/undo",
    responses={303: {"description": "To the run that does"}, **problems(404, 409, 413, 422, 504)},
)
async def undo_page(run: RunPath, seq: EffectPath, me: User, deps: Deps, request: Request) -> Response:
    """Have an effect taken back by a form: `reason`. Who asked for the run; admins and the owner."""
    said = await form_of(request, UndoReason)
    return RedirectResponse(f"/runs/{await undone(me, deps, run, seq, said.reason)}", _SEE_OTHER)


async def _readable(me: TenantContext, deps: InteractionDependencies, run: RunId) -> list[Stored] | None:
    """Return a run's events; None if they are not as they were written, and `me` may know.

    Raises:
        NotFound: there is no such run, or it is not theirs to see.
    """
    try:
        return await readable_run(deps.store, me, run)
    except Defect:
        await verifiable_run(deps.store, me, run)
        return None


async def _broken(me: TenantContext, deps: InteractionDependencies, page: PageView, run: RunId) -> Response:
    return await page.show("run_broken.html", 500, run=run, chain=await verified(me, deps, run))


async def _shared(me: TenantContext, deps: InteractionDependencies, events: list[Stored]) -> dict[str, object]:
    """Return what stands above each view of a run."""
    data = deps.store.tenant(me)
    name, fetch = names_in(data), fetcher(data)
    view = await view_run(events, fetch, name, me)
    flags = flags_of(events).values()
    return {
        "run": view,
        "agent": deps.agents.get(view.agent),
        "chain": await verified(me, deps, view.run),
        "may_resolve": me.has(Role.OWNER, Role.ADMIN),
        "flags": [
            {
                "flag": flag,
                "by": await name(flag.by.id),
                "reason": await text_of(flag.reason, fetch),
                "done": await text_of(flag.resolved.reason, fetch) if flag.resolved else None,
            }
            for flag in flags
        ],
    }


async def _found(
    views: Views, owner: str | None, state: str, wanted: tuple[str, str], cursor: str | None
) -> tuple[list[RunSummary], str | None]:
    """Return a page of runs, which may be short though there are more."""
    states = [state] if state else []
    found: list[RunSummary] = []
    for _ in range(MOST_READS):
        rows = await views.list(RUNS.view, owner=owner, states=states, cursor=cursor, limit=PAGE)
        runs = [RunSummary.model_validate_json(row.body) for row in rows.items]
        found += [
            run
            for run in runs
            if all(want in ("", has) for want, has in zip(wanted, (run.kind, run.agent), strict=True))
        ]
        cursor = rows.cursor
        if cursor is None or len(found) >= PAGE:
            break
    return found, cursor
