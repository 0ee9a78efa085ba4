"""Trying a search: what an agent would be shown, without an agent."""

from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints, TypeAdapter

from core import Confidentiality, DocumentId, Integrity, RunId, TenantContext
from data import Store
from interaction.answers import Given, Told, answer, described
from interaction.authority import User
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import CollectionName, IdempotencyKey, no_such, run_for
from orchestration import CollectionRecord, access_of
from web import WHOLE

router = APIRouter(prefix="/v1/search", tags=["documents"])

LONGEST_SEARCH = timedelta(seconds=40)
MAX_COLLECTIONS = 100


class NewSearch(Given):
    """What to look for; without `collections`, in all that you may read."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")] = (
        Field(examples=["return period for power tools"])
    )
    collections: Annotated[list[CollectionName], Field(min_length=1, max_length=MAX_COLLECTIONS)] | None = None
    limit: Annotated[int, Field(ge=1, le=20), WHOLE] = 8


class Found(Told):
    """A passage, and why it ranked as it did. All scores are in millionths.

    Attributes:
        score: the sum of `score_vector` and `score_text`, which follow from the two ranks; the best first.
        rank_vector: by likeness of meaning, from 1; 0 means that it was not found that way.
        rank_text: by words, the same.
        similarity: cosine of the question's vector and the passage's; 0 where they cannot be compared.
        matched: the words of the question that it holds, in whatever form; none where it was not found by words.
    """

    passage: str
    document: DocumentId
    heading: str
    text: str
    score: int
    rank_vector: int
    rank_text: int
    score_vector: int
    score_text: int
    similarity: int
    matched: list[str]
    integrity: Integrity
    confidentiality: Confidentiality


class SearchResult(Told):
    """The best first. `run` is where the search is written down."""

    run: RunId
    items: list[Found]


_FOUND = TypeAdapter(list[Found])


@router.post("", responses=described(SearchResult, 402, 404, 409, 413, 415, 422, 504))
async def search(body: NewSearch, me: User, deps: Deps, key: IdempotencyKey = None) -> Response:
    """Search the documents that you may read. Roles: user, approver, admin, owner."""
    return answer(await found(me, deps, body, await run_for(deps.store.tenant(me), key)))


async def found(me: TenantContext, deps: InteractionDependencies, body: NewSearch, run: RunId) -> SearchResult:
    """Search for somebody, as the run `run`.

    Raises:
        NotFound: there is no such collection for them.
    """
    wanted = await _collections(deps.store, me, body.collections)
    payload = orjson.dumps({"run": run, "text": body.text, "collections": wanted, "limit": body.limit})
    raw = await deps.orchestration.call(
        me, "POST", "/internal/search", body=payload, deadline=deps.clock.now() + LONGEST_SEARCH
    )
    return SearchResult(run=run, items=_FOUND.validate_json(raw))


async def _collections(store: Store, me: TenantContext, named: list[str] | None) -> list[str]:
    """Return where to look: what was named, each readable, or else all that is readable."""
    access = await access_of(store.tenant(me))
    if named is None:
        page = await access.data.records.list(CollectionRecord, limit=MAX_COLLECTIONS)
        return [found.key for found in page.items if access.sees(found.value)]
    there = await access.collections(named)
    if not all(name in there and access.sees(there[name]) for name in named):
        raise no_such("collection")
    return named
