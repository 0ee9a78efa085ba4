"""Subscriptions as the publisher sees them, and what it does to them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from control import contexts
from control.callers import ControlServices, publisher, publisher_reader, services
from control.marketplace.deals import Hint, hints, list_price
from control.marketplace.endings import ends_soon
from control.marketplace.offer import Offer
from control.marketplace.records import Change, Deal, Onboarding, OpenDelivery, Review, Status, SubscriptionRecord
from control.members import member_name
from control.routes.marketplace import Sold
from core import PrincipalId, TenantContext, TenantId
from core.errors import MandateError, NotFound
from data import Versioned
from web import WHOLE, problem_responses

router = APIRouter(prefix="/v1", tags=["subscriptions"])

Services = Annotated[ControlServices, Depends(services)]
Publisher = Annotated[TenantContext, Depends(publisher)]
Reader = Annotated[TenantContext, Depends(publisher_reader)]
_GUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_Subscription = Annotated[str, Path(pattern=_GUID)]
_Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
_REFUSALS = problem_responses(401, 403, 404, 409, 413, 415, 422, 503)


class SubscriptionView(BaseModel):
    """A subscription as the publisher sees it; who it is for is left out.

    Attributes:
        hints: what was seen of how it was sold; the marketplace does not say it.
        list_micros: of a month by the public list, an estimate; null where there is none.
        ends_soon: the term ends within the time of which customers are warned.
    """

    id: str
    name: str
    status: Status
    plan: str
    base_plan: str
    quantity: int | None
    tenant: TenantId
    bought_by_another: bool
    allowed: tuple[str, ...]
    term_start: str
    term_end: str
    term_unit: str
    auto_renew: bool
    onboarding: Onboarding
    review: Review
    ended_at: str
    fixed: bool
    deal: Deal | None
    hints: list[Hint]
    list_micros: int | None
    ends_soon: bool
    history: tuple[Change, ...]


class SubscriptionViews(BaseModel):
    items: list[SubscriptionView]
    cursor: str | None


class ActView(BaseModel):
    """One line of a subscription's history; `by` is a name where it is known, `reason` what was written."""

    at: str
    cause: str
    status: Status
    plan: str
    quantity: int | None
    by: str
    reason: str


class OperationView(BaseModel):
    id: str
    action: str
    status: str
    plan: str
    quantity: int | None


class SubscriptionDetail(BaseModel):
    """A subscription with all that is known of it.

    Attributes:
        contact: an e-mail address; empty where none is known.
        pending: what the marketplace has under way; null where it does not answer now.
    """

    subscription: SubscriptionView
    contact: str
    acts: list[ActView]
    pending: list[OperationView] | None


