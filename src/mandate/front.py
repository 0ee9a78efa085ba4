"""The laptop's one port: what is under `/identity` and `/shop` goes to emulators, all else to the product."""

from collections.abc import Mapping

import aiohttp
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "content-encoding"}
)


class Front:
    """Forwards the requests of emulators; streams of the product pass untouched.

    Args:
        app: the product.
        behind: address of an emulator by the path that leads to it, such as `/identity`.
        session: stays the caller's to close.
    """

    def __init__(self, app: ASGIApp, behind: Mapping[str, str], session: aiohttp.ClientSession) -> None:
        self._app = app
        self._behind = behind
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        prefix = f"/{path.split('/')[1]}" if "/" in path else ""
        if scope["type"] != "http" or prefix not in self._behind:
            await self._app(scope, receive, send)
            return
        response = await self._forward(Request(scope, receive), prefix)
        await response(scope, receive, send)

    async def _forward(self, request: Request, prefix: str) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{self._behind[prefix]}{request.url.path.removeprefix(prefix)}{query}"
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
            return Response("A local emulator does not answer.", status_code=502, media_type="text/plain")
