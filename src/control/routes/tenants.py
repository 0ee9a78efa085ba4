"""Tenants: their own view of themselves, and how the publisher takes them on."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from control.callers import ControlServices, member, publisher, publisher_reader, services
from control.records import LAST_RING, PERSONAL_ACCOUNTS, TenantRecord
from core import ID_PATTERN, TenantContext, TenantId
from core.errors import Conflict, Unprocessable
from web import problem_responses

router = APIRouter(prefix="/v1", tags=["tenants"])

Services = Annotated[ControlServices, Depends(services)]
Publisher = Annotated[TenantContext, Depends(publisher)]
Reader = Annotated[TenantContext, Depends(publisher_reader)]
Cursor = Annotated[str | None, Query(max_length=1000)]
Limit = Annotated[int, Query(ge=1, le=100)]

_Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=200)]
_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
_Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
_TenantId = Annotated[TenantId, StringConstraints(pattern=rf"^{ID_PATTERN}$")]
_Mode = Literal["publisher_hosted", "customer_hosted", "hybrid"]


def _organisation(tid: str) -> str:
    """All personal accounts share one `tid`: bound as an organisation, everybody would be in one tenant."""
    if tid == PERSONAL_ACCOUNTS:
        raise ValueError("this is not an organisation; bind a personal account by its oid")
    return tid


class TenantView(BaseModel):
    id: TenantId
    name: str
    plan: str
    region: str
    status: Literal["active", "suspended", "closed"]
    stamp: str
    mode: _Mode
    ring: str


class NewTenant(BaseModel):
    """A tenant to take on.

    Attributes:
        id: minted by the publisher once, and kept with its subscription: the same id is the same tenant.
        groups: Entra group object id to the name that readers of documents go by.
    """

    model_config = ConfigDict(extra="forbid")

    id: _TenantId
    name: _Name
    plan: _Slug
    region: _Slug
    groups: Annotated[dict[_Uuid, _Slug], Field(max_length=200, json_schema_extra={"additionalProperties": False})] = {}
    stamp: _Slug = "local"
    mode: _Mode = "publisher_hosted"
    ring: _Slug = LAST_RING


class RingAssigned(BaseModel):
    """The ring in which a tenant gets changes."""

    model_config = ConfigDict(extra="forbid")

    ring: _Slug


class TenantPage(BaseModel):
    items: list[TenantView]
    cursor: str | None


class OrganisationBinding(BaseModel):
    """An Entra organisation, by its tenant id `tid`, that belongs to a tenant."""

    model_config = ConfigDict(extra="forbid")

    tenant: _TenantId  # mandate: allow[tenant-from-request] - only the publisher's own services bind identities
    # mandate: allow[tenant-from-request] - it is the identity that is bound, as the Marketplace names it
    tid: Annotated[_Uuid, AfterValidator(_organisation), Field(json_schema_extra={"not": {"const": PERSONAL_ACCOUNTS}})]


class PersonBinding(BaseModel):
    """A personal Microsoft account, by its object id `oid`, that belongs to a tenant."""

    model_config = ConfigDict(extra="forbid")

    tenant: _TenantId  # mandate: allow[tenant-from-request] - only the publisher's own services bind identities
    oid: _Uuid


class BindingView(BaseModel):
    """`key` is `org/<tid>` or `person/<tid>/<oid>`."""

    key: str
    tenant: TenantId


class BindingPage(BaseModel):
    items: list[BindingView]
    cursor: str | None


class ErasureTold(BaseModel):
    erasure: str
    tenant: TenantId


@router.get("/tenants/current", responses=problem_responses(401, 403, 404, 503))
async def current_tenant(context: Annotated[TenantContext, Depends(member)], deps: Services) -> TenantView:
    """Return the caller's own tenant."""
    return _view(await deps.directory.tenant(context.tenant))


