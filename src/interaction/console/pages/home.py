"""`/`: where people arrive."""

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from interaction.answers import problems
from interaction.authority import Me
from interaction.console.navigation import entries
from interaction.console.rendering import PageView

router = APIRouter(tags=["console"], default_response_class=HTMLResponse)


@router.get("/", responses=problems())
async def home_page(me: Me, page: PageView) -> Response:
    """Show what there is for you. Any member."""
    return await page.show("home.html", places=entries(me))
