"""`/account`: who you are here, and where you are signed in."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from interaction.answers import problems
from interaction.authority import Me
from interaction.console.rendering import PageView
from interaction.cookies import SESSION_COOKIE, drop_cookie
from interaction.dependencies import Deps
from interaction.routes.people import myself
from web import SIGNED_OUT

router = APIRouter(prefix="/account", tags=["console"], default_response_class=HTMLResponse)

_SEE_OTHER = 303


@router.get("", responses=problems())
async def account_page(me: Me, deps: Deps, page: PageView, request: Request) -> Response:
    """Show who you are, and your sessions. Any member."""
    session = getattr(request.state, "session", None)
    return await page.show(
        "account.html",
        myself=await myself(me, deps),
        username=request.state.token.username,
        sessions=await deps.sessions.list(me),
        current=session.key if session else "",
    )


@router.post("/sign-out-everywhere", responses={303: {"description": "To the page that says so"}, **problems()})
async def sign_out_everywhere(me: Me, deps: Deps) -> Response:
    """End your sessions in all browsers. Any member."""
    await deps.sessions.end_all(me)
    response = RedirectResponse(SIGNED_OUT, _SEE_OTHER)
    drop_cookie(response, SESSION_COOKIE)
    return response
