"""The form of `/chat/completions`: what is asked, and an answer whole or in chunks."""

from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core import RunId
from core.parts import RunState, Usage
from interaction.answers import Given, Told
from interaction.openai.fields import (
    Ignored,
    NoLogprobs,
    Nothing,
    NoToolChoice,
    NoTools,
    NoTopLogprobs,
    OneChoice,
    PlainText,
    Text,
    TextAlone,
)
from interaction.openai.outcome import Outcome, UrlCitation
from orchestration import Quoted
from web import event_bytes

DONE = event_bytes(data=b"[DONE]")

Finish = Literal["stop", "length", "content_filter"]

_FINISHES: dict[RunState, Finish] = {RunState.LIMIT_REACHED: "length", RunState.REFUSED: "content_filter"}

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class ChatTurn(BaseModel):
    """One message. Beside its role and its text nothing in it counts."""

    model_config = ConfigDict(frozen=True, strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text = ""

    def quoted(self) -> Quoted:
        return Quoted(role="tool" if self.role == "function" else self.role, text=self.content)


class StreamOptions(Given):
    include_usage: bool | None = None
    include_obfuscation: Ignored = None


class NewChat(Given):
    """What you ask. Only the last `user` message is your own words: the agent is shown all else as a quotation.

    Attributes:
        model: an agent's name.
        metadata: `conversation` in it names one of yours to go on with; the rest is not kept.
    """

    model: ModelName = Field(examples=["support"])
    messages: Annotated[list[ChatTurn], Field(min_length=1)] = Field(
        examples=[[{"role": "user", "content": "How long does a customer have to send a drill back?"}]]
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: dict[str, str] | None = None

    tools: NoTools = None
    tool_choice: NoToolChoice = None
    functions: NoTools = None
    function_call: NoToolChoice = None
    n: OneChoice = None
    logprobs: NoLogprobs = None
    top_logprobs: NoTopLogprobs = None
    response_format: PlainText = None
    modalities: TextAlone = None
    audio: Nothing = None
    prediction: Nothing = None
    stop: Nothing = None
    logit_bias: Nothing = None
    web_search_options: Nothing = None

    temperature: Ignored = None
    top_p: Ignored = None
    max_tokens: Ignored = None
    max_completion_tokens: Ignored = None
    frequency_penalty: Ignored = None
    presence_penalty: Ignored = None
    seed: Ignored = None
    reasoning_effort: Ignored = None
    verbosity: Ignored = None
    parallel_tool_calls: Ignored = None
    store: Ignored = None
    user: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_retention: Ignored = None
    service_tier: Ignored = None

    def turns(self) -> list[Quoted]:
        return [message.quoted() for message in self.messages]

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatAnnotation(Told):
    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class ChatMessage(Told):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[ChatAnnotation]


class ChatChoice(Told):
    index: Literal[0] = 0
    message: ChatMessage
    logprobs: None = None
    finish_reason: Finish


class ChatUsage(Told):
    """Of the whole run: every model call and the search before it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Chat(Told):
    """An answer. `id` carries the run's id behind its prefix."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage


class ChatDelta(Told):
    role: Literal["assistant"] | None = None
    content: str | None = None
    annotations: list[ChatAnnotation] | None = None


class ChunkChoice(Told):
    index: Literal[0] = 0
    delta: ChatDelta
    finish_reason: Finish | None = None


class Chunk(Told):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | None = None


def chat_id(run: RunId) -> str:
    return f"chatcmpl-{run.removeprefix('run_')}"


def chat_of(outcome: Outcome) -> Chat:
    view = outcome.view
    message = ChatMessage(content=outcome.text, annotations=_annotations(outcome, outcome.text))
    return Chat(
        id=chat_id(view.run),
        created=outcome.created,
        model=view.agent,
        choices=[ChatChoice(message=message, finish_reason=_finish(outcome))],
        usage=_usage(view.usage),
    )


class Chunks:
    """The chunks of one answer, as the bytes of an event stream."""

    def __init__(self, run: RunId, created: int, model: str) -> None:
        self._empty = Chunk(id=chat_id(run), created=created, model=model, choices=[])

    def begin(self) -> bytes:
        return self._chunk(ChatDelta(role="assistant", content=""))

    def piece(self, text: str) -> bytes:
        return self._chunk(ChatDelta(content=text))

    def end(self, outcome: Outcome, text: str, *, usage: bool) -> bytes:
        """Return what follows the text: citations, why it ends, and what it used."""
        annotations = _annotations(outcome, text)
        cited = self._chunk(ChatDelta(annotations=annotations)) if annotations else b""
        last = self._chunk(ChatDelta(), _finish(outcome))
        used = _event(self._empty.model_copy(update={"usage": _usage(outcome.view.usage)})) if usage else b""
        return cited + last + used + DONE

    def _chunk(self, delta: ChatDelta, finish: Finish | None = None) -> bytes:
        return _event(self._empty.model_copy(update={"choices": [ChunkChoice(delta=delta, finish_reason=finish)]}))


def _event(chunk: Chunk) -> bytes:
    told = chunk.model_dump(mode="json", exclude_none=True)
    for choice in told["choices"]:
        choice.setdefault("finish_reason", None)
    return event_bytes(data=orjson.dumps(told))


def _annotations(outcome: Outcome, text: str) -> list[ChatAnnotation]:
    return [ChatAnnotation(url_citation=citation) for citation in outcome.citations(text)]


def _finish(outcome: Outcome) -> Finish:
    return _FINISHES.get(outcome.view.state, "stop")


def _usage(usage: Usage) -> ChatUsage:
    total = usage.input_tokens + usage.output_tokens
    return ChatUsage(prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens, total_tokens=total)
