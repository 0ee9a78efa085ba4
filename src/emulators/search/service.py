"""The service: who gets in, what a search may ask, what it answers."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.errors import BadRequest, Forbidden, MandateError, NotFound, Unauthenticated
from emulators.local_only import refuse_outside_local
from emulators.search.filters import Document, parse_filter

API_VERSION = "2024-07-01"
MAX_BODY = 1_000_000

Admit = Callable[[str], Awaitable[None]]
"""Called with the bearer token; raises where it is not for this service, its tenant, or somebody with the role."""


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """An index: its fields by what can be done with them, and its documents."""

    key: str
    searchable: Sequence[str]
    filterable: Sequence[str]
    vectors: Mapping[str, int]
    """Vector fields and their dimensions."""
    documents: Sequence[Document]

    @property
    def fields(self) -> set[str]:
        return {self.key, *self.searchable, *self.filterable, *self.vectors}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _VectorQuery(_Strict):
    kind: Literal["vector"]
    vector: Annotated[list[float], Field(min_length=1)]
    fields: str
    k: Annotated[int, Field(ge=1, le=1000)]


class _Search(_Strict):
    search: str | None = None
    query_type: Literal["simple"] = Field("simple", alias="queryType")
    search_mode: Literal["any"] = Field("any", alias="searchMode")
    search_fields: str = Field("", alias="searchFields")
    vector_queries: list[_VectorQuery] = Field([], alias="vectorQueries", max_length=1)
    vector_filter_mode: Literal["preFilter"] = Field("preFilter", alias="vectorFilterMode")
    select: str
    filter: str = ""
    top: Annotated[int, Field(ge=0, le=1000)] = 50


@dataclass(slots=True)
class SearchService:
    """One search service. `status` and `seconds` are faults: what to answer in place of anything else, how late.

    Raises:
        Defect: this is not a local environment.
    """

    admit: Admit
    indexes: Mapping[str, SearchIndex]
    status: int = 0
    seconds: float = 0.0
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Index and filter of each search that was let in."""

    def __post_init__(self) -> None:
        refuse_outside_local()

    def app(self) -> Starlette:
        routes = [
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/indexes/{index}/docs/search", self._search, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _unknown})

    async def _search(self, request: Request) -> Response:
        try:
            await asyncio.sleep(self.seconds)
            if self.status:
                return _error(self.status, "ServiceUnavailable", "This failure was ordered.")
            return await self._answered(request)
        except MandateError as error:
            return _error(error.status, error.code, error.message)

    async def _answered(self, request: Request) -> Response:
        if "api-key" in request.headers:
            raise Forbidden("Keys are switched off for this service.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Unauthenticated("A bearer token is missing.")
        await self.admit(token)
        if dict(request.query_params) != {"api-version": API_VERSION}:
            raise BadRequest("The api-version is missing or not known.")
        name = str(request.path_params["index"])
        if name not in self.indexes:
            raise NotFound("There is no such index.")
        asked = _parse(await request.body())
        self.asked.append((name, asked.filter))
        found = _found(self.indexes[name], asked)
        body = {"@odata.context": f"{request.base_url}indexes('{name}')/$metadata#docs(*)", "value": found}
        return Response(orjson.dumps(body), media_type="application/json")


_NUMBERS = TypeAdapter(list[float])


def _parse(body: bytes) -> _Search:
    try:
        return _Search.model_validate_json(body if len(body) <= MAX_BODY else b"")
    except ValidationError as error:
        where = ", ".join(str(problem["loc"]) for problem in error.errors())
        raise BadRequest(f"The request is invalid: {where}") from None


def _found(index: SearchIndex, asked: _Search) -> list[dict[str, object]]:
    chosen = _names(asked.select, index.fields)
    keeps = parse_filter(asked.filter, index.filterable)
    allowed = [document for document in index.documents if keeps(document)]
    if asked.vector_queries and asked.search is None:
        query = asked.vector_queries[0]
        scored, most = _by_vector(index, query, allowed), min(asked.top, query.k)
    elif asked.search is not None and not asked.vector_queries:
        scored, most = _by_words(asked, index, allowed), asked.top
    else:
        raise BadRequest("Ask for words or for one vector here.")
    best = sorted(scored, key=lambda item: -item[0])[:most]
    return [{"@search.score": score, **{name: document.get(name) for name in chosen}} for score, document in best]


def _by_vector(index: SearchIndex, query: _VectorQuery, allowed: Sequence[Document]) -> list[tuple[float, Document]]:
    if index.vectors.get(query.fields) != len(query.vector):
        raise BadRequest("The vector has not the dimensions of the field, or there is no such field.")
    return [(_cosine(document[query.fields], query.vector), document) for document in allowed]


def _by_words(asked: _Search, index: SearchIndex, allowed: Sequence[Document]) -> list[tuple[float, Document]]:
    fields = _names(asked.search_fields, set(index.searchable))
    words = set(_words(asked.search or ""))
    scored = [(len(words & set(_words(" ".join(str(d.get(f)) for f in fields)))), d) for d in allowed]
    return [(float(score), document) for score, document in scored if score]


def _words(text: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"\w+", text)]


def _cosine(stored: object, asked: Sequence[float]) -> float:
    return sum(one * other for one, other in zip(_NUMBERS.validate_python(stored), asked, strict=True))


def _names(text: str, known: set[str]) -> list[str]:
    names = text.split(",")
    if not known.issuperset(names):
        raise BadRequest("A field that was asked for is not there, or not searchable.")
    return names


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _unknown(request: Request, _: Exception) -> Response:
    return _error(
        HTTPStatus.NOT_IMPLEMENTED, "NotImplemented", f"{request.method} {request.url.path} is not known here."
    )


def _error(status: int, code: str, message: str) -> Response:
    body = {"error": {"code": code, "message": message}}
    return Response(orjson.dumps(body), status, media_type="application/json")
