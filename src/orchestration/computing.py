"""Values that follow from one trusted record by a closed rule, so that they are as good as its fields.

The rules are few on purpose. With many an attacker could reach almost any number; with these it is one of a handful
that the record itself has.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

from core import Json

_LEAST = 2
"""Zero and one are everywhere."""


def follows_from(value: int, record: Json) -> bool:
    """Return whether `value` is the sum of a field over a list, or the product or difference of two of an object."""
    return value >= _LEAST and any(value in _results(part) for part in _parts(record))


def share_of(value: int, record: Json, shares: Collection[int]) -> bool:
    """Return whether `value` is one of `shares`, in percent and rounded either way, of a field of `record`."""
    if value < _LEAST:
        return False
    fields = [number for part in _parts(record) if isinstance(part, Mapping) for number in _numbers(part).values()]
    return any(value in {number * share // 100, -(-number * share // 100)} for number in fields for share in shares)


def _parts(record: Json) -> Iterator[Mapping[str, Json] | Sequence[Json]]:
    """Yield every object and every list in `record`."""
    if isinstance(record, Mapping):
        yield record
        for item in record.values():
            yield from _parts(item)
    elif isinstance(record, Sequence) and not isinstance(record, str):
        yield record
        for item in record:
            yield from _parts(item)


def _results(part: Mapping[str, Json] | Sequence[Json]) -> Iterator[int]:
    if isinstance(part, Mapping):
        for one, other in combinations(_numbers(part).values(), 2):
            yield one * other
            yield abs(one - other)
        return
    rows = [_numbers(item) for item in part if isinstance(item, Mapping)]
    if len(rows) == len(part) > 1:
        for name in rows[0].keys() if rows else ():
            if all(name in row for row in rows):
                yield sum(row[name] for row in rows)


def _numbers(part: Mapping[str, Json]) -> dict[str, int]:
    return {name: item for name, item in part.items() if isinstance(item, int) and not isinstance(item, bool)}
