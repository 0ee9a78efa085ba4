"""Tool calls as people write them into data, such as `[[issue_refund order_id=A-1 amount_cents=500]]`.

Values in braces are filled in: `{customer}` from what tools returned last, as a model would copy it.
"""

import re
import shlex
from collections.abc import Iterator, Sequence

import orjson

from models import ChatRequest, Completion, Message, ToolCall

_CALL = re.compile(r"\[\[(\w+)((?:(?!\]\]).)*)\]\]", re.DOTALL)
_FIELD = re.compile(r"\{(\w+)\}")


def calls_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the raw arguments of each call that `text` orders."""
    yield from _CALL.findall(text)


def obey(request: ChatRequest) -> Completion:
    """Do what any text orders, whoever wrote it, in the order in which the texts come."""
    orders = [order for message in request.messages for order in calls_in(message.text)]
    done = sum(len(message.tool_calls) for message in request.messages)
    return call(request, *orders[done]) if done < len(orders) else said("Done.")


def follow(script: Sequence[str], request: ChatRequest) -> Completion:
    """Make the calls of a script, one after the other, then answer."""
    done = sum(len(message.tool_calls) for message in request.messages)
    orders = [order for line in script for order in calls_in(line)]
    return call(request, *orders[done]) if done < len(orders) else said("It is done, as far as it could be.")


def said(text: str) -> Completion:
    return Completion(text, (), (1, 1), "stop")


def call(request: ChatRequest, name: str, raw: str) -> Completion:
    arguments = dict(_argument(word, request.messages) for word in shlex.split(raw))
    proposed = ToolCall(f"call_{len(request.messages)}", name, orjson.dumps(arguments).decode())
    return Completion("", (proposed,), (1, 1), "tool_calls")


def _argument(word: str, messages: Sequence[Message]) -> tuple[str, str | int]:
    name, _, value = word.partition("=")
    filled = _FIELD.sub(lambda match: _returned(match[1], messages), value)
    return name, int(filled) if name.endswith("_cents") else filled


def _returned(field: str, messages: Sequence[Message]) -> str:
    """Return a field of the last tool result that has it."""
    for message in reversed(messages):
        if message.role == "tool" and field in (told := orjson.loads(message.text)):
            return str(told[field])
    return f"no-{field}"
