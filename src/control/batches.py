"""Group commit: who comes while a write is under way shares the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.errors import MandateError, Unavailable

K = TypeVar("K")
T = TypeVar("T")

_WAIT_SECONDS = 15.0


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    item: T
    done: bool = False
    error: MandateError | None = None


class _Queue(Generic[T]):
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting: list[_Waiting[T]] = []
        self.callers = 0


async def _at_once(_: object) -> None:
    pass


@dataclass(slots=True)
class Batches(Generic[K, T]):
    """Hands items to `commit(key, items)` in the order they came, one call at a time per key.

    Whoever has waited longest makes the call, for all who wait by then; if they are cancelled in the middle of it, the
    next in turn makes it again, so `commit` must bear being given the same items twice.

    Attributes:
        commit: returns once the items are durable; an error of ours that it raises, everybody in the batch raises.
        before: awaited before a batch is gathered, to slow down one key.
    """

    commit: Callable[[K, Sequence[T]], Awaitable[None]]
    before: Callable[[K], Awaitable[None]] = _at_once
    _queues: dict[K, _Queue[T]] = field(default_factory=dict[K, _Queue[T]])

    async def add(self, key: K, item: T) -> None:
        """Return once `item` is committed.

        Raises:
            Unavailable: the store did not keep up; the item may or may not have been committed.
        """
        queue = self._queues.setdefault(key, _Queue())
        mine = _Waiting(item)
        queue.waiting.append(mine)
        queue.callers += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS), queue.turn:
                if not mine.done:
                    await self._flush(key, queue)
        except TimeoutError:
            raise Unavailable("The store is too slow at the moment; try again shortly.", retry_after=5) from None
        finally:
            queue.waiting = [other for other in queue.waiting if other is not mine]
            queue.callers -= 1
            if not queue.callers:
                del self._queues[key]
        if mine.error:
            raise mine.error

    async def _flush(self, key: K, queue: _Queue[T]) -> None:
        await self.before(key)
        batch = list(queue.waiting)
        error = None
        try:
            await self.commit(key, [waiting.item for waiting in batch])
        except MandateError as raised:
            error = raised
        for waiting in batch:
            waiting.done, waiting.error = True, error
        queue.waiting = [waiting for waiting in queue.waiting if not waiting.done]
