"""Refused access is evidence: whoever is told no at the edge is in the tenant's access log."""

import asyncio
import logging

from fastapi import FastAPI, Request, Response

from control import NOBODY, AccessLog
from core import TenantContext
from core.errors import Forbidden, MandateError, NotFound, RateLimited, Unauthenticated
from interaction.authority import operation
from telemetry import log
from web import correlation_of, problem_response

WAIT_SECONDS = 1.0
"""How long an answer waits for its record. What takes longer is still written, after the answer."""


class Refusals:
    def __init__(self, access: AccessLog) -> None:
        self._access = access
        self._under_way: set[asyncio.Task[None]] = set()

    def install(self, app: FastAPI) -> None:
        for refusal in (Unauthenticated, Forbidden, NotFound, RateLimited):
            app.add_exception_handler(refusal, self._refuse)

    async def finish(self) -> None:
        """Return once everything is written; each record has its own bound."""
        await asyncio.gather(*self._under_way)

    async def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, MandateError)
        if "route" in request.scope:
            task = asyncio.create_task(self._record(request, error))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.wait([task], timeout=WAIT_SECONDS)
        return problem_response(error, correlation_of(request.scope))

    async def _record(self, request: Request, error: MandateError) -> None:
        context: TenantContext | None = getattr(request.state, "context", None)
        actor = context.principal.actor if context else NOBODY
        try:
            await self._access.refused(context, error.code, operation(request), actor)
        except MandateError as failure:
            log(logging.ERROR, "A refusal could not be written down", context=context, code=failure.code)
