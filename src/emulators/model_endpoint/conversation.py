"""A chat request in one internal form, and the reading of it that the stand-in answers: its current turn."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import orjson

Role = Literal["system", "user", "assistant", "tool"]
JsonObject: TypeAlias = Mapping[str, object]

_PASSAGE = re.compile(r"^\[(\d{1,3})\][ \t]+(?=\S)", re.MULTILINE)
_TITLE = re.compile(r":(?:\s+|$)", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as it stands in the conversation; `arguments` is the JSON text of the wire."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `answers` is the id of the tool call that a tool's message belongs to."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a client asks the model to continue.

    Attributes:
        must_call: the client insists on a tool call (`tool_choice` is `required` or names a function).
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    must_call: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A numbered passage that the client put before the model."""

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The conversation as the stand-in reads it.

    Attributes:
        request: what the user asks now, without passages.
        results: the calls of this turn that have a result, with its text, in order.
        earlier: user messages of turns before, the latest first.
        known: JSON results of tools in the whole conversation, the latest first.
        followed_up: the assistant's last words before this turn, empty at the start.
    """

    request: str
    passages: tuple[Passage, ...]
    results: tuple[tuple[ToolCall, str], ...]
    earlier: tuple[str, ...]
    known: tuple[object, ...]
    followed_up: str


def as_object(value: object) -> JsonObject | None:
    """Return `value` if it is a JSON object."""
    return cast("JsonObject", value) if isinstance(value, dict) else None


def as_list(value: object) -> Sequence[object]:
    """Return `value` if it is a JSON array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else ()


def as_text(value: object) -> str:
    """Return `value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def parse_json(text: str | bytes) -> object:
    """Return the JSON value that `text` holds, or None where it holds none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def read_turn(messages: Sequence[Message]) -> Turn:
    """Find the current turn: all that follows the assistant's last finished answer, and the system's messages."""
    start = max((i + 1 for i, m in enumerate(messages) if m.role == "assistant" and not m.calls), default=0)
    turn = messages[start:]
    read = [m for i, m in enumerate(messages) if i >= start or m.role == "system"]
    apart = any(m.role == "user" and not _PASSAGE.search(m.text) for m in turn)
    split = [(m, *split_passages(m.text, to_the_end=apart)) for m in read]
    asked = [(rest, passages) for m, rest, passages in split if m.role == "user" and rest]
    plain = [rest for rest, passages in asked if not passages]
    before = [m for m in reversed(messages[:start]) if m.role == "user"]
    return Turn(
        request=(plain or [rest for rest, _ in asked] or [""])[-1],
        passages=tuple(passage for _, _, passages in split for passage in passages),
        results=_results(turn),
        earlier=tuple(split_passages(m.text, to_the_end=True)[0] for m in before),
        known=tuple(parse_json(m.text) for m in reversed(messages) if m.role == "tool"),
        followed_up=messages[start - 1].text if start else "",
    )


def split_passages(text: str, *, to_the_end: bool) -> tuple[str, list[Passage]]:
    """Split `text` into what is not a passage and the passages `[n] title: text` in it.

    A passage ends where the next begins; the last one at the end of the text, or at its first blank line where a
    question may follow.
    """
    marks = list(_PASSAGE.finditer(text))
    if not marks:
        return text.strip(), []
    passages: list[Passage] = []
    rest = [text[: marks[0].start()]]
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        block = text[mark.end() : following.start() if following else len(text)]
        if following is None and not to_the_end:
            block, *after = _BLANK_LINE.split(block, maxsplit=1)
            rest += after
        title, text_of = _split_title(block)
        passages.append(Passage(number=int(mark[1]), title=title, text=text_of))
    return "\n".join(part.strip() for part in rest).strip(), passages


def _split_title(block: str) -> tuple[str, str]:
    first_line = block.split("\n", 1)[0]
    end = _TITLE.search(first_line)
    if not end:
        return "", block.strip()
    return block[: end.start()].strip(), block[end.end() :].strip()


def _results(turn: Sequence[Message]) -> tuple[tuple[ToolCall, str], ...]:
    calls = {call.id: call for message in turn for call in message.calls}
    return tuple((calls[m.answers], m.text) for m in turn if m.role == "tool" and m.answers in calls)