class _Because(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: _Reason


class SubscriptionChange(_Because):
    """Another plan, or another number of seats: one of the two. `reason` says who of the customer's agreed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "oneOf": [
                {"required": ["plan"], "properties": {"plan": {"type": "string"}}},
                {"required": ["quantity"], "properties": {"quantity": {"type": "integer"}}},
            ]
        },
    )

    plan: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$")] | None = None
    quantity: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "SubscriptionChange":
        if (self.plan is None) == (self.quantity is None):
            raise ValueError("give a plan or a number of seats, and not both")
        return self


class SubscriptionFixing(_Because):
    fixed: bool


class DeliveryView(BaseModel):
    """What the marketplace told and is not done yet. `urgent`: an answer to it may count for ten seconds only."""

    operation: str
    subscription: str
    at: str
    due: str
    tries: int
    urgent: bool


class Comparison(BaseModel):
    """The last comparison with the marketplace; `at` is empty before the first."""

    at: str
    seen: int
    drifted: tuple[str, ...]


class Desk(BaseModel):
    open: list[DeliveryView]
    comparison: Comparison


class Reconciled(BaseModel):
    """How many subscriptions were not as the marketplace has them, and are now."""

    drifted: int


@router.get("/offer", responses=problem_responses(401, 403, 404, 503))
async def read_offer(_: Reader, sold: Sold) -> Offer:
    """Return what is sold, for how much by the public list, and by which rules. Publisher only."""
    return sold.offer


@router.get("/subscriptions", responses=problem_responses(400, 401, 403, 404, 422, 503))
async def list_subscriptions(
    _: Reader,
    sold: Sold,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> SubscriptionViews:
    """List all subscriptions with their history. Publisher only."""
    page = await sold.subscriptions.all(cursor, limit)
    return SubscriptionViews(items=[view(found.value, sold) for found in page.items], cursor=page.cursor)


@router.post("/subscriptions/reconciliation", responses=problem_responses(401, 403, 404, 503))
async def reconcile(_: Publisher, sold: Sold) -> Reconciled:
    """Compare all subscriptions with the marketplace's now, and mend ours. Publisher only."""
    return Reconciled(drifted=await sold.desk.reconcile())


@router.get("/subscriptions/desk", responses=problem_responses(401, 403, 404, 503))
async def read_desk(_: Reader, sold: Sold) -> Desk:
    """Return what was told and is not done, and how the last comparison ended. Publisher only."""
    waiting = [await _delivery(sold, found) for found in await sold.desk.open()]
    last = await sold.desk.last_comparison()
    compared = Comparison(at=last.at, seen=last.seen, drifted=last.drifted) if last else None
    return Desk(open=[one for one in waiting if one], comparison=compared or Comparison(at="", seen=0, drifted=()))


@router.get("/subscriptions/{subscription}", responses=problem_responses(401, 403, 404, 422, 503))
async def read_subscription(_: Reader, subscription: _Subscription, deps: Services, sold: Sold) -> SubscriptionDetail:
    """Return a subscription with who did what to it, and what is under way at the marketplace. Publisher only."""
    record = await sold.subscriptions.find(subscription)
    if record is None:
        raise NotFound("There is no such subscription.")
    return SubscriptionDetail(
        subscription=view(record, sold),
        contact=await sold.subscriptions.said(record.contact),
        acts=[await _act(deps, sold, change) for change in reversed(record.history)],
        pending=await _pending(sold, subscription),
    )


@router.post("/subscriptions/{subscription}/activation", responses=_REFUSALS)
async def activate(by: Publisher, subscription: _Subscription, because: _Because, sold: Sold) -> SubscriptionView:
    """Begin a subscription, and with it the bill, for a customer who has agreed. Publisher only."""
    return view(await sold.acts.activate(by, subscription, because.reason), sold)


@router.post("/subscriptions/{subscription}/change", responses=_REFUSALS)
async def change(by: Publisher, subscription: _Subscription, asked: SubscriptionChange, sold: Sold) -> SubscriptionView:
    """Ask the marketplace for another plan or other seats, which the customer has agreed to. Publisher only."""
    done = await sold.acts.change(by, subscription, asked.reason, plan=asked.plan, quantity=asked.quantity)
    return view(done, sold)


@router.post("/subscriptions/{subscription}/fixing", responses=_REFUSALS)
async def fix(by: Publisher, subscription: _Subscription, asked: SubscriptionFixing, sold: Sold) -> SubscriptionView:
    """Say that plan and seats do not change within the term, or that they may again. Publisher only."""
    return view(await sold.acts.fix(by, subscription, asked.reason, fixed=asked.fixed), sold)


def view(record: SubscriptionRecord, sold: Sold) -> SubscriptionView:
    left_out = {"beneficiary_tid", "beneficiary_oid", "offer", "contact", "warned_for", "fixed"}
    return SubscriptionView.model_validate(
        {
            **record.model_dump(exclude=left_out),
            "fixed": sold.offer.changes.is_fixed(record),
            "hints": hints(record, sold.offer),
            "list_micros": list_price(record, sold.offer),
            "ends_soon": ends_soon(record, sold.desk.clock, sold.offer.warns),
        }
    )


async def _act(deps: ControlServices, sold: Sold, change: Change) -> ActView:
    data = deps.store.tenant(contexts.publisher("subscriptions"))
    name = await member_name(data, PrincipalId(change.by)) if change.by else ""
    said = change.model_dump(include={"at", "cause", "status", "plan", "quantity"})
    return ActView(**said, by=name or change.by, reason=await sold.subscriptions.said(change.reason))


async def _pending(sold: Sold, subscription: str) -> list[OperationView] | None:
    try:
        found = await sold.marketplace.pending(subscription)
    except MandateError:
        return None
    return [
        OperationView(id=one.id, action=one.action, status=one.status, plan=one.plan_id, quantity=one.quantity)
        for one in found
    ]


async def _delivery(sold: Sold, waiting: Versioned[OpenDelivery]) -> DeliveryView | None:
    found = await sold.desk.delivery(waiting.key)
    return found and DeliveryView(
        operation=waiting.key,
        subscription=found.subscription,
        at=found.at,
        **waiting.value.model_dump(include={"due", "tries", "urgent"}),
    )
