"""`/evidence`: the checkpoints over all that happened, the keys that sign them, and whether one holds."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator, Field

from core import Role
from interaction.answers import problems
from interaction.authority import Overseer
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.parameters import Cursor, digits
from interaction.routes.evidence import checkpoints_page, known_keys, verified_checkpoint

router = APIRouter(prefix="/evidence", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="evidence", path="/evidence", icon="seal", position=55, roles=(Role.OWNER, Role.ADMIN, Role.AUDITOR))

PAGE = 50

Check = Annotated[
    Annotated[int, Field(ge=1, le=10**9), BeforeValidator(digits)] | None,
    Query(description="Check this checkpoint now."),
]


@router.get("", responses=problems(404, 422))
async def evidence_page(
    me: Overseer, deps: Deps, page: PageView, *, check: Check = None, cursor: Cursor = None
) -> Response:
    """Show the checkpoints; with `check`, whether one holds. Roles: owner, admin, auditor."""
    found = await checkpoints_page(me, deps, cursor=cursor, limit=PAGE)
    return await page.show(
        "evidence.html",
        checkpoints=found,
        keys=await known_keys(deps),
        checked=await verified_checkpoint(me, deps, check) if check else None,
    )
