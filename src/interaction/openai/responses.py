"""The form of `/responses`: what is asked, and what is answered."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StringConstraints,
)
from pydantic_core import CoreSchema

from core import ConversationId, RunId
from core.parts import RunState, Usage
from interaction.answers import Given, Told
from interaction.openai.chat import ModelName, StreamOptions
from interaction.openai.fields import (
    TEXT_PATTERN,
    Ignored,
    Nothing,
    NoToolChoice,
    NoTools,
    NoTopLogprobs,
    Only,
    PlainText,
    Text,
)
from interaction.openai.outcome import Outcome, UrlCitation
from interaction.parameters import ConversationField
from orchestration import Quoted

Status = Literal["completed", "failed", "in_progress", "cancelled", "incomplete"]
ItemStatus = Literal["completed", "in_progress", "incomplete"]
Reason = Literal["max_output_tokens", "content_filter"]

_STATUSES: dict[RunState, Status] = {
    RunState.RUNNING: "in_progress",
    RunState.PARKED: "completed",
    RunState.COMPLETED: "completed",
    RunState.REFUSED: "incomplete",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.LIMIT_REACHED: "incomplete",
    RunState.OUTCOME_UNKNOWN: "failed",
}
_REASONS: dict[RunState, Reason] = {RunState.LIMIT_REACHED: "max_output_tokens", RunState.REFUSED: "content_filter"}


class InputItem(BaseModel):
    """One message. Beside its role and its text nothing in it counts."""

    model_config = ConfigDict(frozen=True, strict=True)

    type: Annotated[JsonValue, Only(("message",), "An agent takes messages alone: it has its own tools.")] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Text

    def quoted(self) -> Quoted:
        return Quoted(role=self.role, text=self.content)


class _OrText:
    """Annotation: a text is as good as one message of the user's."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, object]:
        return {"anyOf": [{"type": "string", "pattern": TEXT_PATTERN}, handler(schema)]}


def _items(given: object) -> object:
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


class TextOptions(Given):
    format: PlainText = None
    verbosity: Ignored = None


class ConversationObject(Given):
    id: ConversationField


class NewResponse(Given):
    """What you ask. Only the last `user` message is your own words: the agent is shown all else as a quotation.

    Attributes:
        model: an agent's name.
        instructions: a quotation too: the agent has instructions of its own.
        previous_response_id: goes on in the stored conversation of that response.
        conversation: the same, by the conversation's id.
        metadata: not kept.
    """

    model: ModelName = Field(examples=["support"])
    input: Annotated[list[InputItem], Field(min_length=1), BeforeValidator(_items), _OrText()] = Field(
        examples=["How long does a customer have to send a drill back?"]
    )
    instructions: Annotated[str, StringConstraints(pattern=TEXT_PATTERN)] | None = None
    previous_response_id: Annotated[str, StringConstraints(max_length=64)] | None = None
    conversation: ConversationField | ConversationObject | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: dict[str, str] | None = None

    tools: NoTools = None
    tool_choice: NoToolChoice = None
    text: TextOptions | None = None
    top_logprobs: NoTopLogprobs = None
    prompt: Nothing = None
    background: Annotated[JsonValue, Only((None, False), "Ask with `stream`, or read the response later.")] = None
    store: Annotated[JsonValue, Only((None, True), "What an agent does is always recorded. Leave this out.")] = None

    temperature: Ignored = None
    top_p: Ignored = None
    max_output_tokens: Ignored = None
    max_tool_calls: Ignored = None
    reasoning: Ignored = None
    include: Ignored = None
    truncation: Ignored = None
    parallel_tool_calls: Ignored = None
    user: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_retention: Ignored = None
    service_tier: Ignored = None

    def turns(self) -> list[Quoted]:
        instructions = [Quoted(role="system", text=self.instructions)] if self.instructions else []
        return [*instructions, *(item.quoted() for item in self.input)]

    @property
    def named(self) -> ConversationId | None:
        """The conversation that is named outright."""
        given = self.conversation
        return given.id if isinstance(given, ConversationObject) else given


class Annotation(UrlCitation):
    type: Literal["url_citation"] = "url_citation"


class OutputText(Told):
    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Annotation]
    logprobs: tuple[JsonValue, ...] = ()


class OutputMessage(Told):
    type: Literal["message"] = "message"
    id: str
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputText]


class InputDetails(Told):
    cached_tokens: Literal[0] = 0
    cache_write_tokens: Literal[0] = 0


class OutputDetails(Told):
    reasoning_tokens: Literal[0] = 0


class ResponseUsage(Told):
    """Of the whole run: every model call and the search before it."""

    input_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int
    output_tokens_details: OutputDetails = OutputDetails()
    total_tokens: int


class ResponseError(Told):
    code: Literal["server_error"] = "server_error"
    message: str


class IncompleteDetails(Told):
    reason: Reason


class ConversationTold(Told):
    id: ConversationId


class ResponseTold(Told):
    """An answer. `id` carries the run's id behind its prefix; `previous_response_id` is the turn before it."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: None = None
    model: str
    output: list[OutputMessage]
    parallel_tool_calls: Literal[False] = False
    tools: tuple[JsonValue, ...] = ()
    tool_choice: Literal["none"] = "none"
    previous_response_id: str | None
    conversation: ConversationTold | None
    store: Literal[True] = True
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    usage: ResponseUsage | None = None


def response_id(run: RunId) -> str:
    return f"resp_{run.removeprefix('run_')}"


def message_of(run: RunId, status: ItemStatus, *parts: OutputText) -> OutputMessage:
    return OutputMessage(id=f"msg_{run.removeprefix('run_')}", status=status, content=[*parts])


def begun_response(
    run: RunId, *, created: int, model: str, conversation: ConversationId | None, previous: RunId | None
) -> ResponseTold:
    """Return the answer as it is before anything is known of it."""
    return ResponseTold(
        id=response_id(run),
        created_at=created,
        status="in_progress",
        model=model,
        output=[],
        previous_response_id=response_id(previous) if previous else None,
        conversation=ConversationTold(id=conversation) if conversation else None,
    )


def response_of(outcome: Outcome, previous: RunId | None, text: str | None = None) -> ResponseTold:
    """Return the answer; `text` is what a client was sent, where that is not what the log has."""
    view = outcome.view
    text = outcome.text if text is None else text
    status = _STATUSES[view.state]
    reason = _REASONS.get(view.state)
    item: ItemStatus = status if status in ("completed", "in_progress") else "incomplete"
    return ResponseTold(
        id=response_id(view.run),
        created_at=outcome.created,
        status=status,
        error=ResponseError(message=outcome.closing) if status == "failed" else None,
        incomplete_details=IncompleteDetails(reason=reason) if reason else None,
        model=view.agent,
        output=[message_of(view.run, item, output_text(outcome, text))],
        previous_response_id=response_id(previous) if previous else None,
        conversation=ConversationTold(id=view.conversation) if view.conversation else None,
        usage=_usage(view.usage),
    )


def output_text(outcome: Outcome, text: str) -> OutputText:
    return OutputText(text=text, annotations=[Annotation(**dict(found)) for found in outcome.citations(text)])


def _usage(usage: Usage) -> ResponseUsage:
    total = usage.input_tokens + usage.output_tokens
    return ResponseUsage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, total_tokens=total)
