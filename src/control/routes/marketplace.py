"""The marketplace's side: its webhook, and the landing page's calls."""

import logging
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from control.callers import NOBODY, ControlServices, MarketplaceServices, edge, services
from control.marketplace import Landed, Notice
from control.marketplace.deals import is_special
from control.marketplace.records import Onboarding, Review, Status
from core import TenantContext
from core.errors import Forbidden, NotFound, Unauthenticated
from web import bearer_token, problem_responses

router = APIRouter(tags=["marketplace"])

Services = Annotated[ControlServices, Depends(services)]
Edge = Annotated[TenantContext, Depends(edge)]
_Secret = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
_Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

EMAIL = r"[^@\s\x00-\x20<>\"',;]{1,64}@[^@\s\x00-\x20<>\"',;]{1,189}"
"""One address, as far as that can be seen from it."""

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
    puid: Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{0,32}$")] = ""


class LandingSecret(_Strict):
    secret: _Secret


class LandingBeginning(LandingSecret):
    """`contact` is an e-mail address to write to about the subscription."""

    contact: Annotated[str, StringConstraints(pattern=rf"^({EMAIL})?$", max_length=254)] = ""


class LandingView(BaseModel):
    """What the landing page shows.

    Attributes:
        may_change: the customer may change plan and seats; `fixed`, that it is agreed that they do not change now.
        special: the price may be another than the public list's.
        asks_contact: nobody knows whom to write to.
    """

    name: str
    status: Status
    plan: str
    quantity: int | None
    term_end: str
    auto_renew: bool
    is_beneficiary: bool
    bought_by_another: bool
    may_change: bool
    fixed: bool
    special: bool
    asks_contact: bool
    onboarding: Onboarding
    review: Review


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
    return LandingSecret(secret=await sold.landings.land(arrival.token, arrival.tid, arrival.oid, arrival.puid))


@router.post("/internal/marketplace/landings/show", responses=problem_responses(401, 403, 404, 422, 503))
async def show_landing(_: Edge, landing: LandingSecret, sold: Sold) -> LandingView:
    """Return what is known of a landing's subscription. The edge only."""
    return _landing(await sold.landings.show(landing.secret), sold)


@router.post("/internal/marketplace/landings/activation", responses=problem_responses(401, 403, 404, 409, 422, 503))
async def activate_landing(_: Edge, landing: LandingBeginning, sold: Sold) -> LandingView:
    """Begin the subscription of a landing. The edge only."""
    return _landing(await sold.landings.activate(landing.secret, landing.contact), sold)


def _landing(landed: Landed, sold: MarketplaceServices) -> LandingView:
    known = landed.subscription
    plain = {
        "name",
        "status",
        "plan",
        "quantity",
        "term_end",
        "auto_renew",
        "onboarding",
        "review",
        "bought_by_another",
    }
    return LandingView(
        **known.model_dump(include=plain),
        is_beneficiary=landed.is_beneficiary,
        may_change="Update" in known.allowed,
        fixed=sold.offer.changes.is_fixed(known),
        special=is_special(known),
        asks_contact=landed.asks_contact,
    )
