"""The body of a chat request, as far as both formats agree on it, and its way into the internal form."""

from typing import Annotated, Literal

from pydantic import Field

from core.errors import BadRequest
from emulators.model_endpoint.conversation import Conversation, Message, Tool, ToolCall
from emulators.model_endpoint.wire import Body, Part


class TextPart(Part):
    type: Literal["text"]
    text: str


Text = str | Annotated[list[TextPart], Field(min_length=1)]


class FunctionOfCall(Part):
    name: str
    arguments: str


class CallPart(Part):
    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"] = "function"
    function: FunctionOfCall


class SystemPart(Part):
    role: Literal["system", "developer"]
    content: Text


class UserPart(Part):
    role: Literal["user"]
    content: Text


class AssistantPart(Part):
    role: Literal["assistant"]
    content: Text | None = None
    tool_calls: list[CallPart] | None = None


class ToolPart(Part):
    role: Literal["tool"]
    content: Text
    tool_call_id: str


MessagePart = Annotated[SystemPart | UserPart | AssistantPart | ToolPart, Field(discriminator="role")]


class FunctionPart(Part):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[str, object] = Field(default_factory=dict[str, object])


class ToolDefinition(Part):
    type: Literal["function"]
    function: FunctionPart


class NamedFunction(Part):
    name: str


class NamedChoice(Part):
    type: Literal["function"]
    function: NamedFunction


class PlainText(Body):
    type: Literal["text"]


class ChatBody(Body):
    """The members that both formats know. Those of sampling are checked and change nothing: the stand-in is exact."""

    messages: Annotated[list[MessagePart], Field(min_length=1, max_length=2048)]
    stream: bool | None = None
    tools: Annotated[list[ToolDefinition], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedChoice | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    response_format: PlainText | Literal["text"] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: int | None = None


def conversation_of(body: ChatBody) -> Conversation:
    """Bring a body into the internal form, with the rules that real endpoints hold its messages to.

    Raises:
        BadRequest: a tool call lacks its result or a result its call; `tool_choice` names a tool that is not offered.
    """
    messages = tuple(_message(part) for part in body.messages)
    _check_calls(messages)
    offered = [tool.function for tool in body.tools or []]
    choice = body.tool_choice
    if isinstance(choice, NamedChoice):
        offered = [function for function in offered if function.name == choice.function.name]
    if choice not in (None, "none", "auto") and not offered:
        raise BadRequest("tool_choice: it asks for a tool that `tools` does not offer.")
    tools = tuple(Tool(f.name, f.description, f.parameters) for f in offered) if choice != "none" else ()
    return Conversation(messages, tools, must_call=choice not in (None, "none", "auto"))


def _message(part: SystemPart | UserPart | AssistantPart | ToolPart) -> Message:
    match part:
        case SystemPart():
            return Message("system", _text(part.content))
        case AssistantPart():
            calls = tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in part.tool_calls or [])
            return Message("assistant", _text(part.content or ""), calls)
        case ToolPart():
            return Message("tool", _text(part.content), answers=part.tool_call_id)
        case UserPart():
            return Message("user", _text(part.content))


def _text(content: str | list[TextPart]) -> str:
    return content if isinstance(content, str) else "\n\n".join(part.text for part in content)


def _check_calls(messages: tuple[Message, ...]) -> None:
    waiting: set[str] = set()
    for i, message in enumerate(messages):
        if message.role == "tool":
            if message.answers not in waiting:
                raise BadRequest(f"messages.{i}: a tool's message must answer a tool call of the message before it.")
            waiting.remove(message.answers)
        elif waiting:
            raise BadRequest(f"messages.{i}: each tool call must be followed by a tool's message that answers it.")
        waiting |= {call.id for call in message.calls}
    if waiting:
        raise BadRequest("messages: the last tool calls have no message that answers them.")


def stops(body: ChatBody) -> tuple[str, ...]:
    """Return the sequences at which the client wants the text to end."""
    return (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
