"""`/publisher/metering`: what is billed by use, term by term, and the events that the marketplace has not taken."""

from collections.abc import Mapping
from datetime import timedelta

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, TypeAdapter

from core import TenantContext
from interaction.answers import problems
from interaction.authority import Staff
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps, InteractionDependencies
from interaction.publisher import ask

router = APIRouter(prefix="/publisher/metering", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="metering", path="/publisher/metering", icon="scales", position=25, of_publisher=True)

DAYS = 7
"""Events of so many days are looked at; what nobody answers for is settled within two."""

_MOST = 100


class _Bought(BaseModel):
    tenant: str
    name: str


_BOUGHT = TypeAdapter(list[_Bought])


@router.get("", responses=problems(404))
async def metering_page(me: Staff, deps: Deps, page: PageView) -> Response:
    """Show used, included, billed and owed units of each tenant and term. The publisher's people."""
    last = deps.clock.now().date()
    period = f"first={last - timedelta(days=DAYS - 1)}&last={last}"
    found = await ask(me, deps, "GET", f"/v1/metering?{period}")
    return await page.show("publisher_metering.html", meters=found["items"], names=await _names(me, deps), days=DAYS)


async def _names(me: TenantContext, deps: InteractionDependencies) -> Mapping[str, str]:
    """Return what the first hundred subscriptions are called, by tenant."""
    found = await ask(me, deps, "GET", f"/v1/subscriptions?limit={_MOST}")
    return {one.tenant: one.name for one in _BOUGHT.validate_python(found["items"]) if one.name}
