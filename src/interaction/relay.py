"""A peer's event stream, passed on byte for byte as it comes."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from core.errors import MandateError
from web import EventStreamResponse

EVENT_STREAM = "text/event-stream"

_JSON = frozenset({"application/json", "application/*", "*/*"})
_logger = logging.getLogger("mandate.interaction")


def wants_stream(headers: Headers) -> bool:
    """Return whether the caller asks for server-sent events rather than for JSON; 406 if for neither."""
    return wants(EVENT_STREAM, headers)


def wants(media_type: str, headers: Headers) -> bool:
    """Return whether the caller asks for `media_type` rather than for JSON; 406 if for neither."""
    ranges = {part.partition(";")[0].strip().lower() for part in ",".join(headers.getlist("accept")).split(",")} - {""}
    if media_type in ranges:
        return True
    if ranges and _JSON.isdisjoint(ranges):
        raise HTTPException(406)
    return False


class Relay(EventStreamResponse):
    """Closes what a stream comes from when the caller's ends, whatever ends it. A run goes on without either."""

    def __init__(self, upstream: AsyncExitStack, pieces: AsyncIterator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(_through(pieces))
        self.headers.update(headers)
        self._upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._upstream:
            await super().__call__(scope, receive, send)


async def relayed(
    stream: AbstractAsyncContextManager[AsyncIterator[bytes]], headers: Mapping[str, str] | None = None
) -> Relay:
    """Open the peer's stream, so that its refusal is still an answer of its own, and return what passes it on."""
    upstream = AsyncExitStack()
    pieces = await upstream.enter_async_context(stream)
    return Relay(upstream, pieces, headers or {})


async def _through(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except MandateError as error:
        # The status is sent long since. The caller sees a stream without an end and goes on from its last event.
        _logger.warning("stream.broken", extra={"code": error.code})
