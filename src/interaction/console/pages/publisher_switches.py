"""`/publisher/switches`: what is switched off for all tenants or for one, by whom and why."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import TypeAdapter

from interaction.answers import Told, problems
from interaction.authority import Staff, StaffActing, acts
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.people import names_in
from interaction.publisher import ask
from interaction.routes.switches import SwitchedOff, SwitchedOn

router = APIRouter(prefix="/publisher/switches", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="stops", path="/publisher/switches", icon="power", position=40, of_publisher=True)


class Stopped(Told):
    """Something that is switched off; `by` is a pseudonym, `reason` None where it was erased."""

    name: str
    at: str
    by: str
    reason: str | None


_OFF = TypeAdapter(list[Stopped])
_SEE_OTHER = 303
_BACK = {303: {"description": "To the page"}}


@router.get("", responses=problems(404))
async def stops_page(me: Staff, deps: Deps, page: PageView) -> Response:
    """Show what is switched off for all or for one, and what could be. The publisher's people."""
    found, names = await ask(me, deps, "GET", "/v1/switches"), names_in(deps.store.tenant(me))
    off = _OFF.validate_python(found["items"])
    people = {one.by: await names(one.by) or one.by for one in off}
    return await page.show("publisher_switches.html", off=off, names=found["names"], people=people, may=acts(me))


@router.post("/off", responses={**_BACK, **problems(404, 409, 422)})
async def stop(request: Request, me: StaffActing, deps: Deps) -> Response:
    """Switch something off for all tenants at once. The publisher's people who may act."""
    said = await form_of(request, SwitchedOff)
    await ask(me, deps, "POST", "/v1/switches/off", said.model_dump())
    return RedirectResponse("/publisher/switches", _SEE_OTHER)


@router.post("/on", responses={**_BACK, **problems(404, 409, 422)})
async def go_on(request: Request, me: StaffActing, deps: Deps) -> Response:
    """Switch something on again. The publisher's people who may act."""
    said = await form_of(request, SwitchedOn)
    await ask(me, deps, "POST", "/v1/switches/on", said.model_dump())
    return RedirectResponse("/publisher/switches", _SEE_OTHER)
