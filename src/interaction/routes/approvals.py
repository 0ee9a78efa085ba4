"""Approvals: what waits for a person, what it would do, and the decision."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from core import ApprovalId, Effect, Role, RunId, TenantContext
from data import APPROVALS, ApprovalSummary, Row, TenantData, read_run
from interaction.answers import Given, Told, answer, described, event_stream
from interaction.approval_view import ApprovalView, view_approval
from interaction.authority import Me, User, oversees
from interaction.changes import LiveChanges, live_list
from interaction.decisions import ApprovalStatus, arguments_of, consequence
from interaction.dependencies import Deps, InteractionDependencies
from interaction.effects import undone_by
from interaction.parameters import ApprovalPath, Cursor, Limit, no_such
from interaction.people import names_in
from interaction.routes.runs import lag
from interaction.signed_decisions import nonce_of, signed_through
from orchestration import ApprovalRecord, fetcher, place_in, places_taken
from web import VerifiedToken

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])

CALL_TIME = timedelta(seconds=30)


class ApprovalLine(Told):
    """One line of the inbox. `requester` is the pseudonym of the person whose run it is; the name may be gone.

    Attributes:
        consequence: what happens if it is approved, in plain words.
        approvers: how many different people have to approve it; `approved` how many have.
        escalated: it has waited for long, and owners and admins were told.
    """

    approval: ApprovalId
    run: RunId
    agent: str
    tool: str
    effect: Effect
    consequence: str
    requester: str
    requester_name: str | None
    requested_at: str
    expires_at: str
    approvers: int
    approved: int
    escalated: bool
    verdict: ApprovalStatus
    resolved_at: str


class ApprovalPage(Told):
    """`lag` is how many events the list is behind the log."""

    items: list[ApprovalLine]
    cursor: str | None
    lag: int


class NewDecision(Given):
    """Your decision. The reason is kept, and told to whom it affects.

    Attributes:
        proof: in an app of your organisation's own, the id token of the sign-in in which you signed this decision.
    """

    verdict: Literal["approved", "denied"]
    reason: Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")] = (
        Field(examples=["The order was delivered broken; the customer sent photos."])
    )
    proof: (
        Annotated[
            str, StringConstraints(max_length=16_000, pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")
        ]
        | None
    ) = None


@router.get("", responses=described(ApprovalPage, 422))
async def list_approvals(
    me: Me,
    deps: Deps,
    state: ApprovalStatus | Literal["all"] = "pending",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List approvals, the latest first. Approvers, owners, admins and auditors, all; others, what they asked for."""
    states: list[ApprovalStatus] = [] if state == "all" else [state]
    return answer(await approvals_page(me, deps, states=states, cursor=cursor, limit=limit))


async def approvals_page(
    me: TenantContext,
    deps: InteractionDependencies,
    *,
    states: Sequence[ApprovalStatus],
    cursor: str | None,
    limit: int,
) -> ApprovalPage:
    """Return a page of the inbox; no `states` are all."""
    data = deps.store.tenant(me)
    owner = None if await sees_all(me, deps) else me.principal.id
    page = await data.views.list(APPROVALS.view, owner=owner, states=states, cursor=cursor, limit=limit)
    line = _lines(data, deps)
    return ApprovalPage(items=[await line(row) for row in page.items], cursor=page.cursor, lag=await lag(deps))


@router.get("/events", responses=event_stream(406))
async def follow_approvals(me: Me, deps: Deps, changes: LiveChanges, request: Request) -> Response:
    """Follow the inbox: what is asked and what is decided, as it happens. Whoever may list it, and the same of it.

    The stream begins with `ready`: read the list then, and again after a connection broke. Each change is an event
    `approval` with the line of the list as it is now. It lasts ten minutes at most; connect again.
    """
    line = _lines(deps.store.tenant(me), deps)
    owner = None if await sees_all(me, deps) else me.principal.id
    return live_list(changes, me, APPROVALS.view, owner=owner, headers=request.headers, name="approval", line=line)


@router.get("/{approval}", responses=described(ApprovalView, 404))
async def read_approval(approval: ApprovalPath, me: Me, deps: Deps) -> Response:
    """Read what would happen, for whom, and what speaks for it.

    Approvers and their deputies, owners, admins, auditors; and who asked for it.
    """
    return answer(await approval_of(me, deps, approval))


