"""What a query says, as a tree. The grammar is a part of https://learn.microsoft.com/azure/cosmos-db/nosql/query."""

from dataclasses import dataclass

from emulators.cosmos.values import Json


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the query text or one of its parameters gives."""

    value: Json


@dataclass(frozen=True, slots=True)
class PathOf:
    """`c.a["b"][0]`: an alias and the steps from it."""

    alias: str
    steps: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """`[a, b]`: an array made of expressions."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """`=`, `!=`, `<`, `<=`, `>`, `>=`."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Joined:
    """AND or OR of two or more."""

    operator: str
    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Negated:
    inner: "Expression"


@dataclass(frozen=True, slots=True)
class OneOf:
    """`a IN (b, c)`."""

    value: "Expression"
    choices: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Called:
    """A function by its name in capitals."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """`EXISTS(SELECT VALUE x FROM x IN c.list WHERE ...)`."""

    alias: str
    source: PathOf
    where: "Expression | None"


Expression = Constant | PathOf | Listed | Compared | Joined | Negated | OneOf | Called | Exists


@dataclass(frozen=True, slots=True)
class Star:
    """SELECT *."""


@dataclass(frozen=True, slots=True)
class ValueOf:
    """SELECT VALUE."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Columns:
    """SELECT a, b AS c: names and what stands under them."""

    columns: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Count:
    """SELECT VALUE COUNT(1)."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """One item of ORDER BY.

    Attributes:
        descending: `None` where the query does not say.
    """

    expression: Expression
    descending: bool | None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query.

    Attributes:
        rank: what ORDER BY RANK names.
        take: the number of TOP or LIMIT.
    """

    select: Star | ValueOf | Columns | Count
    alias: str
    where: Expression | None
    order: tuple[Ordered, ...]
    rank: Called | None
    skip: int
    take: int | None


def conjuncts(where: Expression | None) -> tuple[Expression, ...]:
    """Return what must hold each for itself."""
    if where is None:
        return ()
    if isinstance(where, Joined) and where.operator == "AND":
        return tuple(inner for part in where.parts for inner in conjuncts(part))
    return (where,)
