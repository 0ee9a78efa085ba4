"""What the marketplace tells us: passed on to the control plane as it is, which knows whether to believe it."""

from http import HTTPStatus

import aiohttp
from fastapi import APIRouter, Request, Response

from core.errors import Unavailable
from interaction.dependencies import Deps
from web import PeerRequest, problem_responses

router = APIRouter(tags=["marketplace"])

WEBHOOK = "/v1/marketplace/webhook"
_SECONDS = 8.0
"""The marketplace takes a change for accepted after ten."""

_KEPT = ("authorization", "content-type")


@router.post(WEBHOOK, responses=problem_responses(401, 403, 404, 413, 503))
async def webhook(request: Request, deps: Deps) -> Response:
    """Take what the marketplace tells. The marketplace only, proved by its own token."""
    headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
    asked = PeerRequest("POST", WEBHOOK, headers, await request.body(), _SECONDS, None)
    try:
        async with deps.webhooks.exchange(asked) as answer:
            pieces = [piece async for piece in answer.pieces]
            media_type = answer.headers.get("content-type")
    except (aiohttp.ClientError, TimeoutError):
        raise Unavailable("The control plane does not answer.", code="dependency.control", retry_after=5) from None
    return Response(b"".join(pieces), HTTPStatus(answer.status), media_type=media_type)
