"""Two ways to a peer, with one meaning: over the network, or to an application in this process."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol

import aiohttp
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
        exchange = _Exchange(request.body)
        task = self._begin(exchange.serve(self._app, _scope(request)))
        try:
            async with asyncio.timeout_at(ends):
                start = await exchange.next()
            headers = Headers(raw=start.get("headers", []))
            yield PeerAnswer(start["status"], headers, exchange.pieces(ends, request.silence))
        finally:
            if exchange.leave():
                task.cancel()

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start the application in a context of its own: nothing of the caller's reaches it but the request."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task


class _Exchange:
    """One request and its answer, on the way between caller and application."""

    def __init__(self, body: bytes) -> None:
        self._request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._answer: asyncio.Queue[Message | None] = asyncio.Queue(_AHEAD)
        self._gone = asyncio.Event()
        self._streaming = False

    async def serve(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception:  # noqa: BLE001 - logged inside the application; the caller sees an answer that breaks off
            return
        finally:
            if not self._gone.is_set():
                await self._answer.put(None)

    async def _receive(self) -> Message:
        if self._request:
            return self._request.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            raise OSError("the caller has gone")  # as ASGI 2.4 has it
        await self._answer.put(message)

    async def next(self) -> Message:
        message = await self._answer.get()
        if message is None:
            raise aiohttp.ServerDisconnectedError
        self._streaming = message["type"] == "http.response.start" or message.get("more_body", False)
        return message

    async def pieces(self, ends: float, silence: float | None) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        while self._streaming:
            async with asyncio.timeout_at(ends if silence is None else min(ends, loop.time() + silence)):
                message = await self.next()
            if body := message.get("body"):
                yield body

    def leave(self) -> bool:
        """Say that the caller takes no more; return whether the application is still answering."""
        self._gone.set()
        while not self._answer.empty():
            self._answer.get_nowait()  # whoever waits to send goes on, and finds that nobody is there
        return self._streaming


def _scope(request: PeerRequest) -> Scope:
    path, _, query = request.path.partition("?")
    headers = {"host": "localhost", "content-length": str(len(request.body)), **request.headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
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
