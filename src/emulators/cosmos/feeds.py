"""What is read as a feed: the changes of a container, its items, its physical ranges (rules 8 and 9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import orjson

from emulators.cosmos.catalogue import Container, Range
from emulators.cosmos.database import Connection
from emulators.cosmos.documents import current_lsn
from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.scope import Scope
from emulators.cosmos.values import Json, Object

_LARGEST_PAGE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Changes:
    """Items as they are now that changed after `since`, and how far that goes.

    Attributes:
        etag: what to send as If-None-Match next.
    """

    rows: list[Json]
    etag: str


def check_mode(headers: Mapping[str, str]) -> None:
    """Let the mode through that is served: the latest version of what was created or changed.

    Raises:
        CosmosError: 501 for all versions and deletes, which needs a log that the file does not have.
    """
    if headers.get("a-im") != "Incremental Feed":
        raise unknown("a change feed of all versions and deletes")


def changes(
    connection: Connection, container: Container, scope: Scope, headers: Mapping[str, str], most: int, now: int
) -> Changes:
    """Read a page of the change feed: in the order of the transactions, none of which is cut (rule 9)."""
    since = _since(headers.get("if-none-match"), connection, container)
    after = _start_time(headers.get("if-modified-since"))
    rows = connection.execute(
        "SELECT lsn, body FROM items WHERE container = ? AND lsn > ? AND epk >= ? AND epk < ? AND ts >= ?"
        " AND (expires IS NULL OR expires > ?) ORDER BY lsn, key",
        (container.key, since, scope.low, scope.high, after, now),
    )
    found: list[Json] = []
    last, size = since, 0
    for lsn, body in rows:
        if lsn != last and (len(found) >= most or size > _LARGEST_PAGE):
            return Changes(found, f'"{last}"')
        found.append({**orjson.loads(body), "_lsn": lsn})
        last, size = lsn, size + len(body)
    return Changes(found, f'"{max(last, current_lsn(connection, container))}"')


def _since(etag: str | None, connection: Connection, container: Container) -> int:
    if etag is None:
        return 0
    if etag == "*":
        return current_lsn(connection, container)
    if not etag.strip('"').isdigit():
        raise bad("If-None-Match is no etag of this change feed.")
    return int(etag.strip('"'))


def _start_time(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except ValueError as error:
        raise bad("If-Modified-Since is no date.") from error


def range_body(container: Container, part: Range) -> Object:
    """Return a physical range as the service describes it."""
    return {
        "id": str(part.id),
        "_rid": container.rid,
        "minInclusive": part.low,
        "maxExclusive": part.high,
        "parents": [str(parent) for parent in part.parents],
        "status": "online",
        "throughputFraction": 1 / len(container.ranges),
    }


def ranges_etag(container: Container) -> str:
    """Return what tells one set of ranges from another."""
    return f'"{container.rid}-{max(part.id for part in container.ranges)}"'
