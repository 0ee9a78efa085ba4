"""The door for OpenAI's clients: what is asked of an agent, what is refused, and how what came of it is told."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import httpx2
import openai
import orjson
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from interaction_samples import REGISTRY, Tale, answered, asked, parked
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core import ContentClass, Json, TenantContext
from core.bodies import ModelFinished, RunEnded
from core.errors import BudgetSpent, Defect, Forbidden, MandateError, RateLimited, Unauthenticated, Unprocessable
from core.ids import ConversationId, RunId
from core.parts import RunState, Usage
from interaction.dependencies import InteractionDependencies
from interaction.openai.chat import Chunks, NewChat, chat_of
from interaction.openai.errors import error_event, install_errors
from interaction.openai.outcome import SEPARATOR, Outcome, outcome_of
from interaction.openai.prompts import QUOTED_CHARACTERS, prompt_of
from interaction.openai.responses import NewResponse, response_of
from interaction.openai.streaming import BROKE_OFF, Writing, pieces_of
from orchestration import Quoted, present
from tools import Registry
from web import EventStreamResponse, event_bytes, problem_response

URL = "https://mandate.example"
TALK = [
    Quoted(role="system", text="Be brief."),
    Quoted(role="user", text="Before."),
    Quoted(role="assistant", text="Pay C-1 back."),
    Quoted(role="user", text="Now."),
    Quoted(role="tool", text="Paid."),
]


def chat(**fields: object) -> NewChat:
    return NewChat.model_validate({"model": "helper", "messages": [{"role": "user", "content": "Hello"}], **fields})


def response(**fields: object) -> NewResponse:
    return NewResponse.model_validate({"model": "helper", "input": "Hello", **fields})


def test_the_last_user_message_is_what_is_asked_and_all_else_is_quoted_in_order() -> None:
    prompt = prompt_of("helper", TALK, None)
    assert prompt.message == "Now."
    assert [turn.text for turn in prompt.quoted] == ["Be brief.", "Before.", "Pay C-1 back.", "Paid."]


def test_in_a_stored_conversation_copies_of_what_was_said_are_left_aside() -> None:
    prompt = prompt_of("helper", TALK, ConversationId("cnv_x"))
    assert [turn.role for turn in prompt.quoted] == ["system"]


def test_a_conversation_that_grows_too_long_loses_its_beginning() -> None:
    turns = [Quoted(role="assistant", text=str(n) * (QUOTED_CHARACTERS // 2)) for n in range(4)]
    prompt = prompt_of("helper", [*turns, Quoted(role="user", text="Now.")], None)
    assert [turn.text[0] for turn in prompt.quoted] == ["2", "3"]


@pytest.mark.parametrize("text", [None, "", " \n", "x" * 8001])
def test_who_asks_nothing_or_too_much_is_told_so(text: str | None) -> None:
    turns = [] if text is None else [Quoted(role="user", text=text)]
    with pytest.raises(Unprocessable) as refused:
        prompt_of("helper", [Quoted(role="assistant", text="Hello"), *turns], None)
    assert refused.value.code == "openai.message"


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function"}]},
        {"tool_choice": "auto"},
        {"functions": [{"name": "f"}]},
        {"function_call": "auto"},
        {"n": 2},
        {"n": True},
        {"logprobs": True},
        {"top_logprobs": 1},
        {"response_format": {"type": "json_object"}},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "x"}},
        {"stop": "x"},
        {"logit_bias": {"1": 1}},
        {"unheard_of": 1},
        {"messages": None},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"messages": [{"role": "user", "content": "a\x00b"}]},
        {"messages": [{"role": "nobody", "content": "x"}]},
    ],
    ids="-".join,
)
def test_what_an_agent_cannot_do_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        chat(**fields)
    assert all(error["loc"][0] == next(iter(fields)) for error in refused.value.errors())


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "web_search"}]},
        {"background": True},
        {"store": False},
        {"prompt": {"id": "x"}},
        {"text": {"format": {"type": "json_schema"}}},
        {"input": [{"type": "function_call_output", "role": "user", "content": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
    ],
    ids="-".join,
)
def test_what_an_agent_cannot_do_is_refused_in_responses_too(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        response(**fields)


def test_what_changes_nothing_is_taken() -> None:
    asked_chat = chat(
        temperature=0.1, max_tokens=5, n=1, tools=[], tool_choice="none", response_format={"type": "text"}, user="x"
    )
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]
    assert chat(messages=[{"role": "user", "content": parts, "name": "x"}]).turns()[0].text == "Hello\nthere"
    assert asked_chat.turns() == response(temperature=0, store=True).turns() == [Quoted(role="user", text="Hello")]
    with_instructions = response(instructions="Be brief.", input=[{"role": "user", "content": parts[:1]}]).turns()
    assert [turn.role for turn in with_instructions] == ["system", "user"]


class Strangers:
    """A store that knows nobody's name."""

    def tenant(self, context: TenantContext) -> "Strangers":
        return self

    @property
    def records(self) -> "Strangers":
        return self

    async def get(self, kind: object, key: str) -> None:
        return None


