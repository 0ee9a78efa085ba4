"""Azure AI Search in a customer's subscription, over its REST API, as an application of theirs: no keys.

https://learn.microsoft.com/rest/api/searchservice/documents/search-post, api-version 2024-07-01.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictStr, TypeAdapter, ValidationError

from core import Confidentiality, ContentId, Permit, PrincipalId, TenantContext
from core.errors import MandateError, Unavailable
from data.knowledge import Hit, Passage, Query, Term
from data.ranking import fuse, spend_to_search, words_of
from data.sources import Source, Trim, outside_id

API_VERSION = "2024-07-01"
SCOPE = "https://search.azure.com/.default"
SECONDS = 5.0
MAX_BYTES = 2_000_000
MAX_TEXT = 8_000
"""Characters of a passage; what a source has beyond is cut off."""

_DEPTH = 50

_NAMES = TypeAdapter(list[str])
_STRING = TypeAdapter(StrictStr)

Wire = dict[str, object]

CustomerToken = Callable[[str, str], Awaitable[str]]
"""Returns a token as our application in a customer's Entra tenant, for a scope."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    value: list[Wire] = Field(max_length=_DEPTH)


class AzureSearch:
    """Searches indexes that customers keep.

    Args:
        session: without cookies; stays the caller's to close.
        token: for the directory that the source is in.
        seconds: bound of one search, token included.
    """

    def __init__(self, session: aiohttp.ClientSession, token: CustomerToken, *, seconds: float = SECONDS) -> None:
        self._session = session
        self._token = token
        self._seconds = seconds

    async def search(
        self, context: TenantContext, permit: Permit, source: Source, query: Query, *, vector: bytes, trim: Trim
    ) -> Sequence[Hit]:
        """See `Sources.search`."""
        spend_to_search(permit, context.tenant, query)
        try:
            async with asyncio.timeout(self._seconds):
                token = await self._token(source.directory, SCOPE)
                by_vector, by_text = await asyncio.gather(
                    self._asked(source, token, _by_vector(source, vector, trim)),
                    self._asked(source, token, _by_words(source, query.text, trim)),
                )
            return _hits(source, query, by_vector, by_text)
        except (aiohttp.ClientError, TimeoutError, ValidationError, KeyError, ValueError, MandateError) as error:
            raise Unavailable("A source of your organisation does not answer.", code="dependency.source") from error

    async def _asked(self, source: Source, token: str, body: Wire | None) -> list[Wire]:
        if body is None:
            return []
        url = f"{source.endpoint}/indexes/{source.index}/docs/search?api-version={API_VERSION}"
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        async with self._session.post(url, data=orjson.dumps(body), headers=headers, allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                raise ValueError(response.status)
            raw = bytearray()
            async for piece in response.content.iter_any():
                raw += piece
                if len(raw) > MAX_BYTES:
                    raise ValueError(len(raw))
        return _Answer.model_validate_json(raw).value


def trimming(source: Source, trim: Trim) -> str:
    """Return the filter that keeps what the reader may not read out of the ranking (OData, `search.in`)."""
    parts: list[str] = []
    if field := source.groups:
        named = "|".join(sorted(trim.groups)).replace("'", "''")
        theirs = f" or {field}/any(g: search.in(g, '{named}', '|'))" if named else ""
        parts.append(f"(not {field}/any(){theirs})")
    if field := source.confidentiality:
        levels = "|".join(level for level in Confidentiality if level.rank <= trim.ceiling.rank)
        parts.append(f"search.in({field}, '{levels}', '|')")
    return " and ".join(parts)


def _by_words(source: Source, text: str, trim: Trim) -> Wire | None:
    """Return a search by words alone, so that no operator of the query syntax comes from a person."""
    words = " ".join(words_of(text))
    asked: Wire = {"search": words, "queryType": "simple", "searchMode": "any"}
    return asked | {"searchFields": f"{source.heading},{source.text}"} | _common(source, trim) if words else None


def _by_vector(source: Source, vector: bytes, trim: Trim) -> Wire | None:
    if not source.vector:
        return None
    numbers = [value for (value,) in struct.iter_unpack("<f", vector)]
    asked: Wire = {"kind": "vector", "vector": numbers, "fields": source.vector, "k": _DEPTH}
    return {"vectorQueries": [asked], "vectorFilterMode": "preFilter"} | _common(source, trim)


def _common(source: Source, trim: Trim) -> Wire:
    fields = [source.key, source.heading, source.text, source.groups, source.confidentiality]
    filter_ = trimming(source, trim)
    chosen: Wire = {"select": ",".join(dict.fromkeys(filter(None, fields))), "top": _DEPTH}
    return chosen | ({"filter": filter_} if filter_ else {})


def _hits(source: Source, query: Query, by_vector: list[Wire], by_text: list[Wire]) -> list[Hit]:
    found = {_text(item, source.key): item for item in [*by_vector, *by_text]}
    vector_keys, text_keys = ([_text(item, source.key) for item in items] for items in (by_vector, by_text))
    best = fuse(vector_keys, text_keys)[: query.limit]
    return [_hit(source, query.collections[0], found[key], *ranks) for key, *ranks in best]


def _hit(source: Source, collection: str, item: Wire, score: int, by_vector: int, by_text: int) -> Hit:
    document = outside_id()
    passage = Passage(
        id=f"{document}.0",
        document=document,
        collection=collection,
        ordinal=0,
        heading=_text(item, source.heading)[:200],
        text=_text(item, source.text)[:MAX_TEXT],
        vector=b"",
        term=Term(ContentId(""), PrincipalId(""), since=""),
    )
    readers = _NAMES.validate_python(item[source.groups] or []) if source.groups else []
    level = Confidentiality(_text(item, source.confidentiality)) if source.confidentiality else None
    return Hit(passage, score, by_vector, by_text, readers=tuple(readers), confidentiality=level)


def _text(item: Wire, field: str) -> str:
    return _STRING.validate_python(item[field])
