"""`/deciding/apps`: the organisation's own apps in which people may sign decisions on approvals."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BeforeValidator

from core import Role
from interaction.answers import Given, problems
from interaction.authority import Admin, Overseer
from interaction.console.forms import form_of
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.routes.deciding_apps import (
    Client,
    ClientPath,
    add_deciding_app,
    deciding_apps,
    remove_deciding_app,
)
from interaction.signed_decisions import names_apps

router = APIRouter(prefix="/deciding/apps", tags=["console"], default_response_class=HTMLResponse)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the page"}}


def _tidied(value: object) -> object:
    """Portals show ids with capitals, and what is copied has spaces around it."""
    return value.strip().lower() if isinstance(value, str) else value


class AppForm(Given):
    client: Annotated[Client, BeforeValidator(_tidied)]


@router.get("", responses=problems())
async def deciding_apps_page(me: Overseer, deps: Deps, page: PageView) -> Response:
    """Show the apps. Roles: owner, admin, auditor."""
    apps, only = await deciding_apps(me, deps), await names_apps(me, deps)
    return await page.show("deciding_apps.html", apps=apps, only=only, may=me.has(Role.OWNER, Role.ADMIN))


@router.post("", responses={**_BACK, **problems(409, 422)})
async def add_an_app(me: Admin, deps: Deps, request: Request) -> Response:
    """Let people sign decisions in an app. Roles: admin, owner."""
    await add_deciding_app((await form_of(request, AppForm)).client, me, deps)
    return RedirectResponse("/deciding/apps", _SEE_OTHER)


@router.post("/{client}/end", responses={**_BACK, **problems(404, 409, 422)})
async def remove_an_app(client: ClientPath, me: Admin, deps: Deps) -> Response:
    """Take no decisions from an app any more. Roles: admin, owner."""
    await remove_deciding_app(client, me, deps)
    return RedirectResponse("/deciding/apps", _SEE_OTHER)