@dataclass
class Edge:
    """As much of the edge as telling a run needs."""

    registry: Registry = REGISTRY
    public_url: str = URL
    store: Strangers = field(default_factory=Strangers)


async def outcome(tale: Tale) -> Outcome:
    return await outcome_of(cast("InteractionDependencies", Edge()), tale.requester, tale.events, tale.fetch)


def step(tale: Tale, text: str, number: int = 1) -> Tale:
    """The model has written something."""
    message = tale.keep(orjson.dumps({"text": text, "calls": []}), ContentClass.ANSWER)
    used = Usage(input_tokens=10, output_tokens=5, model_calls=1)
    return tale.tell(ModelFinished(step=number, outcome="answered", logical="chat", message=message, usage=used))


async def test_an_answer_has_the_text_of_all_its_steps_and_cites_where_each_marker_stands() -> None:
    tale = step(step(asked(), "I look it up."), "⛺ Within 30 days [1]. As [1] says, not [2].", 2)
    told = await outcome(answered(tale))
    completion = chat_of(told)
    text = completion.choices[0].message.content
    assert text == "I look it up.\n\n⛺ Within 30 days [1]. As [1] says, not [2]."
    cited = [annotation.url_citation for annotation in completion.choices[0].message.annotations]
    assert [text[citation.start_index : citation.end_index] for citation in cited] == ["[1]", "[1]"]
    assert {citation.title for citation in cited} == {"Refunds"}
    assert all(citation.url.startswith(f"{URL}/knowledge/documents/doc_") for citation in cited)
    assert response_of(told, None).output[0].content[0].text == text
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (20, 10)


async def test_a_parked_run_says_what_waits_why_until_when_and_where() -> None:
    told = await outcome(parked(asked()))
    words = chat_of(told).choices[0].message.content
    for said in ("colleague", "Pays 12.50", "Money is paid back only if a person agrees.", "26 November 2026", URL):
        assert said in words, said
    assert (chat_of(told).choices[0].finish_reason, response_of(told, None).status) == ("stop", "completed")


@pytest.mark.parametrize(
    ("state", "finish", "status"),
    [
        (RunState.REFUSED, "content_filter", "incomplete"),
        (RunState.FAILED, "stop", "failed"),
        (RunState.CANCELLED, "stop", "cancelled"),
        (RunState.LIMIT_REACHED, "length", "incomplete"),
        (RunState.OUTCOME_UNKNOWN, "stop", "failed"),
    ],
)
async def test_a_run_without_an_answer_says_why_and_what_to_do(state: RunState, finish: str, status: str) -> None:
    told = await outcome(step(asked(), "I begin.").tell(RunEnded(state=state, code="limit.steps")))
    choice = chat_of(told).choices[0]
    assert choice.message.content.startswith(f"I begin.{SEPARATOR}")
    assert f"{URL}/runs/{told.view.run}" in choice.message.content
    assert choice.finish_reason == finish
    answer = response_of(told, None)
    assert (answer.status, answer.output[0].status) == (status, "incomplete")
    assert bool(answer.error) == (status == "failed")
    assert bool(answer.incomplete_details) == (status == "incomplete")


async def stream_of(tale: Tale, deltas: dict[int, list[str]]) -> AsyncIterator[bytes]:
    """Yield a run's events as its stream, and before those with these numbers the text that was written meanwhile."""
    for stored in tale.events:
        for text in deltas.get(stored.event.seq, []):
            yield event_bytes(event="delta", data=orjson.dumps({"text": text}))
        told: Json = await present(stored, tale.fetch)
        yield event_bytes(event=stored.event.body.type, data=orjson.dumps(told), id=str(stored.event.seq))


async def sent(tale: Tale, deltas: dict[int, list[str]]) -> tuple[list[str], Writing]:
    writing = Writing()
    pieces = [piece async for piece in pieces_of(stream_of(tale, deltas), writing, tale.fetch)]
    pieces.append(writing.finish(await outcome(tale)))
    return pieces, writing


