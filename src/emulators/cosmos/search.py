"""Functions that need an index: vector distance, full-text tests and scores (rule 12).

The grammar and what is refused follow Microsoft's documents. Scores of words are BM25 as published (k1 1.2, b 0.75)
over the query's own scope; that they equal the service's was never shown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from emulators.cosmos.catalogue import Container
from emulators.cosmos.containers import Embedding
from emulators.cosmos.database import Connection
from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.indexing import path_text, tokenizer, vector_bytes
from emulators.cosmos.rows import Row
from emulators.cosmos.scope import Scope
from emulators.cosmos.sql.evaluate import Evaluate
from emulators.cosmos.sql.tree import Called, Constant, Expression, Listed, PathOf
from emulators.cosmos.values import UNDEFINED, Json, Value, at

_K1, _B = 1.2, 0.75
_FUSION = 60
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class _Distance:
    """What a call of VectorDistance asks."""

    path: PathOf
    embedding: Embedding
    query: bytes


class Search:
    """The indexes of one container, for one query.

    Attributes:
        tokenize: splits a text into words as the index does.
    """

    def __init__(self, connection: Connection, container: Container, scope: Scope) -> None:
        self._connection = connection
        self._container = container
        self._scope = scope
        self.tokenize = tokenizer(connection)

    def indexed(self, called: Called) -> Evaluate:
        """Return the evaluation of a function that stands in WHERE or SELECT.

        Raises:
            CosmosError: 400.
        """
        match called.name:
            case "VECTORDISTANCE":
                return self._distance_of_one(self._distance(called))
            case "FULLTEXTCONTAINS" | "FULLTEXTCONTAINSALL":
                return self._contains(called, all)
            case "FULLTEXTCONTAINSANY":
                return self._contains(called, any)
            case _:
                raise bad(f"{called.name} stands in ORDER BY RANK only.")

    def ranked(self, rank: Called, rows: Sequence[Row]) -> list[float]:
        """Return a score for each row, the best highest."""
        match rank.name:
            case "VECTORDISTANCE":
                return self._nearness(self._distance(rank), rows)
            case "FULLTEXTSCORE":
                return self._text_scores(rank, rows)
            case _:
                return self._fused(rank, rows)

    def _fused(self, rank: Called, rows: Sequence[Row]) -> list[float]:
        """Fuse by reciprocal ranks; equal scores share a rank, a negative weight turns a component (rule 12)."""
        components, weights = _components(rank)
        total = [0.0] * len(rows)
        for component, weight in zip(components, weights, strict=True):
            scores = self.ranked(component, rows)
            places = _places(scores if weight >= 0 else [-score for score in scores])
            total = [sum_ + abs(weight) / (_FUSION + place) for sum_, place in zip(total, places, strict=True)]
        return total

    def _distance(self, called: Called) -> _Distance:
        path, query, *options = called.arguments
        if isinstance(query, PathOf) and not isinstance(path, PathOf):
            path, query = query, path
        if not isinstance(path, PathOf) or not isinstance(query, Constant) or not isinstance(query.value, list):
            raise bad("VectorDistance takes a path and a vector.")
        if len(options) > 1 or (
            options and not (isinstance(options[0], Constant) and isinstance(options[0].value, bool))
        ):
            raise unknown("options of VectorDistance other than whether to search by brute force")
        embedding = next((e for e in self._container.definition.embeddings if e.path == path.steps), None)
        if embedding is None:
            raise bad("VectorDistance needs a path of the container's vectorEmbeddingPolicy.")
        return _Distance(path, embedding, vector_bytes(query.value, embedding))

    def _distance_of_one(self, distance: _Distance) -> Evaluate:
        def evaluate(names: Mapping[str, Json]) -> Value:
            value = at(names[distance.path.alias], distance.path.steps)
            if not isinstance(value, list):
                return UNDEFINED
            return _measured([vector_bytes(value, distance.embedding)], distance)[0]

        return evaluate

    def _nearness(self, distance: _Distance, rows: Sequence[Row]) -> list[float]:
        sign = -1.0 if distance.embedding.distance == "euclidean" else 1.0
        scores: list[float] = []
        for start in range(0, len(rows), _BLOCK):
            vectors = [self._vector(row, distance) for row in rows[start : start + _BLOCK]]
            scores += [sign * score for score in _measured(vectors, distance)]
        return scores

    def _vector(self, row: Row, distance: _Distance) -> bytes:
        sql = "SELECT data FROM vectors WHERE item = ? AND path = ?"
        found = self._connection.execute(sql, (row.key, path_text(distance.embedding.path))).fetchone()
        if found is None:
            raise unknown("where an item without a vector stands in an order by distance")
        return found[0]

    def _text(self, called: Called) -> tuple[PathOf, list[str]]:
        path, *words = called.arguments
        if not isinstance(path, PathOf) or path.steps not in self._container.definition.full_text_indexed:
            raise bad(f"{called.name} needs a path with a full-text index.")
        return path, [_keyword(word) for word in words]

    def _contains(self, called: Called, decide: Callable[[Sequence[bool]], bool]) -> Evaluate:
        path, keywords = self._text(called)
        phrases = [self.tokenize(keyword) for keyword in keywords]

        def evaluate(names: Mapping[str, Json]) -> Value:
            text = at(names[path.alias], path.steps)
            if not isinstance(text, str):
                return UNDEFINED
            words = self.tokenize(text)
            return decide([_has(words, phrase) for phrase in phrases])

        return evaluate

    def _text_scores(self, called: Called, rows: Sequence[Row]) -> list[float]:
        path, keywords = self._text(called)
        name = path_text([str(step) for step in path.steps])
        lengths = self._lengths(name)
        scores = dict.fromkeys(lengths, 0.0)
        mean = sum(lengths.values()) / len(lengths) if lengths else 0.0
        for word in {word for keyword in keywords for word in self.tokenize(keyword)}:
            found = self._postings(name, word)
            weight = math.log(1 + (len(lengths) - len(found) + 0.5) / (len(found) + 0.5))
            for key, times in found:
                norm = times + _K1 * (1 - _B + _B * lengths[key] / mean)
                scores[key] += weight * times * (_K1 + 1) / norm
        return [scores.get(row.key, 0.0) for row in rows]

    def _lengths(self, path: str) -> dict[int, int]:
        sql = (
            "SELECT item, length FROM items JOIN texts ON texts.item = items.key AND texts.path = ?"
            " WHERE container = ? AND epk >= ? AND epk < ?"
        )
        bindings = (path, self._container.key, self._scope.low, self._scope.high)
        return dict(iter(self._connection.execute(sql, bindings)))

    def _postings(self, path: str, word: str) -> list[tuple[int, int]]:
        sql = "SELECT item, times FROM postings WHERE container = ? AND path = ? AND word = ? AND epk >= ? AND epk < ?"
        return list(self._connection.execute(sql, (self._container.key, path, word, self._scope.low, self._scope.high)))


def _measured(vectors: Sequence[bytes], distance: _Distance) -> list[float]:
    """Return the distances as the container measures them: cosine and dot product are the greater the nearer."""
    import numpy as np

    matrix = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), -1).astype("f8")
    query = np.frombuffer(distance.query, dtype="<f4").astype("f8")
    match distance.embedding.distance:
        case "euclidean":
            found = np.linalg.norm(matrix - query, axis=1)
        case "dotproduct":
            found = matrix @ query
        case _:
            lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(query)
            found = np.divide(matrix @ query, lengths, out=np.zeros(len(matrix)), where=lengths > 0)
    return [float(value) for value in found]


def _components(rank: Called) -> tuple[list[Called], list[float]]:
    """Return what RRF fuses, and the weights at its end."""
    parts = list(rank.arguments)
    weights = _weights(parts[-1])
    if weights is not None:
        parts.pop()
    components = [
        part for part in parts if isinstance(part, Called) and part.name in ("VECTORDISTANCE", "FULLTEXTSCORE")
    ]
    if len(components) < len(parts) or not components[1:]:  # there is nothing to fuse
        raise bad("RRF takes two or more of FullTextScore and VectorDistance.")
    if weights is not None and len(weights) != len(components):
        raise bad("RRF takes one weight for each component.")
    return components, weights or [1.0] * len(components)


def _weights(expression: Expression) -> list[float] | None:
    match expression:
        case Listed(items):
            values = [item.value if isinstance(item, Constant) else None for item in items]
        case Constant(list() as values):
            pass
        case _:
            return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise bad("The weights of RRF are numbers.")
    return [float(value) for value in values if isinstance(value, int | float)]


def _places(scores: Sequence[float]) -> list[int]:
    """Return each score's rank from 1, the best first."""
    ranks = {score: rank for rank, score in enumerate(sorted(set(scores), reverse=True), 1)}
    return [ranks[score] for score in scores]


def _keyword(word: Expression) -> str:
    if not isinstance(word, Constant) or not isinstance(word.value, str):
        raise bad("What is searched for must be a text.")
    return word.value


def _has(words: Sequence[str], phrase: Sequence[str]) -> bool:
    """Return whether the words of a phrase stand in a row."""
    count = len(phrase)
    return bool(count) and any(list(words[at_ : at_ + count]) == list(phrase) for at_ in range(len(words) - count + 1))
