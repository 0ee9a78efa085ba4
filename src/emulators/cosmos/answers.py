"""Answers and the headers that the SDK reads of them (rule 10)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from emulators.cosmos.catalogue import Container, Range
from emulators.cosmos.errors import CosmosError
from emulators.cosmos.values import Json, dump


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def answer(status: int, body: Json, *, etag: str = "", charge: float = 1.0) -> Answer:
    """Return an answer that is about no container."""
    headers = {"x-ms-request-charge": _charge(charge)} | ({"etag": etag} if etag else {})
    return Answer(status, dump(body), headers)


def within(container: Container, part: Range, lsn: int, charge: float, etag: str = "") -> dict[str, str]:
    """Return the headers of an answer from within a container.

    The session token is `<range>:-1#<lsn>`, which the SDK keeps only where the path stands beside it; a missing range
    makes it read all ranges anew.
    """
    headers = {
        "x-ms-request-charge": _charge(charge),
        "x-ms-session-token": f"{part.id}:-1#{lsn}",
        "x-ms-alt-content-path": container.link,
        "x-ms-documentdb-partitionkeyrangeid": str(part.id),
        "lsn": str(lsn),
    }
    return headers | ({"etag": etag} if etag else {})


def refused(error: CosmosError) -> Answer:
    headers = {"x-ms-request-charge": _charge(0.0 if error.http_status == HTTPStatus.TOO_MANY_REQUESTS else 1.0)}
    if error.substatus:
        headers["x-ms-substatus"] = str(error.substatus)
    if error.retry_after_ms is not None:
        headers["x-ms-retry-after-ms"] = str(error.retry_after_ms)
    return Answer(error.http_status, dump({"code": error.code, "message": error.message}), headers)


def _charge(units: float) -> str:
    return f"{units:.2f}"
