"""`/static`: style and script, for anybody."""

from fastapi import APIRouter, Response

from core.errors import NotFound
from interaction.console import assets
from web import problem_responses

router = APIRouter(tags=["console"], default_response_class=Response)

_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@router.get("/static/{version}/{name}", responses={200: {"content": {"*/*": {}}}, **problem_responses(404)})
async def static_file(version: str, name: str) -> Response:
    """Read a file of the console's style or script."""
    found = assets.assets().get(name)
    if found is None:
        raise NotFound("There is no such file.")
    kept = _FOR_GOOD if version == assets.version() else _ASK_AGAIN
    return Response(found.data, headers={"Cache-Control": kept}, media_type=found.media_type)
