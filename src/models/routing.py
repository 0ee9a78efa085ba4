"""The door to the models: spends the permit, picks the target, retries and fails over, counts and prices."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TypeVar

from core import ActionKind, Clock, Permit
from core.errors import Defect, MandateError, RateLimited, Timeout, Unavailable
from models.adapters import Adapter, Bounds, Completion, Embeddings
from models.catalogue import Catalogue, EmbedModel, Target
from models.course import Course, Lane
from models.faults import timed_out
from models.messages import ChatRequest, EmbedRequest, estimate_tokens
from models.results import ChatResult, EmbedResult, ModelInterrupted, TextDelta

T = TypeVar("T")
Attempt = Callable[[Target], AsyncGenerator[T, None]]
Sleep = Callable[[float], Awaitable[None]]
_BOUNDS = Bounds()


class _OutOfTimeError(Timeout):
    """The caller's deadline has come, which says nothing about the target."""

    default_code = "model.timeout"

    def __init__(self) -> None:
        super().__init__(timed_out().message)


class ModelRouter:
    """Calls logical models. Nothing above it retries, and nothing below it does."""

    def __init__(
        self, catalogue: Catalogue, adapters: Mapping[str, Adapter], clock: Clock, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        """Make a router over `adapters`, by the names that the catalogue's targets use.

        Raises:
            Defect: a target names an adapter that is not there.
        """
        self._catalogue = catalogue
        self._adapters = adapters
        self._clock = clock
        self._sleep = sleep
        self._lanes = {
            (logical, target.name): Lane(target, clock)
            for logical, model in catalogue.models.items()
            for target in model.targets
        }
        for lane in self._lanes.values():
            if lane.target.adapter not in adapters:
                message = f"The model catalogue names the adapter {lane.target.adapter}, which is not set up."
                raise Defect(message, code="defect.catalogue")

    def chat(
        self,
        permit: Permit,
        request: ChatRequest,
        *,
        plan: str,
        region: str,
        features: Collection[str] = (),
        deadline: datetime,
    ) -> AsyncGenerator[TextDelta | ChatResult, None]:
        """Ask a chat model, one that is for tenants with `features`.

        Yields text as it comes, the `ChatResult` last. Close it (`aclosing`) if you stop early.

        Raises:
            Defect: the permit is not for this request (before anything is sent), or every target would refuse the
                request (`model.rejected`).
            ModelInterrupted: the answer broke off after its first token.
            Unavailable, RateLimited, Timeout: no target answered by the deadline (`model.unavailable`, `model.rate`,
                `model.timeout`).
        """
        permit.spend(ActionKind.CALL_MODEL, request.logical, request.fingerprint())
        course = self._course(self._eligible(request.logical, plan, region, features), request.logical, deadline)
        return self._chat(request, course)

    async def embed(
        self, permit: Permit, request: EmbedRequest, *, plan: str, region: str, deadline: datetime
    ) -> EmbedResult:
        """Turn texts into vectors. Raises as `chat` does, `ModelInterrupted` excepted."""
        permit.spend(ActionKind.CALL_MODEL, request.logical, request.fingerprint())
        model = self._catalogue.model(request.logical)
        if not isinstance(model, EmbedModel):
            raise Defect("A chat model was asked to embed.", code="defect.model_purpose")
        prefix = model.query_prefix if request.purpose == "query" else model.passage_prefix
        texts = tuple(prefix + text for text in request.texts)

        async def attempt(target: Target) -> AsyncGenerator[Embeddings, None]:
            yield await self._adapters[target.adapter].embed(target, texts, model.dimensions, _BOUNDS)

        course = self._course(self._eligible(request.logical, plan, region), request.logical, deadline)
        async with aclosing(self._first_answer(course, attempt)) as answers:
            async for target, found in answers:
                tokens = request.estimated_tokens if found.input_tokens is None else found.input_tokens
                cost = target.cost(tokens, 0)
                return EmbedResult(found.vectors, tokens, cost, target.name, target.version)
        raise Defect("An embedding adapter ended without an answer.", code="defect.model_adapter")

    def pin(self, logical: str, plan: str, region: str, features: Collection[str] = ()) -> str:
        """Return `target@version` of the first target that may serve such a tenant; raises `Unavailable` for none."""
        target = self._eligible(logical, plan, region, features)[0]
        return f"{target.name}@{target.version}"

    def price(
        self,
        logical: str,
        plan: str,
        region: str,
        input_tokens: int,
        output_tokens: int,
        features: Collection[str] = (),
    ) -> int:
        """Return what that many tokens cost at most, in micros, whichever eligible target answers."""
        targets = self._eligible(logical, plan, region, features)
        return max(target.cost(input_tokens, output_tokens) for target in targets)

    def _eligible(self, logical: str, plan: str, region: str, features: Collection[str] = ()) -> tuple[Target, ...]:
        targets = self._catalogue.eligible(logical, plan, region, features)
        if not targets:
            message = "No model may serve this plan in this region: ask the publisher to add one there."
            raise Unavailable(message, code="model.unavailable")
        return targets

    def _course(self, targets: Sequence[Target], logical: str, deadline: datetime) -> Course:
        lanes = [self._lanes[logical, target.name] for target in targets]
        return Course(lanes, clock=self._clock, deadline=deadline)

    async def _chat(self, request: ChatRequest, course: Course) -> AsyncGenerator[TextDelta | ChatResult, None]:
        def attempt(target: Target) -> AsyncGenerator[TextDelta | Completion, None]:
            return self._adapters[target.adapter].chat(target, request, _BOUNDS)

        begun, first_token, target = time.perf_counter(), 0.0, None
        texts: list[str] = []
        try:
            async with aclosing(self._first_answer(course, attempt)) as answers:
                async for target, item in answers:
                    first_token = first_token or time.perf_counter()
                    if isinstance(item, Completion):
                        times = _ms(first_token - begun), _ms(time.perf_counter() - begun)
                        yield _result(request, target, item, course.attempts, times)
                    elif item.text:
                        texts.append(item.text)
                        yield item
        except (RateLimited, Unavailable, Timeout) as error:
            if target is None:
                raise
            raise _interrupted(request, target, estimate_tokens("".join(texts))) from error

    async def _first_answer(self, course: Course, attempt: Attempt[T]) -> AsyncGenerator[tuple[Target, T], None]:
        """Yield all that the first target to answer says, and which that is: the one retry layer."""
        while True:
            lane = course.next()
            answered = False
            try:
                async with aclosing(_in_time(course, lane, attempt)) as items:
                    async for item in items:
                        answered = True
                        yield lane.target, item
            except (RateLimited, Unavailable, Timeout) as error:
                _blame(lane, error)
                if answered or isinstance(error, _OutOfTimeError):
                    raise
                wait = course.wait_after(error)
            except BaseException as error:
                _settle(lane, alive=answered or isinstance(error, Defect))
                raise
            else:
                _settle(lane, alive=True)
                return
            if wait:
                await self._sleep(wait)


async def _in_time(course: Course, lane: Lane, attempt: Attempt[T]) -> AsyncGenerator[T, None]:
    """Yield what one attempt yields, within the deadline and the target's share of concurrent calls.

    The deadline does not hold across a `yield`, where it would cancel the consumer.
    """
    try:
        async with asyncio.timeout(course.remaining) as bound:
            due = bound.when()
            await lane.slots.acquire()
            try:
                async with aclosing(attempt(lane.target)) as items:
                    async for item in items:
                        bound.reschedule(None)
                        yield item
                        bound.reschedule(due)
            finally:
                lane.slots.release()
    except TimeoutError as error:
        raise _OutOfTimeError from error


def _blame(lane: Lane, error: MandateError) -> None:
    if isinstance(error, _OutOfTimeError | RateLimited):
        # Busy is not broken, and a short deadline is the caller's.
        _settle(lane, alive=isinstance(error, RateLimited))
    else:
        lane.breaker.failed()


def _settle(lane: Lane, *, alive: bool) -> None:
    if alive:
        lane.breaker.succeeded()
    else:
        lane.breaker.abandoned()


def _result(
    request: ChatRequest, target: Target, done: Completion, attempts: int, times: tuple[int, int]
) -> ChatResult:
    read, written = done.usage or (
        request.estimated_tokens,
        estimate_tokens(done.text + "".join(call.name + call.arguments for call in done.tool_calls)),
    )
    return ChatResult(
        text=done.text,
        tool_calls=done.tool_calls,
        input_tokens=read,
        output_tokens=written,
        cost_micros=target.cost(read, written),
        target=target.name,
        version=target.version,
        finish=done.finish,
        attempts=attempts,
        first_token_ms=times[0],
        duration_ms=times[1],
    )


def _interrupted(request: ChatRequest, target: Target, output_tokens: int) -> ModelInterrupted:
    return ModelInterrupted(
        target=target.name,
        version=target.version,
        input_tokens=request.estimated_tokens,
        output_tokens=output_tokens,
        cost_micros=target.cost(request.estimated_tokens, output_tokens),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
