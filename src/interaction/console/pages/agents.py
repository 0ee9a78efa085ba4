"""`/agents`: the register of agents, as people read it."""

from collections.abc import Mapping

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from core import Effect, Lane
from interaction.answers import problems
from interaction.authority import Me
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.routes.agents import agent_named, register_entry

router = APIRouter(prefix="/agents", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="agents", path="/agents", icon="agent", position=60)

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
    return await page.show("agent.html", agent=await register_entry(me, agent_named(deps, name), deps), lanes=LANES)
