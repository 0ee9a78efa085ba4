"""`/switches`: what is switched off, by whom and why; switching it off and on."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from core import Role
from interaction.answers import problems
from interaction.authority import Admin, Overseer
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps, InteractionDependencies
from interaction.people import names_in
from interaction.routes.switches import (
    SwitchedOff,
    SwitchedOn,
    SwitchTold,
    switch_off_for,
    switch_on_for,
    switched_off,
)

router = APIRouter(prefix="/switches", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(
    name="switches", path="/switches", icon="power", position=75, roles=(Role.OWNER, Role.ADMIN, Role.AUDITOR)
)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the page"}}


@dataclass(frozen=True, slots=True)
class ShownSwitch:
    """`kind` is `tenant`, `change_freeze`, `agent`, `tool` or `capability`; `of` its name, as people know it."""

    name: str
    kind: str
    of: str
    off: SwitchTold | None


@router.get("", responses=problems())
async def switches_page(me: Overseer, deps: Deps, page: PageView) -> Response:
    """Show what is switched off and what could be. Roles: owner, admin, auditor."""
    off = await switched_off(me, deps)
    names = names_in(deps.store.tenant(me))
    return await page.show(
        "switches.html",
        switches=[ShownSwitch(name, kind, of, off.get(name)) for name, kind, of in _all(deps)],
        people={one.by.id: await names(one.by.id) or one.by.id for one in off.values() if one.by},
        may=me.has(Role.ADMIN, Role.OWNER),
    )


@router.post("/off", responses={**_BACK, **problems(404, 409, 422)})
async def switch_it_off(request: Request, me: Admin, deps: Deps) -> Response:
    """Switch something off at once. Roles: owner, admin."""
    await switch_off_for(me, deps, await form_of(request, SwitchedOff))
    return RedirectResponse("/switches", _SEE_OTHER)


@router.post("/on", responses={**_BACK, **problems(404, 409, 422)})
async def switch_it_on(request: Request, me: Admin, deps: Deps) -> Response:
    """Switch something on again. Roles: owner, admin."""
    await switch_on_for(me, deps, await form_of(request, SwitchedOn))
    return RedirectResponse("/switches", _SEE_OTHER)


def _all(deps: InteractionDependencies) -> Iterator[tuple[str, str, str]]:
    for name in deps.switches.names:
        kind, _, of = name.partition("/")
        agent = deps.agents.get(of) if kind == "agent" else None
        yield name, kind, agent.title if agent else of
