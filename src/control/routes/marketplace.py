"""The marketplace's side: its webhook, the landing page's calls, and what the publisher sees of subscriptions."""

import logging
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from control.callers import NOBODY, ControlServices, MarketplaceServices, edge, publisher, services
from control.marketplace import Landed, Notice
from control.marketplace.records import Change, Onboarding, Review, Status, SubscriptionRecord
from core import TenantContext, TenantId
from core.errors import Forbidden, NotFound, Unauthenticated
from web import bearer_token, problem_responses

router = APIRouter(tags=["marketplace"])

Services = Annotated[ControlServices, Depends(services)]
Publisher = Annotated[TenantContext, Depends(publisher)]
Edge = Annotated[TenantContext, Depends(edge)]
_Secret = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
_Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

_log = logging.getLogger(__name__)


async def _sold(deps: Services) -> MarketplaceServices:
    """Dependency: what belongs to the marketplace.

    Raises:
        NotFound: the product is not sold there.
    """
    if deps.marketplace is None:
        raise NotFound("This product is not sold through a marketplace here.")
    return deps.marketplace


Sold = Annotated[MarketplaceServices, Depends(_sold)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LandingArrival(_Strict):
    """A landing token, and the person who brought it: their sign-in was verified by the edge."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    tid: _Guid
    oid: _Guid


class LandingSecret(_Strict):
    secret: _Secret


class LandingView(BaseModel):
    """What the landing page shows; `may_change` tells whether the customer may change plan and seats."""

    name: str
    status: Status
    plan: str
    quantity: int | None
    term_end: str
    auto_renew: bool
    is_beneficiary: bool
    may_change: bool
    onboarding: Onboarding
    review: Review


class SubscriptionView(BaseModel):
    """A subscription as the publisher sees it; who it is for is left out."""

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
    history: tuple[Change, ...]


class SubscriptionViews(BaseModel):
    items: list[SubscriptionView]
    cursor: str | None


class Reconciled(BaseModel):
    """How many subscriptions were not as the marketplace has them, and are now."""

    drifted: int


@router.post("/v1/marketplace/webhook", responses=problem_responses(401, 403, 404, 413, 503))
async def webhook(request: Request, sold: Sold, deps: Services) -> Response:
    """Take what the marketplace tells; the work is done after. The marketplace only.

    What it tells in a form that we cannot read is taken too, since it would come again in the same form: comparing with
    the marketplace mends what it was about.
    """
    try:
        await sold.callers.check(bearer_token(request.headers.get("authorization")))
    except (Unauthenticated, Forbidden) as error:
        await deps.access.refused(None, error.code, "POST /v1/marketplace/webhook", NOBODY)
        raise
    try:
        notice = Notice.model_validate_json(await request.body())
    except ValidationError:
        _log.warning("marketplace.unreadable")
    else:
        await sold.desk.take(notice)
    return Response(status_code=HTTPStatus.OK)


@router.post("/internal/marketplace/landings", responses=problem_responses(401, 403, 404, 422, 503))
async def land(_: Edge, arrival: LandingArrival, sold: Sold) -> LandingSecret:
    """Begin a landing. The edge only."""
    return LandingSecret(secret=await sold.landings.land(arrival.token, arrival.tid, arrival.oid))


@router.post("/internal/marketplace/landings/show", responses=problem_responses(401, 403, 404, 422, 503))
async def show_landing(_: Edge, landing: LandingSecret, sold: Sold) -> LandingView:
    """Return what is known of a landing's subscription. The edge only."""
    return _landing(await sold.landings.show(landing.secret))


@router.post("/internal/marketplace/landings/activation", responses=problem_responses(401, 403, 404, 409, 422, 503))
async def activate_landing(_: Edge, landing: LandingSecret, sold: Sold) -> LandingView:
    """Begin the subscription of a landing. The edge only."""
    return _landing(await sold.landings.activate(landing.secret))


@router.get("/v1/subscriptions", responses=problem_responses(400, 401, 403, 404, 422, 503))
async def list_subscriptions(
    _: Publisher,
    sold: Sold,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> SubscriptionViews:
    """List all subscriptions with their history. Publisher only."""
    page = await sold.subscriptions.all(cursor, limit)
    return SubscriptionViews(items=[_view(found.value) for found in page.items], cursor=page.cursor)


@router.post("/v1/subscriptions/reconciliation", responses=problem_responses(401, 403, 404, 503))
async def reconcile(_: Publisher, sold: Sold) -> Reconciled:
    """Compare all subscriptions with the marketplace's now, and mend ours. Publisher only."""
    return Reconciled(drifted=await sold.desk.reconcile())


def _landing(landed: Landed) -> LandingView:
    known = landed.subscription
    return LandingView(
        **known.model_dump(
            include={"name", "status", "plan", "quantity", "term_end", "auto_renew", "onboarding", "review"}
        ),
        is_beneficiary=landed.is_beneficiary,
        may_change="Update" in known.allowed,
    )


def _view(record: SubscriptionRecord) -> SubscriptionView:
    return SubscriptionView.model_validate(record.model_dump(exclude={"beneficiary_tid", "beneficiary_oid", "offer"}))