def cut(text: str, places: Sequence[int]) -> list[str]:
    """Cut a text at these places into what a model may have written at once."""
    ends = sorted({min(place, len(text)) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


Texts = st.lists(st.text(max_size=20), min_size=1, max_size=4)
Places = st.lists(st.integers(0, 20), max_size=4)


@given(texts=Texts, places=Places, seen=st.integers(0, 20), end=st.sampled_from(["answer", "parked", "failed"]))
def test_what_was_streamed_adds_up_to_what_is_told_later(
    texts: list[str], places: list[int], seen: int, end: str
) -> None:
    """However the text was cut, in one step or several, and however little of it was seen while it was written."""

    async def check() -> None:
        tale, deltas = asked(), dict[int, list[str]]()
        for number, text in enumerate(texts, start=1):
            step(tale, text, number)
            deltas[len(tale.events)] = cut(text, places)[:seen]
        match end:
            case "answer":
                answered(tale, texts[-1])
            case "parked":
                parked(tale)
            case _:
                tale.tell(RunEnded(state=RunState.FAILED, code="defect"))
        pieces, writing = await sent(tale, deltas)
        assert "".join(pieces) == writing.text == (await outcome(tale)).text

    asyncio.run(check())


async def test_a_step_that_breaks_off_is_said_to_have_and_the_next_one_is_told() -> None:
    tale = asked()
    broken = ModelFinished(step=1, outcome="interrupted", logical="chat", error="model.interrupted")
    tale.tell(broken)
    deltas = {len(tale.events): ["Half an ans"]}
    answered(step(tale, "All of it."), "All of it.")
    pieces, writing = await sent(tale, deltas)
    assert "".join(pieces) == writing.text == f"Half an ans{BROKE_OFF}{SEPARATOR}All of it."


ERRORS: list[tuple[MandateError, type[openai.APIStatusError], str]] = [
    (Unauthenticated("Sign in."), openai.AuthenticationError, "authentication_error"),
    (BudgetSpent("Nothing left."), openai.APIStatusError, "insufficient_quota"),
    (Forbidden("No."), openai.PermissionDeniedError, "permission_error"),
    (RateLimited("Too fast.", retry_after=7), openai.RateLimitError, "rate_limit_error"),
    (Unprocessable("What?"), openai.UnprocessableEntityError, "invalid_request_error"),
    (Defect("Ours."), openai.InternalServerError, "server_error"),
]


def client_of(*routes: Route, retries: int = 0) -> openai.AsyncOpenAI:
    """Return OpenAI's own client, which talks to these routes behind the translation of errors."""
    app = FastAPI(routes=[*routes])
    install_errors(app)
    transport = httpx2.ASGITransport(app=app)
    http = httpx2.AsyncClient(transport=transport)
    return openai.AsyncOpenAI(base_url=f"{URL}/openai/v1", api_key="x", http_client=http, max_retries=retries)


def route(answer: Callable[[Request], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        return answer(request)

    return Route("/openai/v1/chat/completions", endpoint, methods=["POST"])


@pytest.mark.parametrize(("error", "kind", "type_"), ERRORS, ids=lambda value: type(value).__name__)
async def test_each_error_reaches_a_client_as_one_that_it_knows(
    error: MandateError, kind: type[openai.APIStatusError], type_: str
) -> None:
    async with client_of(route(lambda request: problem_response(error, "c"))) as model:
        with pytest.raises(kind) as raised:
            await model.chat.completions.create(model="helper", messages=[{"role": "user", "content": "x"}])
    told = raised.value
    assert (told.code, told.type, told.param) == (error.code, type_, None)
    assert error.message in str(told)
    assert told.response.headers.get("retry-after") == ("7" if isinstance(error, RateLimited) else None)


@pytest.mark.parametrize(("key", "times"), [({}, 1), ({"Idempotency-Key": "once"}, 2)])
async def test_a_client_sends_a_failed_request_again_only_if_it_can_be_recognised(
    key: dict[str, str], times: int
) -> None:
    seen: list[str] = []

    def fail(request: Request) -> Response:
        seen.append(request.method)
        return problem_response(Defect("Ours.", retry_after=0.001), "c")

    async with client_of(route(fail), retries=1) as model:
        with pytest.raises(openai.InternalServerError):
            await model.chat.completions.create(
                model="helper", messages=[{"role": "user", "content": "x"}], extra_headers=key
            )
    assert len(seen) == times


async def told_slowly(*pieces: bytes) -> AsyncGenerator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0.05)
        yield piece


async def test_silence_that_is_filled_does_not_disturb_a_client() -> None:
    chunks, told = Chunks(RunId("run_1"), 0, "helper"), await outcome(answered(step(asked(), "Hi [1].")))
    pieces = (chunks.begin(), chunks.piece("Hi"), chunks.piece(" [1]."), chunks.end(told, "Hi [1].", usage=True))
    stream = route(lambda request: EventStreamResponse(told_slowly(*pieces), heartbeat=0.01))
    async with client_of(stream) as model:
        got = await model.chat.completions.create(
            model="helper", messages=[{"role": "user", "content": "x"}], stream=True
        )
        seen = [chunk async for chunk in got]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in seen if chunk.choices) == "Hi [1]."
    assert seen[-1].usage is not None


async def test_a_stream_that_breaks_raises_in_the_client() -> None:
    pieces = (Chunks(RunId("run_1"), 0, "helper").begin(), error_event(Defect("Ours.")))
    async with client_of(route(lambda request: EventStreamResponse(told_slowly(*pieces)))) as model:
        got = await model.chat.completions.create(
            model="helper", messages=[{"role": "user", "content": "x"}], stream=True
        )
        with pytest.raises(openai.APIError, match="Ours"):
            [chunk async for chunk in got]
