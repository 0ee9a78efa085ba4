"""What the marketplace tells us: passed on to the control plane as it is, which knows whether to believe it."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

import aiohttp
from fastapi import APIRouter, Query, Request, Response

from core.errors import Unavailable
from interaction.dependencies import Deps, InteractionDependencies
from web import PeerRequest, problem_responses

router = APIRouter(tags=["marketplace"])

WEBHOOK = "/v1/marketplace/webhook"
APPLICATIONS = "/v1/marketplace/applications/resource"
"""Azure puts `/resource` behind the address that the offer names."""

HEARTBEAT, ORDERS = "/v1/stamps/heartbeat", "/v1/stamps/orders"
_SECONDS = 8.0
"""The marketplace takes a change for accepted after ten."""

_KEPT = ("authorization", "content-type")


@router.post(WEBHOOK, responses=problem_responses(401, 403, 404, 413, 503))
async def webhook(request: Request, deps: Deps) -> Response:
    """Take what the marketplace tells. The marketplace only, proved by its own token."""
    return await _passed_on(request, deps, WEBHOOK)


@router.post(APPLICATIONS, responses=problem_responses(401, 403, 404, 413, 422, 503))
async def notified(request: Request, deps: Deps, sig: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Take what Azure tells of managed applications. Whoever knows the secret in the address that it was given."""
    return await _passed_on(request, deps, f"{APPLICATIONS}?{urlencode({'sig': sig})}")


@router.post(HEARTBEAT, responses=problem_responses(401, 403, 404, 413, 422, 503))
async def heartbeat(request: Request, deps: Deps) -> Response:
    """Take note that an application at a customer's is alive, and of its version. Its own identity only."""
    return await _passed_on(request, deps, HEARTBEAT)


@router.post(ORDERS, responses=problem_responses(401, 403, 404, 413, 422, 503))
async def orders(request: Request, deps: Deps) -> Response:
    """Say what an application at a customer's may do, where it asks for that. Its own identity only."""
    return await _passed_on(request, deps, ORDERS)


async def _passed_on(request: Request, deps: InteractionDependencies, path: str) -> Response:
    headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
    asked = PeerRequest("POST", path, headers, await request.body(), _SECONDS, None)
    try:
        async with deps.webhooks.exchange(asked) as answer:
            pieces = [piece async for piece in answer.pieces]
            media_type = answer.headers.get("content-type")
    except (aiohttp.ClientError, TimeoutError):
        raise Unavailable("The control plane does not answer.", code="dependency.control", retry_after=5) from None
    return Response(b"".join(pieces), HTTPStatus(answer.status), media_type=media_type)
