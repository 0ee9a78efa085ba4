"""`/approvals`: what waits for a person, what speaks for it, and the decision."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from core import ApprovalId, Role, TenantContext
from core.bodies import ApprovalRequested, ApprovalResolved
from core.errors import Conflict
from core.events import Stored
from data import APPROVALS, ApprovalSummary, read_run
from interaction.answers import problems
from interaction.approval_view import ApprovalView
from interaction.authority import Me, User, oversees
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.console.run_events import event_lines
from interaction.decisions import ApprovalStatus
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import ApprovalPath, Cursor
from interaction.people import names_in
from interaction.reading import may_read_run
from interaction.routes.approvals import NewDecision, approval_of, approvals_page, decided, sees_all
from interaction.routes.deputies import deputies_seen
from interaction.run_view import view_run
from orchestration import DECIDERS, fetcher, places_taken

router = APIRouter(prefix="/approvals", tags=["console"], default_response_class=HTMLResponse)

View = Literal["pending", "decided", "all"]

PAGE = 20
MOST_COUNTED = 9

_STATES: Mapping[View, tuple[ApprovalStatus, ...]] = {
    "pending": ("pending",),
    "decided": ("approved", "denied", "expired", "superseded"),
    "all": (),
}
_SEE_OTHER = 303


async def waiting(me: TenantContext, deps: InteractionDependencies) -> int:
    """Return how many approvals somebody could decide; one more than `MOST_COUNTED` stands for all beyond it.

    An admin, who decides nothing, is told of those that have waited for long.
    """
    data = deps.store.tenant(me)
    decides = me.has(*DECIDERS) or bool(await places_taken(data, deps.clock))
    if not (decides or me.has(Role.ADMIN)):
        return 0
    page = await data.views.list(APPROVALS.view, states=["pending"], limit=MOST_COUNTED + 1)
    theirs = [row for row in page.items if row.owner != me.principal.id]
    return sum(decides or ApprovalSummary.model_validate_json(row.body).escalated for row in theirs)


ENTRY = Entry(
    name="approvals", path="/approvals", icon="inbox", position=20, count=waiting, below=("/deputies", "/deciding")
)


@router.get("", responses=problems(422))
async def inbox_page(me: Me, deps: Deps, page: PageView, view: View = "pending", cursor: Cursor = None) -> Response:
    """Show the inbox. Approvers, owners, admins and auditors, all; others, what they asked for."""
    found = await approvals_page(me, deps, states=_STATES[view], cursor=cursor, limit=PAGE)
    return await page.show(
        "approvals.html",
        view=view,
        items=found.items,
        cursor=found.cursor,
        first=cursor is None,
        sees_all=await sees_all(me, deps),
        deputies=await deputies_seen(me, deps),
        decides=me.has(*DECIDERS),
        oversees=oversees(me),
        now=deps.clock.now(),
    )


@router.get("/{approval}", responses=problems(404))
async def approval_page(approval: ApprovalPath, me: Me, deps: Deps, page: PageView) -> Response:
    """Show what would happen, for whom, and what speaks for it. Who may read the approval."""
    return await page.show("approval.html", 200, **await _told(me, deps, approval))


@router.post("/{approval}", responses={303: {"description": "To the approval"}, **problems(404, 409, 413, 422, 504)})
async def decide_page(approval: ApprovalPath, me: User, deps: Deps, page: PageView, request: Request) -> Response:
    """Decide by a form: `verdict`, `reason`, `confirm` for what cannot be undone. Roles: approver, owner, a deputy."""
    told = await approval_of(me, deps, approval)
    given = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    decision, wrong = _decision(given, told)
    if decision is None:
        return await page.show("approval.html", 422, **await _told(me, deps, approval, given, wrong))
    try:
        await decided(me, deps, approval, decision, request.state.token)
    except Conflict:
        return await page.show("approval.html", 409, **await _told(me, deps, approval, given, too_late=True))
    return RedirectResponse(f"/approvals/{approval}", _SEE_OTHER)


def _decision(given: Mapping[str, str], told: ApprovalView) -> tuple[NewDecision | None, Collection[str]]:
    """Return what was decided; or None, and the names of the fields that are wrong."""
    wrong: set[str] = set()
    verdict, reason = given.get("verdict"), given.get("reason", "").replace("\r\n", "\n").strip()
    if verdict == "approved" and not told.then.reversible and not given.get("confirm"):
        wrong.add("confirm")
    try:
        decision = NewDecision.model_validate({"verdict": verdict, "reason": reason})
    except ValidationError as error:
        return None, wrong | {str(found["loc"][0]) for found in error.errors()}
    return (None, wrong) if wrong else (decision, ())


async def _told(
    me: TenantContext,
    deps: InteractionDependencies,
    approval: ApprovalId,
    given: Mapping[str, str] | None = None,
    wrong: Collection[str] = (),
    *,
    too_late: bool = False,
) -> dict[str, object]:
    told, data = await approval_of(me, deps, approval), deps.store.tenant(me)
    events = await read_run(data, told.run)
    before, after = _around(events, approval)
    readable = may_read_run(me, events)
    name, fetch = names_in(data), fetcher(data)
    lines = partial(event_lines, opened_at=events[0].event.at, agent=told.agent, fetch=fetch, name=name)
    return {
        "approval": told,
        "given": given or {},
        "wrong": wrong,
        "too_late": too_late,
        "agent": deps.agents.get(told.agent),
        "before": await lines(before),
        "after": await lines(after) if readable else [],
        "run": await view_run(events, fetch, name, me) if readable else None,
        "follow_from": len(events),
    }


def _around(events: list[Stored], approval: ApprovalId) -> tuple[list[Stored], list[Stored]]:
    """Return what had happened when the person was asked, and what has happened since it was resolved."""
    before: list[Stored] = []
    for number, stored in enumerate(events):
        body = stored.event.body
        if isinstance(body, ApprovalRequested) and body.approval == approval:
            before = events[: number + 1]
        if isinstance(body, ApprovalResolved) and body.approval == approval:
            return before, events[number + 1 :]
    return before, []
