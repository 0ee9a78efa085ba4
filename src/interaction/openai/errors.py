"""Errors in OpenAI's shape. Whatever layer said no said it as a problem document; at this door it is told anew."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.types import Scope

from core.errors import MandateError
from interaction.answers import Told
from web import Problem, Reshaped, event_bytes

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
    app.add_middleware(Reshaped, applies=_is_here, reshape=_in_openais_shape)


def _translated(problem: Problem) -> bytes:
    message, param = problem.detail, None
    if problem.errors:
        first = problem.errors[0]
        param = first.location.removeprefix("body").removeprefix(".") or None
        message = f"{param}: {first.message}" if param else first.message
    error = ErrorTold(message=message, type=_type(problem.status), param=param, code=problem.code)
    return ErrorBody(error=error).model_dump_json().encode()


def _is_here(scope: Scope) -> bool:
    return str(scope["path"]).startswith(PREFIX)


async def _in_openais_shape(request: Request, problem: Problem, head: Headers) -> Response:
    """Return the answer.

    Clients of this kind send a failed request again by themselves. Unless it can be recognised as the same, that would
    begin another run beside one that may be under way, so they are told not to.
    """
    kept = {name: value for name, value in head.items() if name not in ("content-type", "content-length")}
    response = Response(_translated(problem), problem.status, kept, media_type="application/json")
    same = request.method == "GET" or "idempotency-key" in request.headers
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not same:
        response.headers["X-Should-Retry"] = "false"
    return response


def _type(status: int) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return _TYPES.get(HTTPStatus(status), "invalid_request_error")
