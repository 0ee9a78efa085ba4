"""What a tenant is entitled to, and what the publisher lays down for one of them alone."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from control.callers import ControlServices, publisher, publisher_reader, services
from control.entitlements import OverrideRecord
from control.records import Amount
from control.switches import Capability
from core import ID_PATTERN, TenantContext, TenantId, canonical, digest
from core.errors import Unprocessable
from web import problem_responses

router = APIRouter(prefix="/v1/tenants/{tenant}/entitlements", tags=["tenants"])

Services = Annotated[ControlServices, Depends(services)]
Publisher = Annotated[TenantContext, Depends(publisher)]
Reader = Annotated[TenantContext, Depends(publisher_reader)]
_TenantId = Annotated[TenantId, StringConstraints(pattern=rf"^{ID_PATTERN}$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]


def _as_integer(value: object) -> object:
    """JSON has no integers of its own: 3.0 is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Whole = Annotated[int, Field(ge=0, le=10**15), BeforeValidator(_as_integer)]


class Money(BaseModel):
    """In millionths of the catalogue's currency, and tokens, of a calendar month."""

    model_config = ConfigDict(extra="forbid", strict=True)

    micros: _Whole
    tokens: _Whole


class Override(BaseModel):
    """What holds for one tenant in place of what its plan says. What is left out is as the plan has it.

    Attributes:
        included: units that a term's price includes, by unit; null: this unit is not billed at all.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    features: Annotated[list[Annotated[Capability, Field(strict=False)]], Field(max_length=20)] | None = None
    models: Annotated[list[_Word], Field(max_length=50)] | None = None
    budget: Money | None = None
    included: Annotated[
        dict[_Word, _Whole | None],
        Field(max_length=18, json_schema_extra={"additionalProperties": False}),
    ] = {}


class EntitlementView(BaseModel):
    """What a tenant may use now, and `override`: what of it was laid down for it alone."""

    plan: str
    is_active: bool
    features: list[str]
    models: list[str]
    budget: Money
    included: dict[str, int]
    override: Override


@router.get("", responses=problem_responses(401, 403, 404, 422, 503))
# mandate: allow[tenant-from-request] - only the publisher's own services may, and say of whom
async def read_entitlements(_: Reader, tenant: _TenantId, deps: Services) -> EntitlementView:
    """Return what a tenant may use. Publisher only."""
    return await _view(tenant, deps)


@router.put("", responses=problem_responses(401, 403, 404, 409, 413, 415, 422, 503))
async def lay_down_entitlements(
    context: Publisher,
    tenant: _TenantId,  # mandate: allow[tenant-from-request] - only the publisher's own services may, and say of whom
    override: Override,
    deps: Services,
) -> EntitlementView:
    """Lay down what holds for one tenant; it replaces all that was laid down before. Publisher only.

    It holds within five seconds, in runs that are under way too. What is included holds for the term that goes on.
    """
    await deps.directory.tenant(tenant)
    if unknown := override.included.keys() - deps.units.keys():
        raise Unprocessable(
            f"There is no unit `{min(unknown)}`. There are: {', '.join(deps.units)}.", code="entitlement.unit"
        )
    budget = Amount(micros=override.budget.micros, tokens=override.budget.tokens) if override.budget else None
    record = OverrideRecord(
        features=None if override.features is None else frozenset(override.features),
        models=None if override.models is None else frozenset(override.models),
        budget=budget,
        included=dict(override.included),
    )
    await deps.entitlements.lay_down(tenant, record)
    version = digest(canonical(_told(record).model_dump(mode="json")))
    await deps.access.admin(context, OverrideRecord.kind, tenant, version)
    return await _view(tenant, deps)


async def _view(tenant: TenantId, deps: ControlServices) -> EntitlementView:
    plan = (await deps.directory.tenant(tenant)).plan
    found, entitled = await deps.entitlements.laid_down(tenant), await deps.entitlements.of(tenant)
    budget, meters = entitled.budget, await deps.entitlements.meters(tenant, plan)
    return EntitlementView(
        plan=plan,
        is_active=entitled.is_active,
        features=sorted(entitled.features),
        models=sorted(entitled.models),
        budget=Money(micros=budget.micros, tokens=budget.tokens),
        included=dict(meters.included),
        override=_told(found.value) if found else Override(),
    )


def _told(record: OverrideRecord) -> Override:
    return Override(
        features=None if record.features is None else sorted(record.features),
        models=None if record.models is None else sorted(record.models),
        budget=Money(micros=record.budget.micros, tokens=record.budget.tokens) if record.budget else None,
        included=dict(record.included),
    )
