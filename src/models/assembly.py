"""Puts a streamed answer together from its chunks, in the chat format that both wire APIs share.

Written by hand and not with pydantic: it runs for every chunk of every answer. Unknown fields are ignored; a known
field of the wrong type is an answer that cannot be read.
"""

from dataclasses import dataclass

from models.adapters import Completion
from models.faults import malformed
from models.messages import ToolCall
from models.results import Finish
from models.wire import Wire

MAX_ANSWER_BYTES = 4_000_000
MAX_TOOL_CALLS = 128
_MAX_COUNT = 100_000_000
_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: list[str]


class Assembly:
    """One answer in the making.

    Attributes:
        begun: whether the model has answered anything yet, be it text or a tool call.
    """

    def __init__(self) -> None:
        self.begun = False
        self._text: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._finished: list[_Call] = []
        self._usage: tuple[int, int] | None = None
        self._finish: Finish | None = None
        self._size = 0

    def add(self, chunk: Wire) -> str:
        """Take in one chunk and return the text that it brought, often none.

        Raises:
            Unavailable: the chunk is an error, is not in the format, or makes the answer too large.
        """
        if not isinstance(chunk, dict) or chunk.get("error"):
            raise malformed()
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = _usage(usage)
        text = ""
        for choice in _list(chunk.get("choices")):
            text += self._add_choice(choice)
        if text:
            self._text.append(text)
        return text

    def completion(self) -> Completion:
        """Return the finished answer.

        Raises:
            Unavailable: the answer broke off before it was finished.
        """
        if self._finish is None:
            raise malformed()
        calls = tuple(
            ToolCall(call.id or f"call_{number}", call.name, "".join(call.arguments))
            for number, call in enumerate((*self._finished, *self._calls.values()), start=1)
        )
        # Some endpoints say `stop` after tool calls too.
        finish = "tool_calls" if calls and self._finish == "stop" else self._finish
        return Completion("".join(self._text), calls, self._usage, finish)

    def _add_choice(self, choice: Wire) -> str:
        if not isinstance(choice, dict):
            raise malformed()
        if reason := _text(choice.get("finish_reason")):
            self._finish = _FINISH.get(reason, "stop")
        delta = choice.get("delta")
        if delta is None:
            return ""
        if not isinstance(delta, dict):
            raise malformed()
        for call in _list(delta.get("tool_calls")):
            self._add_call(call)
        text = _text(delta.get("content"))
        if text:
            self._grow(text)
        return text

    def _add_call(self, piece: Wire) -> None:
        if not isinstance(piece, dict):
            raise malformed()
        index, id_ = piece.get("index", 0), _text(piece.get("id"))
        function = piece.get("function", {})
        if not isinstance(index, int) or not isinstance(function, dict):
            raise malformed()
        call = self._calls.get(index)
        if call is not None and id_ and call.id and id_ != call.id:
            # Some endpoints number all calls 0 and tell them apart by id.
            self._finished.append(self._calls.pop(index))
            call = None
        if call is None:
            call = self._calls[index] = _Call(id_, "", [])
        call.id = call.id or id_
        name, arguments = _text(function.get("name")), _text(function.get("arguments"))
        call.name += name
        call.arguments.append(arguments)
        self._grow(name + arguments)
        if len(self._calls) + len(self._finished) > MAX_TOOL_CALLS:
            raise malformed()

    def _grow(self, piece: str) -> None:
        self.begun = True
        self._size += len(piece)
        if self._size > MAX_ANSWER_BYTES:
            raise malformed()


def _list(value: Wire) -> list[Wire]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed()
    return value


def _text(value: Wire) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed()
    return value


def _usage(value: dict[str, Wire]) -> tuple[int, int] | None:
    read, written = value.get("prompt_tokens"), value.get("completion_tokens")
    if (
        isinstance(read, int)
        and isinstance(written, int)
        and min(read, written) >= 0
        and max(read, written) <= _MAX_COUNT
    ):
        return read, written
    return None
