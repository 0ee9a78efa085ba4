"""What the publisher switches off at once, for all tenants or for one."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints

from control.callers import ControlServices, publisher, publisher_reader, services
from control.switch_records import SwitchesRecord
from core import TenantContext
from web import problem_responses

router = APIRouter(prefix="/v1/switches", tags=["switches"])

Services = Annotated[ControlServices, Depends(services)]
Publisher = Annotated[TenantContext, Depends(publisher)]
Reader = Annotated[TenantContext, Depends(publisher_reader)]

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(/[a-z0-9_-]+)?$", max_length=100)]


class SwitchedOn(BaseModel):
    """Name of what is switched: `tenant` for all of them, `tenant/<id>`, `agent/<name>`, `tool/<name>`, ..."""

    model_config = ConfigDict(extra="forbid")

    name: _Name


class SwitchedOff(SwitchedOn):
    """The reason is shown to everybody whom it stops."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]


class SwitchView(BaseModel):
    """One that is off; `by` is the pseudonym of whoever did it, `reason` None where it was erased."""

    name: str
    at: str
    by: str
    reason: str | None


class SwitchesView(BaseModel):
    """`items` are those that the publisher has switched off, `names` what could be."""

    items: list[SwitchView]
    names: list[str]


@router.get("", responses=problem_responses(401, 403, 503))
async def read_switches(context: Reader, deps: Services) -> SwitchesView:
    """List what is switched off. Publisher only."""
    told = await deps.switches.everywhere(deps.store.tenant(context))
    items = [SwitchView(name=one.name, at=one.at, by=one.by.id, reason=one.reason) for one in told]
    return SwitchesView(items=items, names=list(deps.switches.names))


@router.post("/off", status_code=204, responses=problem_responses(401, 403, 404, 409, 413, 415, 422, 503))
async def switch_off(body: SwitchedOff, context: Publisher, deps: Services) -> None:
    """Switch something off from the next decision on, in all processes. Publisher only."""
    reason = await deps.switches.switch_off(context, body.name, body.reason)
    await deps.access.admin(context, SwitchesRecord.kind, body.name, "off", cause="act.off", reason=reason)


@router.post("/on", status_code=204, responses=problem_responses(401, 403, 404, 409, 413, 415, 422, 503))
async def switch_on(body: SwitchedOn, context: Publisher, deps: Services) -> None:
    """Switch it on again. Publisher only."""
    await deps.switches.switch_on(context, body.name)
    await deps.access.admin(context, SwitchesRecord.kind, body.name, "on", cause="act.on")
