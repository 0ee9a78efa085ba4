"""Managed applications: what the platform tells of them, what they tell of themselves, and what the publisher sees."""

import logging
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from control.callers import NOBODY, ControlServices, publisher_reader, record_refusal, services
from control.marketplace.applications import ManagedApplications, Notification, State
from control.orders import Orders, orders_for
from control.records import owner_mark
from core import TenantContext, TenantId
from core.errors import Forbidden, NotFound, Unauthenticated
from web import TokenValidator, bearer_token, problem_responses

router = APIRouter(tags=["applications"])

Services = Annotated[ControlServices, Depends(services)]
Reader = Annotated[TenantContext, Depends(publisher_reader)]
Signature = Annotated[str, Query(max_length=200)]

_log = logging.getLogger(__name__)


async def _told_of(deps: Services) -> ManagedApplications:
    """Dependency: what belongs to managed applications.

    Raises:
        NotFound: none is sold here.
    """
    if deps.marketplace is None or deps.marketplace.applications is None:
        raise NotFound("No managed application is sold here.")
    return deps.marketplace.applications


Told = Annotated[ManagedApplications, Depends(_told_of)]


async def _stamp(request: Request, deps: Services) -> str:
    """Dependency: the mark of the application that calls, before anything is read that it says.

    Raises:
        Unauthenticated: it does not prove itself.
        Forbidden: it is a person.
    """
    try:
        token = await _validator(deps).verify(bearer_token(request.headers.get("authorization")))
        if not token.is_app:
            raise Forbidden("Only an application tells of itself.", code="access.not_a_stamp")
    except (Unauthenticated, Forbidden) as error:
        await record_refusal(request, None, error, NOBODY)
        raise
    return owner_mark(token.tenant_id.lower(), token.object_id.lower())


Stamp = Annotated[str, Depends(_stamp)]


class Heartbeat(BaseModel):
    """All that an application tells of itself: its version. It sends this only where it was asked to."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+-]{1,60}$")]


class ApplicationView(BaseModel):
    """A managed application; `beat_at` and `version` are empty where it never told of itself."""

    tenant: TenantId
    name: str
    state: State
    plan: str
    plan_version: str
    seen_at: str
    beat_at: str
    version: str


class ApplicationViews(BaseModel):
    items: list[ApplicationView]
    cursor: str | None


@router.post("/v1/marketplace/applications/resource", responses=problem_responses(401, 403, 404, 413, 422, 503))
async def notified(request: Request, told: Told, sig: Signature = "") -> Response:
    """Take what the platform tells of an application. Whoever knows the secret in its address.

    What cannot be read is taken too, since it would come again in the same form.
    """
    try:
        told.check(sig)
    except Unauthenticated as error:
        await record_refusal(request, None, error, NOBODY)
        raise
    try:
        notification = Notification.model_validate_json(await request.body())
    except ValidationError:
        _log.warning("applications.unreadable")
    else:
        await told.take(notification)
    return Response(status_code=HTTPStatus.OK)


@router.post("/v1/stamps/heartbeat", status_code=204, responses=problem_responses(401, 403, 404, 413, 422, 503))
async def heartbeat(request: Request, stamp: Stamp, beat: Heartbeat, told: Told) -> None:
    """Take note that an application at a customer's is alive. Its own identity only."""
    await _heard(request, stamp, beat, told)


@router.post("/v1/stamps/orders", responses=problem_responses(401, 403, 404, 413, 422, 503))
async def orders(request: Request, stamp: Stamp, beat: Heartbeat, told: Told, deps: Services) -> Orders:
    """Say what an application at a customer's may do, where it asks for that (hybrid). Its own identity only."""
    tenant = await _heard(request, stamp, beat, told)
    return await orders_for(
        tenant,
        store=deps.store,
        directory=deps.directory,
        entitlements=deps.entitlements,
        switches=deps.switches,
    )


async def _heard(request: Request, stamp: str, beat: Heartbeat, told: ManagedApplications) -> TenantId:
    try:
        return await told.beat(stamp, beat.version)
    except Forbidden as error:
        await record_refusal(request, None, error, NOBODY)
        raise


@router.get("/v1/applications", responses=problem_responses(400, 401, 403, 404, 422, 503))
async def list_applications(
    _: Reader, told: Told, cursor: Annotated[str | None, Query(max_length=1000)] = None
) -> ApplicationViews:
    """List the managed applications. Publisher only."""
    page = await told.page(cursor)
    shown = set(ApplicationView.model_fields)
    items = [ApplicationView.model_validate(found.value.model_dump(include=shown)) for found in page.items]
    return ApplicationViews(items=items, cursor=page.cursor)


def _validator(deps: ControlServices) -> TokenValidator:
    assert deps.marketplace
    if deps.marketplace.stamps is None:
        raise NotFound("No managed application is sold here.")
    return deps.marketplace.stamps
