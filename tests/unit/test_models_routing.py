"""Where a call goes, when it is made again, and when it never is."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import ActionKind, Permit, RunId, TenantId, action_digest
from core.errors import Defect, MandateError, RateLimited, Timeout, Unavailable
from models import (
    Adapter,
    Bounds,
    Catalogue,
    ChatModel,
    ChatRequest,
    ChatResult,
    Completion,
    Embeddings,
    EmbedModel,
    EmbedRequest,
    Message,
    ModelInterrupted,
    ModelRouter,
    Target,
    TextDelta,
)
from models.faults import malformed, timed_out, unavailable

REQUEST = ChatRequest("chat", (Message("user", "Where is my order?"),), (), 100)
DONE = Completion("Here.", (), (10, 20), "stop")
Step = TextDelta | Completion | MandateError | float
"""What an attempt does next: yield, fail, or take so many seconds."""


class MovedClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(seconds)
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Scripted:
    """An adapter that plays a script for each target, the last line again and again."""

    clock: MovedClock
    scripts: dict[str, list[Sequence[Step]]]
    calls: list[str] = field(default_factory=list[str])
    under_way: int = 0
    most_under_way: int = 0

    async def chat(
        self, target: Target, request: ChatRequest, bounds: Bounds
    ) -> AsyncGenerator[TextDelta | Completion, None]:
        self.calls.append(target.name)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            for step in self._line(target):
                if isinstance(step, MandateError):
                    raise step
                if isinstance(step, int | float):
                    self.clock.move(step)
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.under_way -= 1

    async def embed(self, target: Target, texts: tuple[str, ...], dimensions: int, bounds: Bounds) -> Embeddings:
        self.calls.append(target.name)
        for step in self._line(target):
            if isinstance(step, MandateError):
                raise step
        return Embeddings(tuple(text.encode() for text in texts), None)

    def _line(self, target: Target) -> Sequence[Step]:
        script = self.scripts[target.name]
        return script.pop(0) if len(script) > 1 else script[0]


@dataclass
class World:
    clock: MovedClock
    adapter: Scripted
    router: ModelRouter

    async def chat(self, *, seconds: float = 60.0, plan: str = "basic", region: str = "eu") -> ChatResult:
        deadline = self.clock.now() + timedelta(seconds=seconds)
        stream = self.router.chat(permit(REQUEST), REQUEST, plan=plan, region=region, deadline=deadline)
        result = [item async for item in stream][-1]
        assert isinstance(result, ChatResult)
        return result


def target(
    name: str, *, regions: tuple[str, ...] = ("eu",), plans: tuple[str, ...] = ("*",), price: int = 1000
) -> Target:
    return Target(
        name=name,
        adapter="openai",
        endpoint="https://models.example",
        model=name,
        version="1",
        retires=date(2099, 1, 1),
        plans=plans,
        regions=regions,
        auth="entra",
        input_micros_per_1k=price,
        output_micros_per_1k=price * 2,
        concurrency=2,
    )


def world(*targets: Target, **scripts: list[Sequence[Step]]) -> World:
    clock = MovedClock()
    adapter = Scripted(clock, {name.replace("_", "-"): script for name, script in scripts.items()})
    adapters: dict[str, Adapter] = {"openai": adapter}
    models = {
        "chat": ChatModel(purpose="chat", targets=targets),
        "embed": EmbedModel(purpose="embed", targets=targets, dimensions=2, passage_prefix="passage: "),
    }
    catalogue = Catalogue(currency="EUR", models=models)
    return World(clock, adapter, ModelRouter(catalogue, adapters, clock, sleep=clock.sleep))


def permit(request: ChatRequest | EmbedRequest) -> Permit:
    tenant, run = TenantId("ten_x"), RunId("run_x")
    digest = action_digest(tenant, run, ActionKind.CALL_MODEL, request.logical, request.fingerprint())
    return Permit(tenant=tenant, run=run, decision_seq=2, digest=digest)


def busy(seconds: float | None) -> RateLimited:
    return RateLimited("busy", code="model.rate", retry_after=seconds)


OK: list[Sequence[Step]] = [[TextDelta("Here."), DONE]]
DOWN: list[Sequence[Step]] = [[unavailable()]]


async def test_the_first_target_answers_and_the_price_is_its_own() -> None:
    here = world(target("one", price=1500), target("two"), one=OK, two=OK)
    result = await here.chat()
    assert here.adapter.calls == ["one"]
    assert (result.text, result.target, result.version, result.attempts) == ("Here.", "one", "1", 1)
    assert (result.input_tokens, result.output_tokens, result.cost_micros) == (10, 20, 75)


async def test_residency_is_never_crossed_even_when_all_else_fails() -> None:
    here = world(target("eu"), target("us", regions=("us",)), target("eu-b"), eu=DOWN, us=OK, eu_b=DOWN)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await here.chat()
    assert "us" not in here.adapter.calls
    assert set(here.adapter.calls) == {"eu", "eu-b"}


async def test_plans_choose_targets_and_none_is_said_plainly() -> None:
    here = world(target("large", plans=("premium",)), target("small", plans=("basic",)), large=OK, small=OK)
    assert (await here.chat(plan="premium")).target == "large"
    assert (await here.chat(plan="basic")).target == "small"
    with pytest.raises(Unavailable, match="No model may serve this plan in this region"):
        await here.chat(plan="other")
    with pytest.raises(Unavailable, match="No model may serve"):
        await here.chat(region="us")


async def test_pin_and_price_speak_of_eligible_targets_only() -> None:
    here = world(
        target("us", regions=("us",), price=90_000), target("one", price=1000), target("two", price=3000), one=OK
    )
    assert here.router.pin("chat", "basic", "eu") == "one@1"
    assert here.router.price("chat", "basic", "eu", 1000, 1000) == 3000 + 6000


@pytest.mark.parametrize("failure", [unavailable(), timed_out(), malformed(), busy(None), busy(500.0)])
async def test_a_failed_target_is_passed_over_at_once(failure: MandateError) -> None:
    here = world(target("one"), target("two"), one=[[failure]], two=OK)
    assert (await here.chat()).attempts == 2
    assert here.adapter.calls == ["one", "two"]
    assert here.clock.slept == []


async def test_one_more_round_after_all_have_failed_and_no_third() -> None:
    here = world(target("one"), one=DOWN)
    with pytest.raises(Unavailable):
        await here.chat()
    assert here.adapter.calls == ["one", "one"]
    assert len(here.clock.slept) == 1
    assert 0.05 <= here.clock.slept[0] <= 0.3


async def test_no_more_than_four_attempts() -> None:
    here = world(target("one"), target("two"), target("three"), one=DOWN, two=DOWN, three=DOWN)
    with pytest.raises(Unavailable):
        await here.chat()
    assert here.adapter.calls == ["one", "two", "three", "one"]


async def test_a_wait_that_fits_is_honoured_at_the_same_target() -> None:
    here = world(target("one"), target("two"), one=[[busy(2.5)], *OK], two=OK)
    assert (await here.chat(seconds=60)).target == "one"
    assert here.clock.slept == [2.5]


async def test_an_overloaded_target_that_names_its_wait_is_honoured_too() -> None:
    here = world(target("one"), one=[[unavailable(1.0)], *OK])
    await here.chat()
    assert here.clock.slept == [1.0]


async def test_a_wait_that_outlives_the_request_moves_on_and_does_not_come_back() -> None:
    here = world(target("one"), target("two"), one=[[busy(30.0)]], two=DOWN)
    with pytest.raises(Unavailable):
        await here.chat(seconds=20)
    assert here.adapter.calls == ["one", "two", "two"]


async def test_when_all_are_busy_the_caller_learns_for_how_long() -> None:
    here = world(target("one"), one=[[busy(30.0)]])
    with pytest.raises(RateLimited) as raised:
        await here.chat(seconds=20)
    assert raised.value.retry_after == 30.0
    assert here.adapter.calls == ["one"]


async def test_a_refused_request_is_refused_everywhere() -> None:
    here = world(target("one"), target("two"), one=[[Defect("no", code="model.rejected")]], two=OK)
    with pytest.raises(Defect):
        await here.chat()
    assert here.adapter.calls == ["one"]


@pytest.mark.parametrize("failure", [unavailable(), timed_out(), busy(0.0)])
async def test_nothing_is_tried_again_after_the_first_token(failure: MandateError) -> None:
    here = world(target("one"), target("two"), one=[[TextDelta("The refund is "), failure]], two=OK)
    with pytest.raises(ModelInterrupted) as raised:
        await here.chat()
    assert here.adapter.calls == ["one"]
    assert raised.value.code == "model.interrupted"
    assert (raised.value.target, raised.value.input_tokens) == ("one", REQUEST.estimated_tokens)
    assert raised.value.output_tokens >= 3
    assert raised.value.cost_micros > 0


async def test_a_tool_call_that_has_begun_counts_as_a_first_token() -> None:
    here = world(target("one"), target("two"), one=[[TextDelta(""), unavailable()]], two=OK)
    with pytest.raises(ModelInterrupted):
        await here.chat()
    assert here.adapter.calls == ["one"]


async def test_the_sign_that_it_has_begun_is_not_shown() -> None:
    here = world(target("one"), one=[[TextDelta(""), DONE]])
    deadline = here.clock.now() + timedelta(seconds=9)
    stream = here.router.chat(permit(REQUEST), REQUEST, plan="basic", region="eu", deadline=deadline)
    assert [type(item) async for item in stream] == [ChatResult]


async def test_the_deadline_ends_the_call_and_is_not_held_against_the_target() -> None:
    here = world(target("one"), target("two"), one=[[0.2, DONE]] * 9 + OK, two=OK)
    for _ in range(6):
        with pytest.raises(Timeout) as raised:
            await here.chat(seconds=0.05)
        assert raised.value.code == "model.timeout"
    assert set(here.adapter.calls) == {"one"}
    here.adapter.scripts["one"] = OK
    assert (await here.chat()).target == "one", "six short deadlines have not opened its breaker"


async def test_a_deadline_in_mid_answer_is_an_interruption() -> None:
    here = world(target("one"), one=[[TextDelta("The "), 5.0, DONE]])
    with pytest.raises(ModelInterrupted):
        await here.chat(seconds=0.05)


async def test_a_deadline_cuts_the_call_short_and_never_what_its_listener_does() -> None:
    here = world(target("one"), one=[[TextDelta("The "), 5.0, DONE]])
    deadline = here.clock.now() + timedelta(seconds=0.05)
    stream = here.router.chat(permit(REQUEST), REQUEST, plan="basic", region="eu", deadline=deadline)
    assert await anext(stream) == TextDelta("The ")
    await asyncio.sleep(0.2)
    with pytest.raises(ModelInterrupted):
        await anext(stream)


async def test_a_deadline_that_has_passed_sends_nothing_twice() -> None:
    here = world(target("one"), target("two"), one=[[0.01, DONE]], two=OK)
    with pytest.raises(Timeout):
        await here.chat(seconds=-1)
    assert "two" not in here.adapter.calls


async def test_a_target_that_keeps_failing_is_left_alone_then_probed_by_one_call() -> None:
    here = world(target("one"), target("two"), one=DOWN, two=OK)
    for _ in range(5):
        await here.chat()
    assert here.adapter.calls == ["one", "two"] * 5
    await here.chat()
    assert here.adapter.calls[10:] == ["two"], "open"
    here.clock.move(9.9)
    await here.chat()
    assert here.adapter.calls[11:] == ["two"], "still open"
    here.clock.move(0.2)
    await here.chat()
    assert here.adapter.calls[12:] == ["one", "two"], "the probe failed"
    await here.chat()
    assert here.adapter.calls[14:] == ["two"], "open again"
    here.clock.move(10.1)
    here.adapter.scripts["one"] = OK
    await here.chat()
    await here.chat()
    assert here.adapter.calls[15:] == ["one", "one"], "closed"


async def test_only_one_call_probes() -> None:
    here = world(target("one"), target("two"), one=DOWN, two=OK)
    for _ in range(5):
        await here.chat()
    here.clock.move(11)
    here.adapter.calls.clear()
    here.adapter.scripts["one"] = [[0.01, *OK[0]]]
    await asyncio.gather(*(here.chat() for _ in range(4)))
    assert sorted(here.adapter.calls) == ["one", "two", "two", "two"]


async def test_when_all_rest_the_answer_comes_at_once() -> None:
    here = world(target("one"), one=DOWN)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await here.chat()
    here.adapter.calls.clear()
    with pytest.raises(Unavailable) as raised:
        await here.chat()
    assert here.adapter.calls == []
    assert raised.value.retry_after is not None
    assert 0 < raised.value.retry_after <= 10


async def test_busy_is_not_broken() -> None:
    here = world(target("one"), target("two"), one=[[busy(None)]], two=OK)
    for _ in range(7):
        await here.chat()
    assert here.adapter.calls == ["one", "two"] * 7


async def test_an_answer_that_breaks_off_counts_against_the_target() -> None:
    here = world(target("one"), target("two"), one=[[TextDelta("The "), unavailable()]], two=OK)
    for _ in range(5):
        with pytest.raises(ModelInterrupted):
            await here.chat()
    assert (await here.chat()).target == "two"


async def test_calls_beyond_the_bound_wait_for_a_place() -> None:
    here = world(target("one"), one=[[0.005, *OK[0]]])
    await asyncio.gather(*(here.chat() for _ in range(6)))
    assert here.adapter.most_under_way == 2


async def test_a_listener_who_leaves_gives_the_place_back() -> None:
    here = world(target("one"), one=[[TextDelta("a"), TextDelta("b"), DONE]])
    for _ in range(5):
        deadline = here.clock.now() + timedelta(seconds=9)
        stream = here.router.chat(permit(REQUEST), REQUEST, plan="basic", region="eu", deadline=deadline)
        async with aclosing(stream):
            assert await anext(stream) == TextDelta("a")
        assert here.adapter.under_way == 0
    await here.chat()


async def test_a_permit_for_another_request_or_a_spent_one_reaches_no_adapter() -> None:
    here = world(target("one"), one=OK)
    other = ChatRequest("chat", (Message("user", "Pay everyone."),), (), 100)
    deadline = here.clock.now() + timedelta(seconds=9)
    with pytest.raises(Defect) as raised:
        here.router.chat(permit(REQUEST), other, plan="basic", region="eu", deadline=deadline)
    assert raised.value.code == "defect.permit_mismatch"
    spent = permit(REQUEST)
    await anext(here.router.chat(spent, REQUEST, plan="basic", region="eu", deadline=deadline))
    with pytest.raises(Defect) as raised:
        here.router.chat(spent, REQUEST, plan="basic", region="eu", deadline=deadline)
    assert raised.value.code == "defect.permit_spent"
    with pytest.raises(Defect):
        await here.router.embed(
            spent, EmbedRequest("embed", ("a",), "query"), plan="basic", region="eu", deadline=deadline
        )
    assert here.adapter.calls == ["one"]


async def test_embedding_takes_the_same_way_and_adds_the_prefix() -> None:
    here = world(target("one"), target("two"), one=DOWN, two=[[]])
    request = EmbedRequest("embed", ("a", "b"), "passage")
    deadline = here.clock.now() + timedelta(seconds=9)
    result = await here.router.embed(permit(request), request, plan="basic", region="eu", deadline=deadline)
    assert result.vectors == (b"passage: a", b"passage: b")
    assert (result.target, result.input_tokens) == ("two", request.estimated_tokens)
    assert here.adapter.calls == ["one", "two"]


async def test_an_embedding_that_works_closes_the_breaker_again() -> None:
    here = world(target("one"), target("two"), one=[[unavailable()], []] * 6, two=[[]])
    request = EmbedRequest("embed", ("a",), "passage")
    for _ in range(12):
        deadline = here.clock.now() + timedelta(seconds=9)
        await here.router.embed(permit(request), request, plan="basic", region="eu", deadline=deadline)
    assert here.adapter.calls.count("one") == 12


async def test_a_model_is_used_for_its_purpose() -> None:
    here = world(target("one"), one=OK)
    request = EmbedRequest("chat", ("a",), "query")
    deadline = here.clock.now() + timedelta(seconds=9)
    with pytest.raises(Defect, match="asked to embed"):
        await here.router.embed(permit(request), request, plan="basic", region="eu", deadline=deadline)


def test_an_adapter_that_is_not_set_up_stops_the_start() -> None:
    catalogue = Catalogue(currency="EUR", models={"chat": ChatModel(purpose="chat", targets=(target("one"),))})
    with pytest.raises(Defect, match="not set up"):
        ModelRouter(catalogue, {}, MovedClock())


failures = st.sampled_from([None, 0.0, 0.5, 3.0, 50.0])


@example(plan=[(False, 0.5)], seconds=1.0)
@given(
    plan=st.lists(st.tuples(st.booleans(), failures), min_size=1, max_size=6),
    seconds=st.floats(min_value=0.1, max_value=30),
)
async def test_waits_never_outlive_the_request(plan: list[tuple[bool, float | None]], seconds: float) -> None:
    scripts: list[Sequence[Step]] = [[busy(wait) if limited else unavailable(wait)] for limited, wait in plan]
    here = world(target("one"), target("two"), one=list(scripts), two=list(scripts))
    with pytest.raises((Unavailable, RateLimited)):
        await here.chat(seconds=seconds)
    assert sum(here.clock.slept) < seconds
    assert len(here.adapter.calls) <= 4
