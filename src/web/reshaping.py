"""Problem documents told in another form, for those who cannot read them: a page for people, another API's errors."""

from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.problems import Problem


class Reshaped:
    """ASGI middleware: an answer that is a problem document leaves as what `reshape` makes of it.

    Args:
        app: whose problem documents are told anew; everything else passes as it comes.
        applies: whether a request is of those who want another form.
        reshape: given the request, the problem and the headers of its answer, returns the answer in its place.
    """

    def __init__(
        self,
        app: ASGIApp,
        applies: Callable[[Scope], bool],
        reshape: Callable[[Request, Problem, Headers], Awaitable[Response]],
    ) -> None:
        self._app = app
        self._applies = applies
        self._reshape = reshape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._applies(scope):
            await self._app(scope, receive, send)
            return
        head: Headers | None = None
        body = b""

        async def hold_problems(message: Message) -> None:
            nonlocal head, body
            if message["type"] == "http.response.start" and _is_problem(message):
                head = Headers(raw=message["headers"])
            elif head is None:
                await send(message)
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, hold_problems)
        if head is not None:
            response = await self._reshape(Request(scope, receive), Problem.model_validate_json(body), head)
            await response(scope, receive, send)


def _is_problem(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith("application/problem+json")
