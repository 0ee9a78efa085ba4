"""Errors in OpenAI's shape. Whatever layer said no said it as a problem document; at this door it is told anew."""

from http import HTTPStatus

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import MandateError
from interaction.answers import Told
from web import Problem, event_bytes

PREFIX = "/openai/"

_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.PAYMENT_REQUIRED: "insufficient_quota",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


class ErrorTold(Told):
    """What went wrong: `code` is stable, see docs/errors.md; `param` is the field that is meant, where it is one."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorBody(Told):
    error: ErrorTold


def refusals(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Return FastAPI's `responses=` for how this door may refuse."""
    always = (400, 401, 403, 429, 500, 503, "4XX", "5XX")
    return {status: {"model": ErrorBody, "description": "Refused"} for status in (*always, *statuses)}


def error_body(error: MandateError) -> ErrorBody:
    return ErrorBody(error=ErrorTold(message=error.message, type=_type(error.status), code=error.code))


def error_event(error: MandateError) -> bytes:
    """Return what tells, in the middle of a stream, that it broke."""
    return event_bytes(data=error_body(error).model_dump_json().encode())


def install_errors(app: FastAPI) -> None:
    """Tell every error under `/openai/` in OpenAI's shape. Add it after all other middleware, so that it is outside."""
    app.add_middleware(OpenAIErrors)


class OpenAIErrors:
    """ASGI middleware: an answer that is a problem document leaves in OpenAI's shape, with its status and headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        again = scope["method"] == "GET" or "idempotency-key" in Headers(scope=scope)
        start: Message | None = None
        problem = b""

        async def translated(message: Message) -> None:
            nonlocal start, problem
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
            elif start is None:
                await send(message)
            else:
                problem += message.get("body", b"")
                if not message.get("more_body", False):
                    body = _translated(Problem.model_validate_json(problem))
                    await send(_headed(start, len(body), again=again))
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, translated)


def _is_problem(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith("application/problem+json")


def _translated(problem: Problem) -> bytes:
    message, param = problem.detail, None
    if problem.errors:
        first = problem.errors[0]
        param = first.location.removeprefix("body").removeprefix(".") or None
        message = f"{param}: {first.message}" if param else first.message
    error = ErrorTold(message=message, type=_type(problem.status), param=param, code=problem.code)
    return ErrorBody(error=error).model_dump_json().encode()


def _headed(start: Message, length: int, *, again: bool) -> Message:
    """Return the head of the answer.

    Clients of this kind send a failed request again by themselves. Unless it can be recognised as the same, that would
    begin another run beside one that may be under way, so they are told not to.
    """
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["Content-Type"], headers["Content-Length"] = "application/json", str(length)
    if start["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR and not again:
        headers["X-Should-Retry"] = "false"
    return {**start, "headers": headers.raw}


def _type(status: int) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return _TYPES.get(HTTPStatus(status), "invalid_request_error")
