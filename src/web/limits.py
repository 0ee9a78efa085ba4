"""How large a request may be and how fast a caller may ask."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import TooLarge
from web.correlation import correlation_of
from web.problems import problem_response


class BodyLimit:
    """ASGI middleware: refuses a request body above its limit with 413, whether its size is declared or it is chunked.

    Starlette has such a middleware too, but it answers in plain text.

    Args:
        app: what is guarded.
        max_bytes: the limit for every path not named in `per_path`.
        per_path: limits by path prefix; the longest prefix that fits counts.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, per_path: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._max = max_bytes
        self._per_path = sorted((per_path or {}).items(), key=lambda item: len(item[0]), reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await problem_response(_too_large(limit), correlation_of(scope))(scope, receive, send)
        else:
            await self._guard(limit, scope, receive, send)

    def _limit(self, path: str) -> int:
        return next((limit for prefix, limit in self._per_path if path.startswith(prefix)), self._max)

    async def _guard(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        seen = 0
        started = False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        async def unless_too_large(message: Message) -> None:
            nonlocal started
            # The framework turns an error while it reads the body into an answer of its own: ours takes its place.
            if seen <= limit or started:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, unless_too_large)
        except Exception:
            if seen <= limit or started:
                raise
        if seen > limit and not started:
            await problem_response(_too_large(limit), correlation_of(scope))(scope, receive, send)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than {limit:,} bytes. Send less at once.")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """A token bucket per key, in memory.

    When `max_keys` are in use, a new key takes the place of the one unused for longest, but only once that one's
    bucket is full again: nobody gets a fresh bucket by pushing their own out.

    Args:
        per_second: how fast a bucket fills.
        burst: how many tokens it holds.
        max_keys: bound on memory.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        *,
        per_second: float,
        burst: int,
        max_keys: int = 10_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = per_second
        self._burst = burst
        self._max_keys = max_keys
        self._now = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one token of `key`; return 0, or the seconds to wait if there is none (and take nothing)."""
        now = self._now()
        bucket = self._buckets.get(key)
        if bucket is None:
            wait = self._make_room(now)
            if wait > 0:
                return wait
            bucket = self._buckets[key] = _Bucket(self._burst, now)
        self._fill(bucket, now)
        self._buckets.move_to_end(key)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._rate
        bucket.tokens -= 1
        return 0

    def _make_room(self, now: float) -> float:
        if len(self._buckets) < self._max_keys:
            return 0
        key, oldest = next(iter(self._buckets.items()))
        self._fill(oldest, now)
        if oldest.tokens >= self._burst:
            del self._buckets[key]
            return 0
        return (self._burst - oldest.tokens) / self._rate

    def _fill(self, bucket: _Bucket, now: float) -> None:
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
