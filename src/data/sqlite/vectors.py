"""A tenant's passages in memory, as one matrix: which the reader may read, and which of them are nearest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core import PrincipalId, TenantId
from data.knowledge import Reader
from data.sqlite.connections import Connection

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Index:
    """The passages of one tenant as they were at `version`, one place in each array for each.

    Attributes:
        numbers: of the passages.
        places: passage number to place.
        access: the different pairs of collection and owner that occur: few, so each is asked once and not per passage.
        access_of: which of them each passage has.
        comparable: whether its vector has the dimension of the question's; where not, its line in `matrix` is zero.
        matrix: float32, passages by dimensions.
    """

    version: int
    numbers: NDArray[np.int64]
    places: dict[int, int]
    access: list[tuple[str, PrincipalId]]
    access_of: NDArray[np.intp]
    comparable: Mask
    matrix: NDArray[np.float32]

    @classmethod
    def empty(cls, dimension: int) -> "Index":
        none, nowhere = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.intp)
        matrix = np.zeros((0, dimension), dtype=np.float32)
        return cls(0, none, {}, [], nowhere, np.zeros(0, dtype=np.bool_), matrix)

    def only(self, there: NDArray[np.int64]) -> "Index":
        """Return the same without the passages that are not there any more; `places` are left to be made anew."""
        keep = np.isin(self.numbers, there)
        return replace(
            self,
            numbers=self.numbers[keep],
            access_of=self.access_of[keep],
            comparable=self.comparable[keep],
            matrix=self.matrix[keep],
            places={},
        )

    def allowed(self, reader: Reader, collections: frozenset[str]) -> Mask:
        """Return which passages `reader` may read in `collections`."""
        answers = [c in collections and reader.may_read(c, owner) for c, owner in self.access]
        return np.array(answers, dtype=np.bool_)[self.access_of]

    def without(self, allowed: Mask, numbers: Sequence[int]) -> Mask:
        """Return the same without some passages."""
        kept = allowed.copy()
        kept[[self.places[number] for number in numbers]] = False
        return kept

    def nearest(self, vector: bytes, allowed: Mask, depth: int) -> list[int]:
        """Return the numbers of the `depth` nearest allowed passages, nearest first."""
        candidates = np.flatnonzero(allowed & self.comparable)
        scores = (self.matrix @ np.frombuffer(vector, dtype="<f4"))[candidates]
        if len(candidates) > depth:
            best = np.argpartition(-scores, depth)[:depth]
            candidates, scores = candidates[best], scores[best]
        return self.numbers[candidates[np.lexsort((self.numbers[candidates], -scores))]].tolist()

    def similarity(self, vector: bytes, number: int) -> int:
        """Return the cosine of `vector` and the passage, in millionths; 0 where the two cannot be compared."""
        line = self.matrix[self.places[number]]
        return round(float(line @ np.frombuffer(vector, dtype="<f4")) * 1_000_000)

    def permits(self, allowed: Mask, number: int) -> bool:
        return bool(allowed[self.places[number]])


def load_index(connection: Connection, tenant: TenantId, version: int, dimension: int, held: Index | None) -> Index:
    """Read the tenant's passages; of those that `held` has, only whether they are still there.

    A passage never changes under its number, and numbers are never given twice.
    """
    # mandate: equal[predicate] - no two tenants ever have the same number, so those of others only take time
    there = [number for (number,) in connection.execute("SELECT number FROM passages WHERE tenant = ?", (tenant,))]
    before = (held or Index.empty(dimension)).only(np.array(there, dtype=np.int64))
    known = int(held.numbers.max(initial=0)) if held else 0
    found: list[tuple[int, bytes, str, PrincipalId]] = list(
        connection.execute(
            "SELECT number, vector, collection, owner FROM passages WHERE tenant = ? AND number > ?",
            (tenant, known),
        )
    )
    accesses = {access: place for place, access in enumerate(before.access)}
    access_of = [accesses.setdefault((collection, owner), len(accesses)) for *_, collection, owner in found]
    comparable = np.array([dimension > 0 and len(vector) == 4 * dimension for _, vector, *_ in found], dtype=np.bool_)
    matrix = np.zeros((len(found), dimension), dtype=np.float32)
    for place in np.flatnonzero(comparable).tolist():
        matrix[place] = np.frombuffer(found[place][1], dtype="<f4")
    numbers = np.concatenate([before.numbers, np.array([number for number, *_ in found], dtype=np.int64)])
    return Index(
        version=version,
        numbers=numbers,
        places={number: place for place, number in enumerate(numbers.tolist())},
        access=list(accesses),
        access_of=np.concatenate([before.access_of, np.array(access_of, dtype=np.intp)]),
        comparable=np.concatenate([before.comparable, comparable]),
        matrix=np.concatenate([before.matrix, matrix]),
    )
