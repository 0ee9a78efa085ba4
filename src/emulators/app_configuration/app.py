"""The store as an application: key-values by key and label, with ETags of each and of a page. In memory.

What it does not know it answers with 501, so that nothing seems to work here that was never built.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from core import Clock, SystemClock, digest, timestamp
from core.errors import MandateError
from emulators.local_only import refuse_outside_local
from web import bearer_token

Authorize = Callable[[str, str], Awaitable[None]]
"""Checks a bearer token for a method; raises if it may not."""

API_VERSIONS = frozenset({"2023-11-01", "2024-09-01", "2026-04-01"})
_KEY_VALUE = "application/vnd.microsoft.appconfig.kv+json; charset=utf-8"
_SET = "application/vnd.microsoft.appconfig.kvset+json; charset=utf-8"
_OPERATIONS: Mapping[tuple[str, bool], frozenset[str]] = {
    ("GET", False): frozenset({"api-version", "key", "label"}),
    ("GET", True): frozenset({"api-version", "label"}),
    ("PUT", True): frozenset({"api-version", "label"}),
    ("DELETE", True): frozenset({"api-version", "label"}),
}
"""By method and whether it is of one key: the parameters that are built."""


@dataclass(frozen=True, slots=True)
class _KeyValue:
    etag: str
    key: str
    label: str | None
    content_type: str | None
    value: str
    last_modified: str
    tags: Mapping[str, str]
    locked: bool = False


class _Given(BaseModel):
    model_config = ConfigDict(extra="ignore")

    value: str = ""
    content_type: str | None = None
    tags: dict[str, str] = {}


class Store:
    """The ASGI application, with nothing in it.

    Args:
        authorize: checks the bearer token of each request.
        clock: dates key-values.

    Raises:
        Defect: this is not a local environment (`defect.emulator`).
    """

    def __init__(self, *, authorize: Authorize, clock: Clock | None = None) -> None:
        refuse_outside_local()
        self._authorize = authorize
        self._clock = clock or SystemClock()
        self._kept: dict[tuple[str, str], _KeyValue] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await (await self._answered(Request(scope, receive)))(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        _, _, key = request.url.path.partition("/kv/")
        known = _OPERATIONS.get((request.method, bool(key)))
        try:
            await self._authorize(bearer_token(request.headers.get("authorization")), request.method)
        except MandateError as error:
            return _problem(error.status)
        query = request.query_params
        is_known = known is not None and known.issuperset(query) and query.get("api-version") in API_VERSIONS
        if not is_known or (not key and request.url.path != "/kv"):
            return _problem(HTTPStatus.NOT_IMPLEMENTED)
        if not key:
            return self._page(request, query.get("key", "*"), query.get("label", "*"))
        return await self._one(request, key, query.get("label", ""))

    def _page(self, request: Request, key: str, label: str) -> Response:
        if not _plain(key) or not _plain(label):
            return _problem(HTTPStatus.NOT_IMPLEMENTED)
        found = [one for (k, lb), one in sorted(self._kept.items()) if _fits(key, k) and _fits(label, lb)]
        etag = digest("".join(one.etag for one in found).encode())[:24]
        if request.headers.get("if-none-match") == f'"{etag}"':
            return Response(status_code=HTTPStatus.NOT_MODIFIED)
        items = {"items": [asdict(one) for one in found], "etag": etag}
        return JSONResponse(items, headers={"ETag": f'"{etag}"'}, media_type=_SET)

    async def _one(self, request: Request, key: str, label: str) -> Response:
        before = self._kept.get((key, label))
        if not _meets(request, before):
            return _problem(HTTPStatus.PRECONDITION_FAILED)
        if request.method == "PUT":
            return await self._put(request, key, label)
        if request.method == "DELETE":
            gone = self._kept.pop((key, label), None)
            return _told(gone) if gone else Response(status_code=HTTPStatus.NO_CONTENT)
        if before is None:
            return _problem(HTTPStatus.NOT_FOUND)
        known = request.headers.get("if-none-match") == f'"{before.etag}"'
        return Response(status_code=HTTPStatus.NOT_MODIFIED) if known else _told(before)

    async def _put(self, request: Request, key: str, label: str) -> Response:
        try:
            given = _Given.model_validate_json(await request.body())
        except ValidationError:
            return _problem(HTTPStatus.BAD_REQUEST)
        now, etag = timestamp(self._clock.now()), secrets.token_urlsafe(16)
        made = _KeyValue(etag, key, label or None, given.content_type, given.value, now, given.tags)
        self._kept[key, label] = made
        return _told(made)


def _meets(request: Request, before: _KeyValue | None) -> bool:
    """Return whether a write may go on; reading under a condition is another matter."""
    match = request.headers.get("if-match")
    if match and (before is None or match not in ("*", f'"{before.etag}"')):
        return False
    return request.method == "GET" or before is None or request.headers.get("if-none-match") != "*"


def _told(one: _KeyValue) -> Response:
    return JSONResponse(asdict(one), headers={"ETag": f'"{one.etag}"'}, media_type=_KEY_VALUE)


def _problem(status: int) -> Response:
    told = {"status": status, "title": HTTPStatus(status).phrase}
    return JSONResponse(told, status, media_type="application/problem+json")


def _plain(pattern: str) -> bool:
    """Return whether a filter is one of those that are built: a name, or its beginning with a star."""
    return "*" not in pattern[:-1] and "," not in pattern and "\\" not in pattern


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
