"""Whether the candidate revision of orchestration is ready: nobody outside reaches it, so it is asked from here."""

from http import HTTPStatus

import aiohttp
from fastapi import APIRouter

from core.errors import NotFound, Unavailable
from interaction.dependencies import Deps
from web import Health, PeerRequest, problem_responses

router = APIRouter(tags=["probes"])

_SECONDS = 3.0
"""The candidate gives itself two."""


@router.get("/readyz/candidate", response_model_exclude_none=True, responses=problem_responses(404, 503))
async def candidate_readyz(deps: Deps) -> Health:
    """Say whether the revision can work now that some tenants reach before all do."""
    if deps.candidate is None:
        raise NotFound("No address of a candidate revision is set here.")
    asked = PeerRequest("GET", "/readyz", {}, b"", _SECONDS, None)
    try:
        async with deps.candidate.exchange(asked) as answer:
            if answer.status == HTTPStatus.OK:
                return Health()
    except (aiohttp.ClientError, TimeoutError):
        pass
    raise Unavailable("The candidate revision is not ready.", code="dependency.candidate", retry_after=1)
