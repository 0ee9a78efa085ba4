"""The one retry layer of the store on Azure: every call has a bound, is tried again where that helps, and is counted.

The SDKs' own retries are off (`account.py`): they would send writes again without anybody knowing. A write may have
been carried out although its answer was lost, so whoever writes must recognise its own work when it is told that it is
there already: by a nonce, or because doing it twice is the same as once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import count
from random import SystemRandom
from typing import TypeVar, cast

from azure.core.exceptions import AzureError, HttpResponseError
from azure.cosmos.exceptions import CosmosBatchOperationError

from core.errors import Defect, MandateError, Timeout, TooLarge, Unavailable
from data.cosmos.usage import Operation, Usage, counted

BOUND_SECONDS = 20.0
"""Longest that one operation takes with all its attempts: as long as SQLite makes anybody wait."""

ATTEMPT_SECONDS = 6.0
"""Longest that one attempt takes. The service ends what it does itself after 5."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0

_AGAIN = frozenset({408, 410, 429, 449, 500, 502, 503, 504})
_AGAIN_BY_SUBSTATUS = frozenset({(403, 3), (403, 1008), (404, 1002), (400, 1024)})
"""The write region has moved; a replica is behind the session; the container was made anew."""

T = TypeVar("T")


class Missing(Defect):
    """There is no such document. Callers who expect that catch it; for all others it is a defect."""


class Taken(Defect):
    """A document of this id is there already."""


class Stale(Defect):
    """The ETag is not the current one, or the condition of the write does not hold."""


_EXPECTED: Mapping[int, type[Defect]] = {404: Missing, 409: Taken, 412: Stale}


class Calls:
    """Runs what is asked of the service."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    async def run(
        self, operation: Operation, attempt: Callable[[], Awaitable[T]], *, seconds: float = ATTEMPT_SECONDS
    ) -> T:
        """Try until it works, until trying is no use, or until the bound is reached.

        Args:
            operation: what it counts as.
            attempt: does it once.
            seconds: longest that an attempt takes; for several requests in one, each of which the SDK bounds.

        Raises:
            Missing: 404.
            Taken: 409.
            Stale: 412.
            TooLarge: 413.
            Unavailable: the service does not take it now; nothing was written by the last attempt.
            Timeout: no answer within the bound; whether it was written is not known.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + BOUND_SECONDS
        for number in count():
            try:
                with counted(self._usage, operation):
                    async with asyncio.timeout(min(seconds, end - loop.time())):
                        return await attempt()
            except (AzureError, TimeoutError) as error:
                pause = _pause(error, number)
                if pause is None or loop.time() + pause >= end:
                    raise _ours(error, pause) from error
            await asyncio.sleep(pause)
        raise AssertionError  # counting has no end


def _pause(error: AzureError | TimeoutError, number: int) -> float | None:
    """Return how many seconds to wait before the next attempt, None if there is to be none."""
    status, substatus = status_of(error)
    if status and status not in _AGAIN and (status, substatus) not in _AGAIN_BY_SUBSTATUS:
        return None
    told = _retry_after(error)
    if told is not None:
        return told
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**number) * SystemRandom().uniform(0.5, 1.0)


def status_of(error: Exception) -> tuple[int, int]:
    """Return an error's status and substatus, 0 where there is none."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    substatus: object = getattr(error, "sub_status", None)
    return status or 0, substatus if isinstance(substatus, int) else 0


def _retry_after(error: Exception) -> float | None:
    """Return the seconds that the service wants us to wait: for a batch it says so inside."""
    if isinstance(error, CosmosBatchOperationError):
        results = cast("Sequence[Mapping[str, object]]", error.operation_responses or ())
        told = [result.get("retryAfterMilliseconds") for result in results]
    else:
        headers = cast("Mapping[str, object]", getattr(getattr(error, "response", None), "headers", {}))
        told = [headers.get("x-ms-retry-after-ms")]
    waits = [float(value) / 1000 for value in told if isinstance(value, str | int | float) and value]
    return max(waits, default=None)


def _ours(error: AzureError | TimeoutError, pause: float | None) -> MandateError:
    """Return our error for what the service or the way to it raised at last."""
    status, _ = status_of(error)
    if pause is None and status in _EXPECTED:
        return _EXPECTED[status]("The store was asked for what it does not have as expected.", code="defect.store")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge("This is more than the store takes at once.")
    if status == HTTPStatus.BAD_REQUEST:
        return Defect("The store was asked something that it cannot do.", code="defect.store")
    if status in (429, 449, 503, 401, 403):
        message = "The store does not take this at the moment; try again shortly."
        return Unavailable(message, code="dependency.store", retry_after=max(1.0, pause or 0))
    if status == 0 and isinstance(error, AzureError):
        return Unavailable("The store cannot be reached; try again shortly.", code="dependency.store", retry_after=1)
    return Timeout("The store did not answer in time; try again.", code="timeout.store")
