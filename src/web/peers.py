"""The one way in which one of our services calls another."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import aiohttp
from pydantic import ValidationError

from core import Clock, SystemClock, TenantContext
from core.errors import MandateError, Timeout, Unauthenticated, Unavailable
from telemetry import inject
from web.assertions import ASSERTION_HEADER, AssertionSigner
from web.bounded import read_bounded
from web.correlation import CORRELATION_HEADER
from web.problems import Problem
from web.service_tokens import ServiceTokens
from web.sse import HEARTBEAT_SECONDS
from web.transports import PeerAnswer, PeerRequest, Transport

_MAX_ANSWER = 20_000_000
_MAX_PROBLEM = 100_000

_log = logging.getLogger(__name__)

_BY_STATUS = {int(cls.status): cls for cls in MandateError.__subclasses__()}


@dataclass(frozen=True, slots=True)
class _Request:
    context: TenantContext
    method: str
    path: str
    body: bytes
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A newer revision of a peer that runs beside it, and who is to reach that one instead."""

    transport: Transport
    is_for: Callable[[TenantContext], Awaitable[bool]]


class PeerClient:
    """Calls one peer with our service token and a tenant assertion made for each request. It never tries twice.

    Args:
        transport: the way to the peer.
        audience_service: the peer's name, for which assertions are made.
        scope: for which service tokens are asked.
        tokens: where they come from.
        signer: this process's.
        clock: tells what is left until a deadline.
        candidate: a newer revision, for some tenants; None where there is none.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        audience_service: str,
        scope: str,
        tokens: ServiceTokens,
        signer: AssertionSigner,
        clock: Clock | None = None,
        candidate: Candidate | None = None,
    ) -> None:
        self._transport = transport
        self._candidate = candidate
        self._service = audience_service
        self._scope = scope
        self._tokens = tokens
        self._signer = signer
        self._clock = clock or SystemClock()

    async def call(
        self, context: TenantContext, method: str, path: str, *, body: bytes = b"", deadline: datetime
    ) -> bytes:
        """Return the body of the peer's answer.

        Args:
            context: for whom we ask.
            method: of the request.
            path: with query, both already percent-encoded.
            body: JSON, or nothing.
            deadline: by when the answer is of use; the peer is told.

        Raises:
            MandateError: what the peer's problem document says.
            Unavailable: it does not answer, does not know us, or not in a way we understand (`dependency.<service>`).
            Timeout: the deadline came first (`timeout.<service>`).
        """
        request = _Request(context, method, path, body, deadline)
        async with self._answer(request, {"Accept": "application/json"}, silence=None) as answer:
            with self._told_apart():
                return await read_bounded(answer.pieces, _MAX_ANSWER)

    @asynccontextmanager
    async def stream(
        self,
        context: TenantContext,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        deadline: datetime,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """Give the peer's server-sent events as raw bytes, as they come. Raises what `call` raises."""
        request = _Request(context, method, path, body, deadline)
        wanted = {"Accept": "text/event-stream", **(headers or {})}
        async with self._answer(request, wanted, silence=3 * HEARTBEAT_SECONDS) as answer:
            yield self._pieces(answer)

    @asynccontextmanager
    async def _answer(
        self, request: _Request, wanted: Mapping[str, str], *, silence: float | None
    ) -> AsyncGenerator[PeerAnswer, None]:
        left = (request.deadline - self._clock.now()).total_seconds()
        if left <= 0:
            raise self._too_late()
        async with AsyncExitStack() as stack:
            with self._told_apart():
                async with asyncio.timeout(left):
                    headers = {**wanted, **await self._headers(request)}
                    transport = await self._way(request.context)
                asked = PeerRequest(request.method, request.path, headers, request.body, left, silence)
                answer = await stack.enter_async_context(transport.exchange(asked))
            if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                raise await self._error(answer)
            yield answer

    async def _way(self, context: TenantContext) -> Transport:
        candidate = self._candidate
        return candidate.transport if candidate and await candidate.is_for(context) else self._transport

    async def _headers(self, request: _Request) -> dict[str, str]:
        token = await self._tokens.token(self._scope)
        assertion = self._signer.sign(
            request.context,
            audience=self._service,
            method=request.method,
            path=request.path,
            body=request.body,
            deadline=request.deadline,
        )
        headers = {
            "Authorization": f"Bearer {token}",
            CORRELATION_HEADER: request.context.correlation,
            ASSERTION_HEADER: assertion,
        }
        if request.body:
            headers["Content-Type"] = "application/json"
        inject(headers)
        return headers

    async def _pieces(self, answer: PeerAnswer) -> AsyncIterator[bytes]:
        with self._told_apart():
            async for piece in answer.pieces:
                yield piece

    async def _error(self, answer: PeerAnswer) -> MandateError:
        with self._told_apart():
            body = await read_bounded(answer.pieces, _MAX_PROBLEM)
        kind = _BY_STATUS.get(answer.status)
        try:
            problem = Problem.model_validate_json(body)
        except ValidationError:
            problem = None
        if kind is None or problem is None or kind is Unauthenticated:
            # 401 says that the peer does not accept this service: nothing that the person who asks could mend.
            _log.warning("%s answered %d %s", self._service, answer.status, problem.code if problem else "")
            return self._unavailable()
        return kind(problem.detail, code=problem.code, retry_after=_seconds(answer.headers.get("Retry-After")))

    @contextmanager
    def _told_apart(self) -> Generator[None, None, None]:
        """Say of a failed exchange whether the peer failed or the deadline came."""
        try:
            yield
        except aiohttp.ClientError as error:
            raise self._unavailable() from error
        except TimeoutError as error:
            raise self._too_late() from error

    def _unavailable(self) -> Unavailable:
        message = "A part of the service does not answer as it should. Try again shortly."
        return Unavailable(message, code=f"dependency.{self._service}", retry_after=1)

    def _too_late(self) -> Timeout:
        return Timeout("The answer took too long. Try again.", code=f"timeout.{self._service}")


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
