"""How people decide: time, and quick approvals, by person and by tool."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BeforeValidator, Field

from interaction.answers import answer, described
from interaction.authority import Overseer
from interaction.deciding import DecidingReport, deciding_report
from interaction.dependencies import Deps
from interaction.parameters import digits
from interaction.people import names_in

router = APIRouter(prefix="/v1/approvals/measures", tags=["approvals"])

Days = Annotated[
    int, Field(ge=1, le=366), BeforeValidator(digits), Query(description="What was asked in so many days until now.")
]


@router.get("", responses=described(DecidingReport, 422))
async def read_measures(me: Overseer, deps: Deps, days: Days = 30) -> Response:
    """Read how long decisions take and how often they are quick. Roles: owner, admin, auditor."""
    data = deps.store.tenant(me)
    return answer(await deciding_report(data.views, names_in(data), deps.clock, days=days))
