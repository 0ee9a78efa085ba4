"""`/changes`: what will change for the organisation and when, and when it lets changes come."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field

from control import DAYS, ChangeWindow, Day, OpenHours, TimeOfDay
from core import Role, TenantContext, parse_timestamp
from interaction.answers import Given, problems
from interaction.authority import Admin, Me
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps, InteractionDependencies
from interaction.routes.changes_to_come import changes_of, windows_saved

router = APIRouter(prefix="/changes", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="changes", path="/changes", icon="calendar", position=77)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the page"}}


class WindowForm(Given):
    """A window to add: each week from a time in UTC."""

    day: Day
    start: TimeOfDay
    hours: OpenHours


class FreezeForm(Given):
    """A freeze to add: the first and the last day, in UTC."""

    first: date
    last: date


class RemovalForm(Given):
    """Which one goes, by its place on the page."""

    what: Literal["window", "freeze"]
    place: Annotated[int, Field(ge=0, le=99)]


@router.get("", responses=problems())
async def changes_page(me: Me, deps: Deps, page: PageView) -> Response:
    """Show what will change and when, to every member."""
    return await page.show(
        "changes.html",
        changes=await changes_of(me, deps),
        may_change=me.has(Role.ADMIN, Role.OWNER),
        days=DAYS,
        today=deps.clock.now().date().isoformat(),
    )


@router.post("/windows", responses={**_BACK, **problems(412, 422)})
async def add_window(me: Admin, deps: Deps, request: Request) -> Response:
    """Add a weekly window. Roles: admin, owner."""
    asked = await form_of(request, WindowForm)
    windows, freezes = await _now(me, deps)
    added = ChangeWindow(day=asked.day, start=asked.start, hours=asked.hours)
    await windows_saved(me, deps, [*windows, added], freezes)
    return RedirectResponse("/changes", _SEE_OTHER)


@router.post("/freezes", responses={**_BACK, **problems(412, 422)})
async def add_freeze(me: Admin, deps: Deps, request: Request) -> Response:
    """Add a freeze, from one day until the end of another. Roles: admin, owner."""
    asked = await form_of(request, FreezeForm)
    since, until = (datetime.combine(day, time(), UTC) for day in (asked.first, asked.last + timedelta(days=1)))
    windows, freezes = await _now(me, deps)
    await windows_saved(me, deps, windows, [*freezes, (since, until)])
    return RedirectResponse("/changes", _SEE_OTHER)


@router.post("/remove", responses={**_BACK, **problems(412, 422)})
async def remove_one(me: Admin, deps: Deps, request: Request) -> Response:
    """Take away a window or a freeze. Roles: admin, owner."""
    asked = await form_of(request, RemovalForm)
    windows, freezes = await _now(me, deps)
    if asked.what == "window":
        del windows[asked.place : asked.place + 1]
    else:
        del freezes[asked.place : asked.place + 1]
    await windows_saved(me, deps, windows, freezes)
    return RedirectResponse("/changes", _SEE_OTHER)


async def _now(
    me: TenantContext, deps: InteractionDependencies
) -> tuple[list[ChangeWindow], list[tuple[datetime, datetime]]]:
    """Return what holds now, in the order in which the page shows it."""
    schedule = await deps.features.schedule(deps.store.tenant(me))
    freezes = [(parse_timestamp(one.since), parse_timestamp(one.until)) for one in schedule.freezes]
    return [*schedule.windows], freezes