@router.post("/{approval}/decision", responses=described(ApprovalView, 404, 409, 413, 415, 422, 504))
async def decide(approval: ApprovalPath, body: NewDecision, me: User, deps: Deps, request: Request) -> Response:
    """Approve or deny, with a reason; the run goes on at once. Roles: approver, owner, their deputies.

    Never who asked for it.

    Where the rules ask for several people, it goes on once the last of them has approved, or one has denied. Your own
    decision sent again changes nothing.

    In an app that your organisation has named for it, a decision is signed: `proof` is an id token whose `nonce` is the
    SHA-256, base64url without padding, of `{"approval":...,"reason":...,"verdict":...}` as canonical JSON (RFC 8785).
    """
    return answer(await decided(me, deps, approval, body, request.state.token))


async def approval_of(me: TenantContext, deps: InteractionDependencies, approval: ApprovalId) -> ApprovalView:
    """Return an approval as its reader sees it; raises `NotFound` if it is not theirs to see."""
    return await _view(deps, me, await _readable(deps, me, approval))


async def decided(
    me: TenantContext,
    deps: InteractionDependencies,
    approval: ApprovalId,
    decision: NewDecision,
    token: VerifiedToken,
) -> ApprovalView:
    """Decide, with the token that the person came with, and return the approval as it is then.

    Raises:
        Conflict: it is not open any more.
        Forbidden: it is for the person who asked themselves; or it is not signed as `signed_through` wants it.
    """
    record = await _readable(deps, me, approval)
    place_in(record, me, await places_taken(deps.store.tenant(me), deps.clock), approve=False)
    nonce = nonce_of(approval, decision.verdict, decision.reason)
    through = await signed_through(me, deps, token, nonce, decision.proof)
    if not _said_before(record, me, decision):
        said = {"approve": decision.verdict == "approved", "reason": decision.reason, "through": through}
        path = f"/internal/approvals/{approval}/decision"
        await deps.orchestration.call(me, "POST", path, body=orjson.dumps(said), deadline=deps.clock.now() + CALL_TIME)
        record = await _readable(deps, me, approval)
    return await _view(deps, me, record)


def _said_before(record: ApprovalRecord, me: TenantContext, decision: NewDecision) -> bool:
    if decision.verdict == "approved" and me.principal.actor in record.yes:
        return record.status in ("pending", "approved")
    return record.status == decision.verdict and record.approver == me.principal.actor


async def sees_all(me: TenantContext, deps: InteractionDependencies) -> bool:
    """Return whether somebody may read all approvals; a deputy may while they are one."""
    return me.has(Role.APPROVER) or oversees(me) or bool(await places_taken(deps.store.tenant(me), deps.clock))


async def _readable(deps: InteractionDependencies, me: TenantContext, approval: ApprovalId) -> ApprovalRecord:
    found = await deps.store.tenant(me).records.get(ApprovalRecord, approval)
    if found is None or not (found.value.requester == me.principal.id or await sees_all(me, deps)):
        raise no_such("approval")
    return found.value


async def _view(deps: InteractionDependencies, me: TenantContext, record: ApprovalRecord) -> ApprovalView:
    data = deps.store.tenant(me)
    events = await read_run(data, record.run)
    return await view_approval(
        record,
        events=events,
        takes_back=await undone_by(events, data, fetcher(data), deps.registry),
        fetch=fetcher(data),
        registry=deps.registry,
        context=me,
        places=await places_taken(data, deps.clock),
        name=names_in(data),
        now=deps.clock.now(),
    )


def _lines(data: TenantData, deps: InteractionDependencies) -> Callable[[Row], Awaitable[ApprovalLine]]:
    """Return what makes a line of the inbox from a row."""
    name, fetch = names_in(data), fetcher(data)

    async def line(row: Row) -> ApprovalLine:
        summary = ApprovalSummary.model_validate_json(row.body)
        tool, arguments = deps.registry.get(summary.tool), await arguments_of(summary.arguments, fetch)
        return ApprovalLine(
            **summary.model_dump(include=set(ApprovalLine.model_fields)),
            approved=len(summary.given) + (summary.verdict == "approved"),
            consequence=consequence(tool, arguments) if tool else f"Calls {summary.tool}.",
            requester_name=await name(summary.requester),
        )

    return line
