"""Pages of what the caller may see, out of pages that hold more than that."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from core.errors import BadRequest
from data import Page

T = TypeVar("T")
U = TypeVar("U")
Id = TypeVar("Id", bound=str)

_MOST_READS = 10


async def chosen_page(
    read: Callable[[str | None, int], Awaitable[Page[T]]],
    choose: Callable[[T], Awaitable[U | None]],
    *,
    cursor: str | None,
    limit: int,
) -> Page[U]:
    """Read on until `limit` items were chosen, at most ten times; None from `choose` leaves an item out.

    Never reads more than it can give, so the last cursor read is the one to go on from.
    """
    chosen: list[U] = []
    for _ in range(_MOST_READS):
        page = await read(cursor, limit - len(chosen))
        chosen += [found for item in page.items if (found := await choose(item)) is not None]
        cursor = page.cursor
        if cursor is None or len(chosen) == limit:
            break
    return Page(chosen, cursor)


def newest_first(ids: Sequence[Id], *, cursor: str | None, limit: int) -> Page[Id]:
    """Return a page of `ids`, which are oldest first, beginning with the last; the cursor is the last id given.

    Raises:
        BadRequest: the cursor is none of `ids` (`request.cursor`).
    """
    ordered: Sequence[str] = ids[::-1]
    if cursor is not None and cursor not in ordered:
        raise BadRequest("This cursor is not one that a list gave; start again without it.", code="request.cursor")
    start = ordered.index(cursor) + 1 if cursor is not None else 0
    page = ids[::-1][start : start + limit]
    return Page(page, page[-1] if start + limit < len(ids) else None)
