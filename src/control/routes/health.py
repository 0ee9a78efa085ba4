"""How tenants are doing, for the publisher, and what it tells them."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from control import contexts
from control.callers import ControlServices, publisher, publisher_reader, services
from control.marketplace.deals import list_price
from control.marketplace.health import health_of
from control.marketplace.records import Onboarding, SubscriptionRecord
from control.notices import current_notices
from control.records import TenantRecord
from control.routes.marketplace import Sold
from core import ID_PATTERN, TenantContext, TenantId
from web import WHOLE, problem_responses

router = APIRouter(prefix="/v1/health", tags=["health"])

Services = Annotated[ControlServices, Depends(services)]
Publisher = Annotated[TenantContext, Depends(publisher)]
Reader = Annotated[TenantContext, Depends(publisher_reader)]
_TenantId = Annotated[TenantId, Path(pattern=rf"^{ID_PATTERN}$")]

MOST = 25
"""Tenants of a page: the runs of each are added up for it."""


class TenantHealthView(BaseModel):
    """A tenant, what it did in the last thirty days, and what it brings.

    Attributes:
        bad: runs that failed, or of which nobody knows how they ended.
        cost_micros: what models cost us, in millionths.
        list_micros: what it brings in a month by the public list: an estimate; null where there is none.
        partial: it ran more than was added up.
        subscription, onboarding: empty where it did not buy on the marketplace.
    """

    tenant: TenantId
    name: str
    plan: str
    region: str
    stamp: str
    mode: str
    status: str
    subscription: str
    onboarding: Onboarding | Literal[""]
    runs: int
    bad: int
    cost_micros: int
    last_at: str
    partial: bool
    list_micros: int | None
    is_off: bool


class TenantsHealth(BaseModel):
    items: list[TenantHealthView]
    cursor: str | None


class NoticeView(BaseModel):
    what: str
    at: str
    day: str
    text: str


class TenantDetail(BaseModel):
    health: TenantHealthView
    notices: list[NoticeView]


class NoticeGiven(BaseModel):
    """What the owners and admins of a tenant shall read, for so many days."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
    days: Annotated[int, Field(ge=1, le=90), WHOLE] = 14


@router.get("", responses=problem_responses(400, 401, 403, 404, 422, 503))
async def list_health(
    _: Reader, deps: Services, sold: Sold, cursor: Annotated[str | None, Query(max_length=1000)] = None
) -> TenantsHealth:
    """List all tenants with how they are doing. Publisher only."""
    page = await deps.directory.tenants(cursor, MOST)
    bought = {record.tenant: record async for record in sold.subscriptions.every()}
    told = [_health(deps, sold, found.value, bought.get(found.value.id)) for found in page.items]
    return TenantsHealth(items=list(await asyncio.gather(*told)), cursor=page.cursor)


@router.get("/{tenant}", responses=problem_responses(401, 403, 404, 422, 503))
# mandate: allow[tenant-from-request] - only the publisher's own may ask, of any of its tenants
async def read_health(_: Reader, tenant: _TenantId, deps: Services, sold: Sold) -> TenantDetail:
    """Return how a tenant is doing, and what it is told now. Publisher only."""
    record = await deps.directory.tenant(tenant)
    bought = {found.tenant: found async for found in sold.subscriptions.every()}
    data = deps.store.tenant(contexts.platform(record, "health"))
    notices = await current_notices(data, sold.desk.clock.now())
    return TenantDetail(
        health=await _health(deps, sold, record, bought.get(tenant)),
        notices=[NoticeView(what=one.what, at=one.at, day=one.day, text=one.text) for one in notices],
    )


@router.post("/{tenant}/notices", status_code=204, responses=problem_responses(401, 403, 404, 413, 415, 422, 503))
# mandate: allow[tenant-from-request] - only the publisher's own may tell a tenant something
async def give(by: Publisher, tenant: _TenantId, notice: NoticeGiven, deps: Services, sold: Sold) -> None:
    """Tell a tenant's owners and admins something, on their pages. Publisher only."""
    await sold.acts.notify(by, await deps.directory.tenant(tenant), notice.text, notice.days)


async def _health(
    deps: ControlServices, sold: Sold, tenant: TenantRecord, bought: SubscriptionRecord | None
) -> TenantHealthView:
    data = deps.store.tenant(contexts.platform(tenant, "health"))
    used = await health_of(data.views, sold.desk.clock.now().date())
    thrown = await deps.switches.thrown(data)
    return TenantHealthView(
        tenant=tenant.id,
        **tenant.model_dump(include={"name", "plan", "region", "stamp", "mode", "status"}),
        subscription=bought.id if bought else "",
        onboarding=bought.onboarding if bought else "",
        runs=used.runs,
        bad=used.bad,
        cost_micros=used.cost_micros,
        last_at=used.last_at,
        partial=used.partial,
        list_micros=list_price(bought, sold.offer) if bought else None,
        is_off=f"tenant/{tenant.id}" in thrown.everywhere,
    )
