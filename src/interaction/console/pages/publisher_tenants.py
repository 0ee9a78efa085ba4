"""`/publisher/tenants`: who uses the product, how they do, what they cost and bring; telling and stopping one."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field, StringConstraints

from core import ID_PATTERN, TenantContext
from core.errors import NotFound
from interaction.answers import Given, problems
from interaction.authority import Staff, StaffActing, acts
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.pages.publisher_subscriptions import Because, Cursor
from interaction.console.rendering import PageView
from interaction.dependencies import Deps, InteractionDependencies
from interaction.publisher import ask

router = APIRouter(prefix="/publisher/tenants", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="tenants", path="/publisher/tenants", icon="person", position=30, of_publisher=True)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the tenant"}}
CustomerPath = Annotated[str, Path(pattern=rf"^{ID_PATTERN}$")]


class Message(Given):
    text: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
    days: Annotated[int, Field(ge=1, le=90)] = 14


@router.get("", responses=problems(404, 422))
async def tenants_page(me: Staff, deps: Deps, page: PageView, cursor: Cursor = "") -> Response:
    """List all tenants with how they are doing. The publisher's people."""
    found = await ask(me, deps, "GET", f"/v1/health{f'?cursor={cursor}' if cursor else ''}")
    return await page.show(
        "publisher_tenants.html",
        tenants=found["items"],
        cursor=found["cursor"],
        hosted=await _hosted_by_customers(me, deps) if not cursor else [],
    )


@router.get("/{customer}", responses=problems(404, 422))
async def tenant_page(me: Staff, deps: Deps, page: PageView, customer: CustomerPath) -> Response:
    """Show how a tenant is doing, and what it is told. The publisher's people."""
    about = await ask(me, deps, "GET", f"/v1/health/{customer}")
    return await page.show("publisher_tenant.html", about=about, may=acts(me))


@router.post("/{customer}/notices", responses={**_BACK, **problems(404, 422)})
async def tell(request: Request, me: StaffActing, deps: Deps, customer: CustomerPath) -> Response:
    """Tell a tenant's owners and admins something. The publisher's people who may act."""
    said = await form_of(request, Message)
    await ask(me, deps, "POST", f"/v1/health/{customer}/notices", said.model_dump())
    return _back(customer)


@router.post("/{customer}/off", responses={**_BACK, **problems(404, 409, 422)})
async def switch_off_for_a_customer(request: Request, me: StaffActing, deps: Deps, customer: CustomerPath) -> Response:
    """Stop everything of a tenant's agents at once. The publisher's people who may act."""
    said = await form_of(request, Because)
    await ask(me, deps, "POST", "/v1/switches/off", {"name": f"tenant/{customer}", "reason": said.reason})
    return _back(customer)


@router.post("/{customer}/on", responses={**_BACK, **problems(404, 409, 422)})
async def switch_on_for_a_customer(me: StaffActing, deps: Deps, customer: CustomerPath) -> Response:
    """Let them go on. The publisher's people who may act."""
    await ask(me, deps, "POST", "/v1/switches/on", {"name": f"tenant/{customer}"})
    return _back(customer)


async def _hosted_by_customers(me: TenantContext, deps: InteractionDependencies) -> object:
    """Return the first managed applications; none where none is sold."""
    try:
        return (await ask(me, deps, "GET", "/v1/applications"))["items"]
    except NotFound:
        return []


def _back(customer: str) -> Response:
    return RedirectResponse(f"/publisher/tenants/{customer}", _SEE_OTHER)
