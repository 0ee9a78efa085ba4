"""Two ways to a peer, with one meaning: over the network, or to an application in this process."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope
from yarl import URL

_CONNECT_SECONDS = 5.0
_AHEAD = 64
"""Pieces of an answer that wait for their reader before the application does."""


@dataclass(frozen=True, slots=True)
class PeerRequest:
    """One request to a peer.

    Attributes:
        path: the request target: path and query, percent-encoded.
        left: seconds for the whole exchange.
        silence: seconds without a piece of the answer after which it is given up.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    left: float
    silence: float | None


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """How a peer began to answer, and the body as it comes; names of headers in any case."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


class Transport(Protocol):
    def exchange(self, request: PeerRequest) -> AbstractAsyncContextManager[PeerAnswer]:
        """Give the answer for as long as the context lasts.

        Raises:
            aiohttp.ClientError: the peer does not answer, or breaks off.
            TimeoutError: time is up.
        """
        ...


class Network:
    """Over a shared session, which stays the caller's to close."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")

    @asynccontextmanager
    async def exchange(self, request: PeerRequest) -> AsyncGenerator[PeerAnswer]:
        timeout = aiohttp.ClientTimeout(total=request.left, sock_connect=_CONNECT_SECONDS, sock_read=request.silence)
        async with self._session.request(
            request.method,
            URL(self._base_url + request.path, encoded=True),
            data=request.body or None,
            headers=request.headers,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            yield PeerAnswer(response.status, response.headers, response.content.iter_any())


class InProcess:
    """To an application in this process: it sees what it would over a socket, without the socket's cost."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def exchange(self, request: PeerRequest) -> AsyncGenerator[PeerAnswer]:
        ends = asyncio.get_running_loop().time() + request.left
        gone = asyncio.Event()
        told, answers = anyio.create_memory_object_stream[Message](_AHEAD)
        self._begin(request, told, gone)
        with answers:
            try:
                async with asyncio.timeout_at(ends):
                    start = await _next(answers)
                headers = Headers(raw=start.get("headers", []))
                yield PeerAnswer(start["status"], headers, _pieces(answers, ends, request.silence))
            finally:
                gone.set()

    def _begin(self, request: PeerRequest, told: MemoryObjectSendStream[Message], gone: asyncio.Event) -> None:
        """Start the application in a context of its own: nothing of the caller's reaches it but the request."""
        work = _serve(self._app, request, told, gone)
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


async def _serve(
    app: ASGIApp, request: PeerRequest, told: MemoryObjectSendStream[Message], gone: asyncio.Event
) -> None:
    messages = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        with suppress(anyio.BrokenResourceError):  # the caller has gone: servers drop what is sent then, too
            await told.send(message)

    with told:
        try:
            await app(_scope(request), receive, send)
        except Exception:  # noqa: BLE001 - logged inside the application; the caller sees an answer that breaks off
            return


async def _next(answers: MemoryObjectReceiveStream[Message]) -> Message:
    try:
        return await answers.receive()
    except anyio.EndOfStream:
        raise aiohttp.ServerDisconnectedError from None


async def _pieces(
    answers: MemoryObjectReceiveStream[Message], ends: float, silence: float | None
) -> AsyncGenerator[bytes]:
    loop = asyncio.get_running_loop()
    more = True
    while more:
        async with asyncio.timeout_at(ends if silence is None else min(ends, loop.time() + silence)):
            message = await _next(answers)
        more = message.get("more_body", False)
        if body := message.get("body"):
            yield body


def _scope(request: PeerRequest) -> Scope:
    path, _, query = request.path.partition("?")
    headers = {"host": "localhost", "content-length": str(len(request.body)), **request.headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": URL(path, encoded=True).path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": None,
        "server": None,
    }
