"""`/deputies`: who decides in the place of an approver who is away."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import StringConstraints

from core import PrincipalId, Role
from interaction.answers import Given, problems
from interaction.authority import Approver, Me, User
from interaction.console.forms import form_of
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.parameters import PersonPath
from interaction.people import people_named
from interaction.routes.deputies import deputies_seen, deputy_named, end_deputy
from orchestration import DECIDERS, may_stand_in

router = APIRouter(prefix="/deputies", tags=["console"], default_response_class=HTMLResponse)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the page"}}


class DeputyForm(Given):
    """Whom somebody names, and the first and the last day, in UTC."""

    deputy: Annotated[PrincipalId, StringConstraints(pattern=r"^prn_[0-9a-z]{26}$")]
    first: date
    last: date


@router.get("", responses=problems())
async def deputies_page(me: Me, deps: Deps, page: PageView) -> Response:
    """Show who is whose deputy: owners, admins and auditors all, others those that concern them."""
    names_one = me.has(*DECIDERS)
    people = await people_named(deps.store.tenant(me), may_stand_in) if names_one else dict[str, str]()
    return await page.show(
        "deputies.html",
        deputies=await deputies_seen(me, deps),
        people={key: name for key, name in people.items() if key != me.principal.id},
        ends_all=me.has(Role.ADMIN, Role.OWNER),
        own=me.principal.id,
        today=deps.clock.now().date().isoformat(),
    )


@router.post("", responses={**_BACK, **problems(404, 409, 422)})
async def name_a_deputy(me: Approver, deps: Deps, request: Request) -> Response:
    """Name a deputy, from one day until the end of another. Roles: approver, owner."""
    asked = await form_of(request, DeputyForm)
    since, until = (datetime.combine(day, time(), UTC) for day in (asked.first, asked.last + timedelta(days=1)))
    await deputy_named(me, deps, asked.deputy, since, until)
    return RedirectResponse("/deputies", _SEE_OTHER)


@router.post("/{person}/end", responses={**_BACK, **problems(404, 412)})
async def end_a_deputy(person: PersonPath, me: User, deps: Deps) -> Response:
    """End that somebody is the deputy of `person`. That person; owners and admins, of anybody."""
    await end_deputy(me, deps, person)
    return RedirectResponse("/deputies", _SEE_OTHER)
