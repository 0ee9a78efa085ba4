"""Approvals: what waits for a person, what it would do, and the decision."""

from datetime import timedelta
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from core import ApprovalId, Effect, Role, RunId, TenantContext
from data import APPROVALS, ApprovalSummary, Row, Store, read_run
from interaction.answers import Given, Told, answer, described, event_stream
from interaction.approval_view import ApprovalView, view_approval
from interaction.authority import Approver, Me, oversees
from interaction.changes import LiveChanges, live_list
from interaction.decisions import ApprovalStatus
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import ApprovalPath, Cursor, Limit, no_such
from interaction.people import NameOf, names_in
from interaction.routes.runs import lag
from orchestration import ApprovalRecord, fetcher

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])

CALL_TIME = timedelta(seconds=30)


class ApprovalLine(Told):
    """One line of the inbox. `requester` is the pseudonym of the person whose run it is; the name may be gone."""

    approval: ApprovalId
    run: RunId
    agent: str
    tool: str
    effect: Effect
    requester: str
    requester_name: str | None
    requested_at: str
    expires_at: str
    verdict: ApprovalStatus
    resolved_at: str


class ApprovalPage(Told):
    """`lag` is how many events the list is behind the log."""

    items: list[ApprovalLine]
    cursor: str | None
    lag: int


class NewDecision(Given):
    """Your decision. The reason is kept, and told to whom it affects."""

    verdict: Literal["approved", "denied"]
    reason: Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")] = (
        Field(examples=["The order was delivered broken; the customer sent photos."])
    )


@router.get("", responses=described(ApprovalPage, 422))
async def list_approvals(
    me: Me,
    deps: Deps,
    state: ApprovalStatus | Literal["all"] = "pending",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List approvals, the latest first. Approvers, owners, admins and auditors, all; others, what they asked for."""
    views = deps.store.tenant(me).views
    owner = None if _sees_all(me) else me.principal.id
    states = [] if state == "all" else [state]
    page = await views.list(APPROVALS.view, owner=owner, states=states, cursor=cursor, limit=limit)
    name = names_in(deps.store.tenant(me))
    items = [await _line(row, name) for row in page.items]
    return answer(ApprovalPage(items=items, cursor=page.cursor, lag=await lag(deps)))


@router.get("/events", responses=event_stream(406))
async def follow_approvals(me: Me, deps: Deps, changes: LiveChanges, request: Request) -> Response:
    """Follow the inbox: what is asked and what is decided, as it happens. Whoever may list it, and the same of it.

    The stream begins with `ready`: read the list then, and again after a connection broke. Each change is an event
    `approval` with the line of the list as it is now. It lasts ten minutes at most; connect again.
    """
    name = names_in(deps.store.tenant(me))

    async def line(row: Row) -> ApprovalLine:
        return await _line(row, name)

    owner = None if _sees_all(me) else me.principal.id
    return live_list(changes, me, APPROVALS.view, owner=owner, headers=request.headers, name="approval", line=line)


@router.get("/{approval}", responses=described(ApprovalView, 404))
async def read_approval(approval: ApprovalPath, me: Me, deps: Deps) -> Response:
    """Read what would happen, for whom, and what speaks for it.

    Approvers, owners, admins, auditors; and who asked for it.
    """
    return answer(await _view(deps, me, await _readable(deps.store, me, approval)))


@router.post("/{approval}/decision", responses=described(ApprovalView, 404, 409, 413, 415, 422, 504))
async def decide(approval: ApprovalPath, body: NewDecision, me: Approver, deps: Deps) -> Response:
    """Approve or deny, with a reason; the run goes on at once. Roles: approver, owner; never who asked for it.

    Your own decision sent again changes nothing.
    """
    record = await _readable(deps.store, me, approval)
    if not (record.status == body.verdict and record.approver == me.principal.actor):
        payload = orjson.dumps({"approve": body.verdict == "approved", "reason": body.reason})
        path = f"/internal/approvals/{approval}/decision"
        await deps.orchestration.call(me, "POST", path, body=payload, deadline=deps.clock.now() + CALL_TIME)
        record = await _readable(deps.store, me, approval)
    return answer(await _view(deps, me, record))


def _sees_all(me: TenantContext) -> bool:
    return me.has(Role.APPROVER) or oversees(me)


async def _readable(store: Store, me: TenantContext, approval: ApprovalId) -> ApprovalRecord:
    found = await store.tenant(me).records.get(ApprovalRecord, approval)
    if found is None or not (_sees_all(me) or found.value.requester == me.principal.id):
        raise no_such("approval")
    return found.value


async def _view(deps: InteractionDependencies, me: TenantContext, record: ApprovalRecord) -> ApprovalView:
    data = deps.store.tenant(me)
    return await view_approval(
        record,
        events=await read_run(data, record.run),
        fetch=fetcher(data),
        registry=deps.registry,
        context=me,
        name=names_in(data),
        now=deps.clock.now(),
    )


async def _line(row: Row, name: NameOf) -> ApprovalLine:
    summary = ApprovalSummary.model_validate_json(row.body)
    told = summary.model_dump(include=set(ApprovalLine.model_fields))
    return ApprovalLine(**told, requester_name=await name(summary.requester))