@router.post("/tenants", responses={201: {"model": TenantView}} | problem_responses(401, 403, 409, 413, 422, 503))
async def create_tenant(context: Publisher, new: NewTenant, deps: Services, response: Response) -> TenantView:
    """Take a tenant on: 201 if it is new, 200 if it was there with the same settings. Publisher only."""
    if await deps.erasures.took(new.id):
        raise Conflict("This organisation was erased: its id is never good again. Mint another.", code="erasure.tenant")
    record = TenantRecord(**new.model_dump())
    if await deps.directory.create_tenant(record):
        response.status_code = 201
        await deps.access.admin(context, record.kind, record.id, "1")
    return _view(record)


@router.put("/tenants/{tenant}/ring", status_code=204, responses=problem_responses(401, 403, 404, 413, 422, 503))
# mandate: allow[tenant-from-request] - only the publisher's own services may, and say of whom
async def assign_ring(context: Publisher, tenant: _TenantId, body: RingAssigned, deps: Services) -> None:
    """Put a tenant into one of the rings of the settings, in which it then gets changes. Publisher only."""
    await deps.directory.tenant(tenant)
    if body.ring not in (rings := deps.rings()):
        raise Unprocessable(f"There is no such ring. Rings are: {', '.join(rings)}.", code="rollout.ring")
    if await deps.directory.assign_ring(tenant, body.ring):
        await deps.access.admin(context, TenantRecord.kind, tenant, f"ring/{body.ring}")


@router.get("/tenants", responses=problem_responses(400, 401, 403, 422, 503))
async def list_tenants(_: Reader, deps: Services, cursor: Cursor = None, limit: Limit = 50) -> TenantPage:
    """List all tenants. Publisher only."""
    page = await deps.directory.tenants(cursor, limit)
    return TenantPage(items=[_view(item.value) for item in page.items], cursor=page.cursor)


@router.post(
    "/bindings", responses={201: {"model": BindingView}} | problem_responses(401, 403, 404, 409, 413, 422, 503)
)
async def create_binding(
    context: Publisher, new: OrganisationBinding | PersonBinding, deps: Services, response: Response
) -> BindingView:
    """Bind an identity to a tenant: 201 if it is new, 200 if it was bound to this tenant before. Publisher only."""
    match new:
        case OrganisationBinding():
            binding = await deps.directory.bind(new.tid, new.tenant)
        case PersonBinding():
            binding = await deps.directory.bind(PERSONAL_ACCOUNTS, new.tenant, oid=new.oid)
    if binding.is_new:
        response.status_code = 201
        # The binding's own key may hold a person's id, which has no place in an event.
        await deps.access.admin(context, "binding", new.tenant, "1")
    return BindingView(key=binding.key, tenant=new.tenant)


@router.get("/bindings", responses=problem_responses(400, 401, 403, 422, 503))
async def list_bindings(_: Publisher, deps: Services, cursor: Cursor = None, limit: Limit = 50) -> BindingPage:
    """List all bindings. Publisher only."""
    page = await deps.directory.bindings(cursor, limit)
    return BindingPage(
        items=[BindingView(key=item.key, tenant=item.value.tenant) for item in page.items], cursor=page.cursor
    )


@router.post("/tenants/{tenant}/erasure", status_code=202, responses=problem_responses(401, 403, 404, 409, 422, 503))
# mandate: allow[tenant-from-request] - only the publisher's own services may, and say of whom
async def erase_tenant(context: Publisher, tenant: _TenantId, deps: Services) -> ErasureTold:
    """Have a tenant erased with all that it has here; its id is never good again. Publisher only."""
    await deps.directory.tenant(tenant)
    if any(held.held for held in await deps.store.governed.held(tenant)):
        raise Conflict("A legal hold keeps some of this. Release it first.", code="hold.active")
    await deps.access.admin(context, "tenant", tenant, "erased")
    record = await deps.erasures.request(tenant, "tenant", tenant, context.principal.actor)
    return ErasureTold(erasure=record.id, tenant=tenant)


def _view(record: TenantRecord) -> TenantView:
    return TenantView.model_validate(record.model_dump(exclude={"groups", "owner"}))
