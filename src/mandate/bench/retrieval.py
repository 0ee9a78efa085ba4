"""How long a search takes as a tenant's passages grow: the store by itself, vectors and words made up from a seed."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uvloop
from numpy.typing import NDArray
from pydantic import BaseModel

from control import ActionRequest, AgentFacts
from core import ActionKind, ContentId, DocumentId, PrincipalId, PrincipalKind
from data import KNOWLEDGE, Passage, Query, Reader, Store, TenantData, Term, indexing
from data.sqlite import open_store
from mandate.bench.appends import throw_away_context
from mandate.bench.figures import Figures, spread
from mandate.bench.permits import permits_for
from mandate.bench.programs import read_order, tell

DIMENSIONS = 384
"""Of the default embedder."""

_COLLECTION = "bench"
_LIMIT = 6
_BATCH = 500
_WORDS = 20_000
_PASSAGE_WORDS, _QUESTION_WORDS = 80, 7
_SINCE = "2026-01-01T00:00:00.000Z"
_READER = Reader(PrincipalId("prn_bench"), own=frozenset({_COLLECTION}))
_OWNERS = ("prn_bench", "prn_bench", "prn_somebody", "prn_bench")
"""Of four passages the reader may read three, so that a search has something to trim."""


class Order(BaseModel):
    """Where, how many passages to begin with and then more, how many searches at each size."""

    folder: Path
    sizes: tuple[int, ...]
    searches: int


class _Made:
    """Passages and questions from a seed: words as rare and as common as in a language (Zipf), vectors on a sphere."""

    def __init__(self) -> None:
        self._numbers = np.random.default_rng(1)
        self._words = [f"word{number}" for number in range(_WORDS)]
        frequencies = np.cumsum(1 / np.arange(1, _WORDS + 1))
        self._cumulative: NDArray[np.float64] = frequencies / frequencies[-1]

    def words(self, count: int) -> str:
        drawn: NDArray[np.intp] = np.searchsorted(self._cumulative, self._numbers.random(count))
        return " ".join(self._words[int(place)] for place in drawn)

    def vectors(self, count: int) -> list[bytes]:
        drawn: NDArray[np.float32] = self._numbers.standard_normal((count, DIMENSIONS), dtype=np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return [line.astype("<f4").tobytes() for line in drawn]

    def passages(self, start: int, count: int) -> list[Passage]:
        vectors = self.vectors(count)
        return [
            Passage(
                id=f"bench.{number}",
                document=DocumentId(f"doc_{number // 10}"),
                collection=_COLLECTION,
                ordinal=number % 10,
                heading=self.words(4),
                text=self.words(_PASSAGE_WORDS),
                vector=vector,
                term=Term(ContentId("bench"), PrincipalId(_OWNERS[number % len(_OWNERS)]), since=_SINCE),
            )
            for number, vector in enumerate(vectors, start=start)
        ]


async def measure(order: Order) -> Figures:
    """Return, by number of passages, milliseconds of a search, and of the first one after others were written."""
    async with open_store(order.folder / "retrieval.db") as store:
        data, made, there = store.tenant(throw_away_context()), _Made(), 0
        found: Figures = {}
        for size in order.sizes:
            began = time.perf_counter()
            for start in range(there, size, _BATCH):
                await _index(store, data, made.passages(start, min(_BATCH, size - start)))
            seconds, added, there = time.perf_counter() - began, size - there, size
            found[f"p{size}"] = {
                "passages": size,
                "passages_written_per_second": round(added / seconds),
                **await _search(store, data, made, order.searches),
            }
        return found


async def _index(store: Store, data: TenantData, passages: Sequence[Passage]) -> None:
    request = ActionRequest(
        ActionKind.INGEST, _COLLECTION, 0, indexing(passages), {"collection_integrity": "untrusted"}
    )
    (permit,) = await permits_for(store, data, AgentFacts(kind=PrincipalKind.USER), [request])
    await data.knowledge.index(permit, passages)


async def _search(store: Store, data: TenantData, made: _Made, count: int) -> Figures:
    queries = [Query(made.words(_QUESTION_WORDS), (_COLLECTION,), _LIMIT) for _ in range(count + 1)]
    asked = [
        ActionRequest(ActionKind.RETRIEVE, KNOWLEDGE, 0, query.arguments, {"collections": query.collections})
        for query in queries
    ]
    permits = await permits_for(store, data, AgentFacts(kind=PrincipalKind.USER), asked)
    times: list[float] = []
    for permit, query, vector in zip(permits, queries, made.vectors(count + 1), strict=True):
        began = time.perf_counter()
        await data.knowledge.search(permit, query, vector=vector, reader=_READER)
        times.append(time.perf_counter() - began)
    return {"first_search_ms": round(times[0] * 1000, 3), "search_ms": spread(times[1:], scale=1000)}


def main() -> None:
    tell(uvloop.run(measure(read_order(Order))))
