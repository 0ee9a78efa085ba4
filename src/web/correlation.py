"""Every request has one correlation id, and every response the headers that keep a browser from misusing it."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import new_id

CORRELATION_HEADER = "X-Correlation-Id"

_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Correlation:
    """ASGI middleware: takes the caller's correlation id if it is well formed, else mints one.

    It stands in `scope["state"]["correlation"]` and goes back in the response, with the security headers that the
    application has not set itself (an HTML page needs a content security policy of its own).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation = _accepted(Headers(scope=scope).getlist(CORRELATION_HEADER)) or new_id("cor")
        scope.setdefault("state", {})["correlation"] = correlation

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[CORRELATION_HEADER] = correlation
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def correlation_of(scope: Scope) -> str:
    """Return the correlation id of a request that came through `Correlation`, else an empty string."""
    return str(scope.get("state", {}).get("correlation", ""))


def _accepted(values: list[str]) -> str | None:
    if len(values) == 1 and _ACCEPTED.fullmatch(values[0]):
        return values[0]
    return None
