"""A refusal as a person sees it: the problem document of any route, drawn as a page for a browser that shows pages."""

from http import HTTPStatus

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interaction.console.rendering import Page
from interaction.console.return_to import path_of, sign_in_address
from interaction.dependencies import InteractionDependencies
from web import SAFE_METHODS, Problem

_PROBLEM = "application/problem+json"
_API = ("/v1/", "/openai/")
_SIGN_IN_AGAIN = ("identity.missing", "identity.session")
_SEE_OTHER = 303


class ErrorPages:
    """ASGI middleware. Programs get the problem document as it is: they ask under `/v1`, or do not accept HTML."""

    def __init__(self, app: ASGIApp, dependencies: InteractionDependencies) -> None:
        self._app = app
        self._deps = dependencies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _shows_pages(scope):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def hold_problems(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, hold_problems)
        if start is not None:
            response = await self._page(Request(scope, receive), Problem.model_validate_json(body))
            for name in ("retry-after", "allow", "x-correlation-id"):
                if value := Headers(raw=start["headers"]).get(name):
                    response.headers[name] = value
            await response(scope, receive, send)

    async def _page(self, request: Request, problem: Problem) -> Response:
        if problem.status == HTTPStatus.UNAUTHORIZED and problem.code in _SIGN_IN_AGAIN:
            return RedirectResponse(sign_in_address(self._deps.public_url, self._back_to(request)), _SEE_OTHER)
        return await Page(request, self._deps).show("error.html", problem.status, problem=problem)

    def _back_to(self, request: Request) -> str:
        if request.method not in SAFE_METHODS:
            return path_of(request.headers.get("referer", ""), self._deps.public_url)
        return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def _shows_pages(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") and not str(scope["path"]).startswith(_API)


def _is_problem(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith(_PROBLEM)
