"""`/agents`: the register of agents, as people read it."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from control import MOST_DAYS
from core import Confidentiality, Effect, Lane, Role
from interaction.answers import problems
from interaction.authority import Admin, Me
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.routes.agent_identity import Revoking, Sponsoring, revoke_for, sponsor_for
from interaction.routes.agents import agent_named, register_entry

router = APIRouter(prefix="/agents", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="agents", path="/agents", icon="agent", position=60)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the page"}}

LANES: Mapping[Effect, tuple[Lane, ...]] = {
    Effect.READ: (Lane.AUTOMATIC,),
    Effect.WRITE: (Lane.AUTOMATIC, Lane.APPROVAL),
    Effect.EXTERNAL: (Lane.APPROVAL,),
    Effect.IRREVERSIBLE: (Lane.NEVER,),
}
"""What the publisher's policies can say of an effect at their most lenient; each call is decided on its own facts."""


@router.get("", responses=problems())
async def agents_page(me: Me, deps: Deps, page: PageView) -> Response:
    """Show the agents that you can talk to. Any member."""
    return await page.show(
        "agents.html", agents=[await register_entry(me, agent, deps) for agent in deps.agents.values()]
    )


@router.get("/{name}", responses=problems(404))
async def agent_page(name: str, me: Me, deps: Deps, page: PageView) -> Response:
    """Show an agent's entry in the register. Any member."""
    return await page.show(
        "agent.html",
        agent=await register_entry(me, agent_named(deps, name), deps),
        lanes=LANES,
        may=me.has(Role.OWNER, Role.ADMIN),
        most_days=MOST_DAYS,
        effects=[effect.value for effect in Effect],
        confidentialities=list(Confidentiality),
    )


@router.post("/{name}/sponsorship", responses={**_BACK, **problems(404, 409, 422)})
async def sponsor_it(name: str, request: Request, me: Admin, deps: Deps) -> Response:
    """Take an agent on, renew it, or let it do less or more. Roles: owner, admin."""
    asked = await form_of(request, Sponsoring, lists=("tools", "effects", "search_in"))
    await sponsor_for(me, deps, name, asked)
    return RedirectResponse(f"/agents/{agent_named(deps, name).name}", _SEE_OTHER)


@router.post("/{name}/revoke", responses={**_BACK, **problems(404, 409, 422)})
async def revoke_it(name: str, request: Request, me: Admin, deps: Deps) -> Response:
    """Take away all that an agent may do, at once. Roles: owner, admin."""
    await revoke_for(me, deps, name, await form_of(request, Revoking))
    return RedirectResponse(f"/agents/{agent_named(deps, name).name}", _SEE_OTHER)
