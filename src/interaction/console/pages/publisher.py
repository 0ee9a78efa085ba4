"""`/publisher`: what is sold and what wants looking at, for the publisher's own people."""

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from interaction.answers import problems
from interaction.authority import Staff, StaffActing, acts
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.publisher import ask

router = APIRouter(prefix="/publisher", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="publisher", path="/publisher", icon="chart", position=10, of_publisher=True, alone=True)

_SEE_OTHER = 303
_MOST = 100


@router.get("", responses=problems(404))
async def publisher_page(me: Staff, deps: Deps, page: PageView) -> Response:
    """Show what is sold, what was told and is not done, and what wants looking at. The publisher's people."""
    bought = await ask(me, deps, "GET", f"/v1/subscriptions?limit={_MOST}")
    return await page.show(
        "publisher.html",
        offer=await ask(me, deps, "GET", "/v1/offer"),
        desk=await ask(me, deps, "GET", "/v1/subscriptions/desk"),
        bought=bought["items"],
        more=bought["cursor"],
        may=acts(me),
    )


@router.post("/comparison", responses={303: {"description": "To the page"}, **problems(404)})
async def compare(me: StaffActing, deps: Deps) -> Response:
    """Compare all subscriptions with the marketplace's now. The publisher's people who may act."""
    await ask(me, deps, "POST", "/v1/subscriptions/reconciliation")
    return RedirectResponse("/publisher", _SEE_OTHER)
