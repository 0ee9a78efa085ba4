"""The order of rows, and what indexes it needs."""

from collections.abc import Callable, Sequence

from emulators.cosmos.containers import Definition
from emulators.cosmos.errors import bad
from emulators.cosmos.paging import Place
from emulators.cosmos.rows import Row
from emulators.cosmos.sql.functions import kind
from emulators.cosmos.sql.tree import Ordered, PathOf
from emulators.cosmos.values import Value

Direction = bool
"""Whether a column is ordered from high to low."""


def check_order(order: Sequence[Ordered], definition: Definition) -> None:
    """Hold ORDER BY against the indexes: one property needs a plain index, several a composite one.

    https://learn.microsoft.com/azure/cosmos-db/index-policy#composite-indexes

    Raises:
        CosmosError: 400.
    """
    columns = [(_property(item), item.descending is True) for item in order]
    if len(columns) == 1 and not definition.indexes(columns[0][0]):
        raise bad("The index path corresponding to the specified order-by item is excluded.")
    turned = tuple((path, not descending) for path, descending in columns)
    if len(columns) > 1 and not {tuple(columns), turned} & set(definition.composite):
        raise bad("The order by query does not have a corresponding composite index that it can be served from.")


def put_in_order(rows: list[Row], directions: Sequence[Direction]) -> None:
    """Sort; rows that lack a property come first (https://learn.microsoft.com/azure/cosmos-db/nosql/query/order-by)."""
    for number, descending in reversed(list(enumerate(directions))):
        rows.sort(key=_sort_key(number), reverse=descending)


def behind(rows: Sequence[Row], directions: Sequence[Direction], last: Place) -> list[Row]:
    """Return the rows that come after the place where the page before ended."""

    def follows(row: Row) -> bool:
        for value, before, descending in zip(row.values, last.values, directions, strict=True):
            one, other = _comparable(value), _comparable(before)
            if one != other:
                return (one < other) is descending
        return (row.epk, row.key) > (last.epk, last.key)

    return [row for row in rows if not last.epk or follows(row)]


def _property(item: Ordered) -> tuple[str, ...]:
    if isinstance(item.expression, PathOf) and item.expression.steps:
        steps = tuple(step for step in item.expression.steps if isinstance(step, str))
        if len(steps) == len(item.expression.steps):
            return steps
    raise bad("Order-by item expression could not be mapped to a document path.")


def _sort_key(number: int) -> Callable[[Row], tuple[int, float | str]]:
    return lambda row: _comparable(row.values[number])


def _comparable(value: Value) -> tuple[int, float | str]:
    return kind(value), value if isinstance(value, str | int | float) else 0
