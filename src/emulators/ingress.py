"""What stands in for the platform's ingress: one address, several replicas behind it, each request to the next one.

Every request goes to another replica than the one before, so that whatever a process keeps to itself shows at once.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from yarl import URL

from emulators.local_only import refuse_outside_local

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_TIMEOUT = aiohttp.ClientTimeout(total=660, sock_connect=2)


def create_app(replicas: Sequence[str]) -> Starlette:
    """Return an ingress for `replicas`, which are addresses such as `http://127.0.0.1:8080`.

    Raises:
        Defect: this is no laptop.
    """
    refuse_outside_local()
    turns = cycle(replicas)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, auto_decompress=False, timeout=_TIMEOUT) as app.state.session:
            yield

    async def forward(request: Request) -> Response:
        body = await request.body()
        for _ in replicas:
            try:
                return await _forwarded(request, body, next(turns))
            except aiohttp.ClientConnectorError:
                continue  # that one is gone: nothing has reached it
            except (aiohttp.ClientError, TimeoutError):
                return Response("The replica broke off.", status_code=502, media_type="text/plain")
        return Response("No replica answers.", status_code=503, media_type="text/plain")

    return Starlette(routes=[Route("/{path:path}", forward, methods=_METHODS)], lifespan=lifespan)


async def _forwarded(request: Request, body: bytes, replica: str) -> Response:
    session: aiohttp.ClientSession = request.app.state.session
    query = f"?{request.url.query}" if request.url.query else ""
    url = URL(f"{replica}{request.scope['raw_path'].decode()}{query}", encoded=True)
    headers = [(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP]
    answer = await session.request(request.method, url, data=body or None, headers=headers, allow_redirects=False)
    response = StreamingResponse(_pieces(answer), status_code=answer.status)
    response.raw_headers = [
        (name.lower(), value) for name, value in answer.raw_headers if name.lower().decode() not in _HOP_BY_HOP
    ]
    return response


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    async with answer:
        async for piece in answer.content.iter_any():
            yield piece
