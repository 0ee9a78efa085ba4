"""A row of an answer before it is shaped."""

from dataclasses import dataclass

from emulators.cosmos.values import Object, Value


@dataclass(frozen=True, slots=True)
class Row:
    """An item that the query keeps.

    Attributes:
        values: what the query orders by.
        document: `None` where it was not needed yet.
        size: bytes of the document.
    """

    epk: str
    key: int
    values: tuple[Value, ...]
    document: Object | None
    size: int
