"""Taking data away: one zip of all that an organisation has here, or of what is somebody's own."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from core import Role, TenantContext
from core.errors import Forbidden
from interaction.answers import problems
from interaction.authority import Me
from interaction.dependencies import Deps, InteractionDependencies
from orchestration import Exporting, archive

router = APIRouter(prefix="/v1/data", tags=["data"])

LONGEST_CHECKPOINT, LONGEST_SEAL = timedelta(seconds=30), timedelta(seconds=20)

Of = Annotated[Literal["tenant", "me"], Query(description="Whose: the organisation's, or your own.")]


class Zip(StreamingResponse):
    media_type = "application/zip"


_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The archive, as it is made",
        "headers": {"Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}}},
        "content": {Zip.media_type: {"schema": {"type": "string", "format": "binary"}}},
    },
    **problems(422),
}


@router.get("/export", response_class=Zip, responses=_EXPORT)
async def export_data(me: Me, deps: Deps, of: Of = "tenant") -> Zip:
    """Take the organisation's data with you, as one zip; with `of=me` your own. The former: admin, owner.

    It can be checked without us. It is no snapshot: what changes while it is made may be in it or not.
    """
    exporting = await export_asked_for(me, deps, of)
    await deps.orchestration.call(me, "POST", "/internal/checkpoints", deadline=deps.clock.now() + LONGEST_CHECKPOINT)
    name = f"{exporting.person or exporting.context.tenant}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Zip(archive(exporting, deps.clock, partial(_vouched, me, deps)), headers=headers)


async def _vouched(me: TenantContext, deps: InteractionDependencies, manifest: str) -> bytes:
    """Have a manifest, whose SHA-256 is given, signed for this tenant."""
    body, deadline = orjson.dumps({"manifest": manifest}), deps.clock.now() + LONGEST_SEAL
    return await deps.orchestration.call(me, "POST", "/internal/seals", body=body, deadline=deadline)


async def export_asked_for(me: TenantContext, deps: InteractionDependencies, of: Literal["tenant", "me"]) -> Exporting:
    """Write down that somebody takes data away, and return what `archive` is made of.

    Raises:
        Forbidden: only an admin or owner may take the organisation's.
    """
    if of == "me":
        await deps.access.admin(me, "person", me.principal.id, "exported")
        return Exporting(deps.store, me, person=me.principal.id)
    if not me.has(Role.ADMIN, Role.OWNER):
        raise Forbidden("Only an admin or owner may take the organisation's data.", code="access.role")
    await deps.access.admin(me, "tenant", me.tenant, "exported")
    return Exporting(deps.store, me)
