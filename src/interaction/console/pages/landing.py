"""`/marketplace`: where somebody comes who has bought. Signs them in, shows what they bought, begins it when told to.

The token that brings them stands in the address once. It goes into a cookie and the browser goes on to sign in, so that
no page is ever shown at that address; with the sign-in it is exchanged for a secret of ours, and dropped.
"""

from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import StringConstraints

from control import contexts, csrf_token
from core.errors import NotFound
from interaction.answers import Given
from interaction.console.forms import form_of
from interaction.console.pages.sign_in import begin_sign_in
from interaction.console.rendering import HEADERS, PageView
from interaction.console.return_to import LANDING
from interaction.cookies import LANDING_COOKIE, PURCHASE_COOKIE, set_cookie
from interaction.dependencies import Deps, InteractionDependencies
from web import check_csrf, correlation_of, problem_responses

router = APIRouter(tags=["console"], default_response_class=HTMLResponse)

EMAIL = r"^[^@\s\x00-\x20<>\"',;]{1,64}@[^@\s\x00-\x20<>\"',;]{1,189}$"
_TEN_MINUTES = 600
_SEE_OTHER = 303
_SECONDS = timedelta(seconds=30)
_BEGUN = {303: {"description": "To the identity provider"}}


@router.get("/marketplace", responses={**_BEGUN, **problem_responses(422, 503)})
async def land(deps: Deps, page: PageView, token: Annotated[str, Query(pattern=r"^[ -~]{0,3500}$")] = "") -> Response:
    """Come from the marketplace with what was bought; you sign in first. Anybody."""
    if not token:
        return await _expired(page)
    response = await begin_sign_in(deps, LANDING)
    response.headers.update({**HEADERS, "Referrer-Policy": "no-referrer"})
    set_cookie(response, PURCHASE_COOKIE, token, seconds=_TEN_MINUTES)
    return response


@router.get(LANDING, responses=problem_responses(403, 503))
async def landing_page(request: Request, deps: Deps, page: PageView) -> Response:
    """Show what was bought, and what can be done with it. Whoever landed, in this browser."""
    secret = request.cookies.get(LANDING_COOKIE, "")
    try:
        bought = await _ask(request, deps, "show", secret)
    except NotFound:
        return await _expired(page)
    return await page.show("landing.html", bought=bought, landing_csrf=csrf_token(secret))


class _Beginning(Given):
    """`contact` is an e-mail address to write to about the subscription."""

    contact: Annotated[str, StringConstraints(pattern=EMAIL, max_length=254)] = ""


@router.post(LANDING, responses={303: {"description": "To the page"}, **problem_responses(403, 409, 422, 503)})
async def activate(request: Request, deps: Deps, page: PageView) -> Response:
    """Begin the subscription; doing so again changes nothing. Whoever landed, in this browser."""
    secret = request.cookies.get(LANDING_COOKIE, "")
    await check_csrf(request, csrf_token(secret), deps.public_url)
    said = await form_of(request, _Beginning)
    try:
        await _ask(request, deps, "activation", secret, contact=said.contact)
    except NotFound:
        return await _expired(page)
    return RedirectResponse(LANDING, _SEE_OTHER)


async def _ask(
    request: Request, deps: InteractionDependencies, what: str, secret: str, **said: str
) -> dict[str, object]:
    if not secret:
        raise NotFound("Nobody has landed in this browser.")
    answer = await deps.control.call(
        contexts.visitor(correlation_of(request.scope)),
        "POST",
        f"/internal/marketplace/landings/{what}",
        body=orjson.dumps({"secret": secret, **said}),
        deadline=deps.clock.now() + _SECONDS,
    )
    return orjson.loads(answer)


async def _expired(page: PageView) -> Response:
    return await page.show("landing_expired.html", 404)
