"""Errors as RFC 9457 problem documents: the one form in which any of our services says no."""

import logging
import math
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Defect, MandateError, NotFound, Unauthenticated
from web.correlation import correlation_of

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


class InvalidField(BaseModel):
    """One thing that is wrong with a request.

    Attributes:
        location: where, as a dotted path that begins with `body`, `query`, `path` or `header`.
    """

    model_config = ConfigDict(frozen=True)

    location: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457).

    Attributes:
        type: `urn:mandate:error:` and the code.
        code: stable; the thing to program against.
        correlation: quote it when you ask for help.
        errors: only with status 422.
    """

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    code: str
    correlation: str
    errors: tuple[InvalidField, ...] | None = None


def problem_response(error: MandateError, correlation: str) -> Response:
    """Return the response that says `error`."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(0, math.ceil(error.retry_after)))
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return _response(error.status, error.code, error.message, correlation, headers=headers)


def problem_responses(*statuses: int | str) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses=` for routes that may answer with these statuses (`404`, `"4XX"`)."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _description(status), "content": content} for status in statuses}


def install_problem_handlers(app: FastAPI) -> None:
    """Make each error that leaves `app` a problem document. Add `Correlation` after this, so that it is outside."""
    app.add_exception_handler(MandateError, _on_mandate_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(DefectGuard)


class DefectGuard:
    """ASGI middleware: whatever nobody handled is a defect, told without detail and logged without content.

    The framework's own handler for such errors raises them again, and then the server logs their message, which may
    hold anything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the outermost place: nothing may pass
            correlation = correlation_of(scope)
            _log.error("defect, correlation %s: %s", correlation, _stack(error))
            defect = Defect("Something is wrong on our side. Quote the correlation id when you report it.")
            if started:
                raise defect from None  # all that is left is to break the connection off
            await problem_response(defect, correlation)(scope, receive, send)


async def _on_mandate_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MandateError)
    correlation = correlation_of(request.scope)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s, correlation %s: %s", error.code, correlation, error.message)
    return problem_response(error, correlation)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = tuple(InvalidField(location=_location(e), message=_message(e)) for e in error.errors())
    detail = "The request is not valid. See `errors` for what to change."
    correlation = correlation_of(request.scope)
    return _response(HTTPStatus.UNPROCESSABLE_ENTITY, "request.invalid", detail, correlation, errors=fields)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    correlation = correlation_of(request.scope)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem_response(NotFound("There is nothing at this address. Check the path."), correlation)
    status = HTTPStatus(error.status_code)
    code = _HTTP_CODES.get(status, "request.refused" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "defect")
    detail = f"{status.description or status.phrase}."
    headers = {"Allow": ", ".join(_methods(request))} if status is HTTPStatus.METHOD_NOT_ALLOWED else error.headers
    return _response(status, code, detail, correlation, headers=headers)


def _methods(request: Request) -> list[str]:
    """Return every method of the path; the framework names those of the first route that it finds."""
    routes = [found.original_route for found in iter_route_contexts(request.app.routes)]
    found = [r for r in routes if isinstance(r, Route) and r.path_regex.match(request.scope["path"])]
    return sorted({method for route in found for method in route.methods or ()})


_HTTP_CODES = {
    HTTPStatus.BAD_REQUEST: "request.malformed",
    HTTPStatus.METHOD_NOT_ALLOWED: "request.method",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request.size",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "request.media_type",
}


def _response(
    status: HTTPStatus,
    code: str,
    detail: str,
    correlation: str,
    *,
    errors: tuple[InvalidField, ...] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        type=f"urn:mandate:error:{code}",
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        correlation=correlation,
        errors=errors,
    )
    return Response(problem.model_dump_json(exclude_none=True), status, headers, media_type=MEDIA_TYPE)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

_PLAIN_MESSAGES = {
    "extra_forbidden": "There is a field here that is not known.",
    "union_tag_invalid": "The kind named here is not one of those that are known.",
    "uuid_parsing": "This should be a UUID.",
}
"""Where the validator's own message repeats the input."""


def _location(error: Mapping[str, Any]) -> str:
    """Return where the error is. Names that are not ours are the caller's input, and input is never repeated."""
    path: Sequence[int | str] = error["loc"]
    if error["type"] == "extra_forbidden":
        path = path[:-1]
    return ".".join(str(p) if isinstance(p, int) or _NAME.fullmatch(p) else "?" for p in path)


def _message(error: Mapping[str, Any]) -> str:
    return _PLAIN_MESSAGES.get(error["type"]) or str(error["msg"])


def _description(status: int | str) -> str:
    if isinstance(status, int):
        return HTTPStatus(status).phrase
    return {"4XX": "The request is refused", "5XX": "The service cannot answer"}.get(status, "Problem")


def _stack(error: BaseException) -> str:
    """Return the types and code lines of `error` and of what it wraps, without any message."""
    return "\n".join(
        f"{type(e).__name__}\n{''.join(traceback.format_list(traceback.extract_tb(e.__traceback__)))}"
        for e in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _chain(inner)
    elif error.__cause__ is not None:
        yield from _chain(error.__cause__)
