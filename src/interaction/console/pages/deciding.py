"""`/deciding`: how long decisions on approvals take, and how often they are quick, by person and by tool."""

from collections.abc import Sequence

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from interaction.answers import problems
from interaction.authority import Overseer
from interaction.console.rendering import PageView
from interaction.deciding import ByPerson, ByTool, deciding_report
from interaction.dependencies import Deps
from interaction.people import names_in
from interaction.routes.deciding import Days

router = APIRouter(prefix="/deciding", tags=["console"], default_response_class=HTMLResponse)

PERIODS = (7, 30, 90)


@router.get("", responses=problems(422))
async def deciding_page(me: Overseer, deps: Deps, page: PageView, days: Days = 30) -> Response:
    """Show how people decide. Roles: owner, admin, auditor."""
    data = deps.store.tenant(me)
    report = await deciding_report(data.views, names_in(data), deps.clock, days=days)
    return await page.show(
        "deciding.html", report=report, periods=PERIODS, people=_shares(report.people), tools=_shares(report.tools)
    )


def _shares(lines: Sequence[ByPerson] | Sequence[ByTool]) -> list[int]:
    """Return of each line how large its median is, from 0 to 100 of the largest."""
    largest = max((line.median_seconds or 0 for line in lines), default=0) or 1
    return [round(100 * (line.median_seconds or 0) / largest) for line in lines]
