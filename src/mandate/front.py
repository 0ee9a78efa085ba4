"""The laptop's one port: what is under `/identity` goes to the local identity provider, all else to the product."""

import aiohttp
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/identity"

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "content-encoding"}
)


class Front:
    """Forwards the identity provider's requests; streams of the product pass untouched."""

    def __init__(self, app: ASGIApp, identity_url: str, session: aiohttp.ClientSession) -> None:
        self._app = app
        self._identity_url = identity_url.rstrip("/")
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
            await self._app(scope, receive, send)
            return
        response = await self._forward(Request(scope, receive))
        await response(scope, receive, send)

    async def _forward(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{self._identity_url}{request.url.path.removeprefix(PREFIX)}{query}"
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with self._session.request(
                request.method, url, data=await request.body(), headers=headers, timeout=timeout, allow_redirects=False
            ) as upstream:
                response = Response(await upstream.read(), status_code=upstream.status)
                for name, value in upstream.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        response.headers.append(name, value)
                return response
        except (aiohttp.ClientError, TimeoutError):
            return Response("The local identity provider does not answer.", status_code=502, media_type="text/plain")
