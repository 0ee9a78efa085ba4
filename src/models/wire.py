"""The chat format that both wire APIs share: what is sent."""

from typing import TypeAlias

from models.messages import ChatRequest, Message, ToolOffer

Wire: TypeAlias = "dict[str, Wire] | list[Wire] | str | int | float | bool | None"
"""JSON as an endpoint sent it: nothing in it is trusted."""


def chat_body(request: ChatRequest, *, model: str, output_limit: str) -> dict[str, object]:
    """Return the body of a streamed chat call; `output_limit` is what the endpoint calls the bound on output."""
    body: dict[str, object] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        output_limit: request.max_output_tokens,
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    return body


def _message(message: Message) -> dict[str, object]:
    wire: dict[str, object] = {"role": message.role, "content": message.text}
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return wire


def _tool(tool: ToolOffer) -> dict[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
